"""Weights and learning rates of the CMA family, for any number of told rows.

Hansen 2016, The CMA evolution strategy: a tutorial, https://arxiv.org/abs/1604.00772, Table 1, with
the newer constants of pycma 4.5, https://github.com/CMA-ES/pycma.
"""

import functools
import math
from typing import NamedTuple

import numpy as np

from evoopt.types import Vector


class Parameters(NamedTuple):
    """The constants of an update of the distribution, in the paper's symbols."""

    weights: Vector  # (popsize,), best first; negative ones are for the covariance only
    mueff: float
    c_sigma: float
    d_sigma: float
    c_c: float
    c_1: float
    c_mu: float
    gap: float  # updates between two factorizations of the covariance matrix
    first_negative: int  # the rank of the first negative weight
    constants: tuple[float, ...]  # c_sigma, d_sigma, c_c, c_1, c_mu, mueff, E|N(0, I)|, n, for kernels


def expected_length(n: int) -> float:
    """Return E|N(0, I)| of dimension `n`."""
    return math.sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n * n))


@functools.lru_cache(maxsize=64)
def full(k: int, n: int, delay: float = 0.0) -> Parameters:
    """Return the parameters of `k` rows in dimension `n` for a full covariance matrix.

    If the rows are late by `delay` updates on average, an update of the covariance matrix forgets
    as much of it as (1 + delay)^(1/4) updates would otherwise, see docs/design/late_rows.md.
    """
    raw, mueff = _positive_weights(k)
    c_c = (4 + mueff / n) / (n + 4 + 2 * mueff / n)  # Eq. (56)
    c_1 = min(1.0, k / 6) * 2 / ((n + 1.3) ** 2 + mueff)  # Eq. (57)
    c_mu = min(1 - c_1, 2 * (0.25 + mueff + 1 / mueff - 2) / ((n + 2) ** 2 + mueff))  # Eq. (58)
    return _finish(raw, mueff, n, delay, c_c=c_c, c_1=c_1, c_mu=c_mu)


@functools.lru_cache(maxsize=64)
def separable(k: int, n: int, delay: float = 0.0) -> Parameters:
    """Return the parameters of `k` rows in dimension `n` for a diagonal covariance matrix.

    `delay` as for `full`; Ros and Hansen 2008, https://doi.org/10.1007/978-3-540-87700-4_30.
    """
    raw, mueff = _positive_weights(k)
    root = math.sqrt(n)
    c_c = (1 + 1 / n + mueff / n) / (root + 1 / n + 2 * mueff / n)
    c_1 = 1 / (n + 2 * root + mueff / n)
    c_mu = min(1 - c_1, (0.25 + mueff + 1 / mueff - 2) / (n + 4 * root + mueff / 2))
    return _finish(raw, mueff, n, delay, c_c=c_c, c_1=c_1, c_mu=c_mu)


class LimitedMemory(NamedTuple):
    """The constants of an update with `m` direction vectors, in the paper's symbols."""

    weights: Vector  # (popsize,), best first
    mueff: float
    c_sigma: float
    c_c: Vector  # (m,)


@functools.lru_cache(maxsize=64)
def limited_memory(k: int, n: int, m: int) -> LimitedMemory:
    """Return the constants of `k` rows in dimension `n` for `m` direction vectors.

    Loshchilov et al. 2017, https://arxiv.org/abs/1705.06693. The paper's rates are for many more
    parameters than rows; with fewer parameters they would exceed 1, or even 2, where the gain of
    the path is not real. Here they are at most 1: the path is then the last update alone.
    """
    raw, mueff = _positive_weights(k)
    c_c = np.minimum(1.0, k / n / 4.0 ** np.arange(m))
    return LimitedMemory(np.maximum(raw, 0.0), mueff, min(1.0, 2 * k / n), c_c)


def _positive_weights(k: int) -> tuple[Vector, float]:
    """Return ln((k + 1) / 2) - ln i, Eq. (49), the positive ones with sum 1, and mueff, Eq. (8)."""
    raw = math.log((k + 1) / 2) - np.log(np.arange(1, k + 1))
    raw[raw > 0] /= raw[raw > 0].sum()
    return raw, float(1 / (raw[raw > 0] ** 2).sum())


def _finish(
    raw: Vector, mueff: float, n: int, delay: float, *, c_c: float, c_1: float, c_mu: float
) -> Parameters:
    if delay > 0:
        forgotten = 1 - (1 - c_1 - c_mu) ** ((1 + delay) ** 0.25)
        c_1, c_mu = (rate * forgotten / (c_1 + c_mu) for rate in (c_1, c_mu))
    c_sigma = min(0.5, (mueff + 2) / (n + mueff + 3))  # pycma; Eq. (55) has 5 instead of 3
    d_sigma = 1 + 2 * max(0.0, math.sqrt((mueff - 1) / (n + 1)) - 1) + c_sigma
    weights = raw.copy()
    negative = raw < 0
    mueff_negative = raw[negative].sum() ** 2 / (raw[negative] ** 2).sum()
    limit = 1 + 2 * mueff_negative / (mueff + 2)  # Eq. (51)
    if c_mu > 0:
        # Eq. (50) no decay, Eq. (52) positive definite
        limit = min(limit, 1 + c_1 / c_mu, (1 - c_1 - c_mu) / (n * c_mu))
    weights[negative] *= limit / -raw[negative].sum()  # Eq. (53)
    constants = (c_sigma, d_sigma, c_c, c_1, c_mu, mueff, expected_length(n), n)
    gap, first_negative = 1 / (10 * n * (c_1 + c_mu)), int(negative.argmax())
    return Parameters(weights, mueff, c_sigma, d_sigma, c_c, c_1, c_mu, gap, first_negative, constants)
