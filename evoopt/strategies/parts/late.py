"""Late rows in CMA-ES: rows that are told after the distribution has changed.

The rule and its measurements: docs/design/late_rows.md. Symbols as in Hansen 2016,
https://arxiv.org/abs/1604.00772.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evoopt.devices.cpu import covariance as matrices
from evoopt.devices.cpu.covariance import Update
from evoopt.strategies.contract.epochs import chunks
from evoopt.strategies.contract.told import Told
from evoopt.strategies.parts.foreign import shortening
from evoopt.strategies.parts.recombination import Parameters, expected_length
from evoopt.types import Array, Vector

COMPLETE = 6  # elements of a snapshot: mean, sigma, scale, root, p_sigma, updates; with fewer, foreign
HALF = 0.5  # the share of the mean's way since a row was drawn that its step is shortened by
NEGLIGIBLE = 1e-9  # an excess of the path's squared length that is taken as 0
Places = NDArray[np.intp]


class Search(NamedTuple):
    """The distribution N(mean, sigma^2 S C S), S = diag(scale), C = root^T root, and its path."""

    mean: Vector
    sigma: float
    scale: Vector
    root: Array
    p_sigma: Vector


def delay(told: Told, updates: int, complete: int = COMPLETE) -> float:
    """Return the mean number of updates since the told rows were drawn; foreign rows count 0.

    `updates` is the number of updates so far, which is also the last of the `complete` elements of
    a snapshot.
    """
    if told.outside is None:
        return 0.0
    ages = np.zeros(len(told.order))
    for snapshot, where in told.drawn:
        if len(snapshot) == complete:
            ages[where] = max(updates - snapshot[-1], 0)
    return float(ages.mean())


def follow(
    told: Told, p: Parameters, now: Search, p_c: Vector, h_limit: float, updates: int, excess: float
) -> tuple[Update, float]:
    """Move the mean and the paths in place, as `covariance.follow` does, by rows of any age.

    `h_limit` is the squared length of p_sigma up to which h_sigma is 1, `updates` the number of
    updates before this one, and `excess` the excess of the path before it.
    """
    k, n = told.population.shape
    mean, sigma, scale, root, p_sigma = now
    ranks = np.empty(k, np.intp)
    ranks[told.order] = np.arange(k)
    y, weights, rates = np.empty((k + 1, n)), p.weights.copy(), np.empty(k + 1)
    z_w, unaware = np.zeros(n), 0.0
    for places, then in _groups(told, now, updates):
        z, steps, squares = _steps(told.population[places], then, now)
        mine = ranks[places]
        if then is None:
            weights[mine] = np.maximum(weights[mine], 0.0)
        y[mine] = steps
        rates[mine] = (
            p.c_mu * weights[mine] * np.where(weights[mine] < 0, n / (np.sqrt(squares) + 1e-9) ** 2, 1.0)
        )  # (46)
        z_sum = np.einsum("i,ij->j", np.maximum(weights[mine], 0.0), z)  # always the same bits
        z_w += z_sum
        if then is not None and then is not now:
            unaware += float(np.einsum("i,i->", p_sigma - then.p_sigma, z_sum))
    gain = math.sqrt(p.c_sigma * (2 - p.c_sigma) * p.mueff)
    excess = (1 - p.c_sigma) ** 2 * excess + 2 * (1 - p.c_sigma) * gain * unaware
    p_sigma *= 1 - p.c_sigma  # Eq. (43)
    p_sigma += gain * z_w
    squared = max(float(np.einsum("i,i->", p_sigma, p_sigma)) - excess, 0.0)
    h_sigma = squared < h_limit
    p_c *= 1 - p.c_c  # Eq. (45)
    p_c += h_sigma * math.sqrt(p.c_c * (2 - p.c_c) * p.mueff) * np.einsum("i,ij->j", z_w, root)
    mean += sigma * scale * np.einsum("i,ij->j", np.maximum(weights, 0.0), y[:k])  # Eq. (42)
    y[k], rates[k] = p_c, p.c_1
    decay = 1 - p.c_1 - p.c_mu * float(weights.sum()) + (not h_sigma) * p.c_1 * p.c_c * (2 - p.c_c)
    change = p.c_sigma / p.d_sigma * (math.sqrt(squared) / expected_length(n) - 1)
    update = y, rates, decay, sigma * math.exp(min(1.0, change))  # Eq. (44)
    return update, excess if abs(excess) > NEGLIGIBLE else 0.0


def _groups(told: Told, now: Search, updates: int) -> Iterator[tuple[Places, Search | None]]:
    """Yield places of told rows, and the distribution that drew them; None for foreign rows."""
    n = told.population.shape[1]
    foreign = np.ones(len(told.order), np.bool_)
    for snapshot, where in told.drawn:
        if len(snapshot) == COMPLETE:
            foreign[where] = False
            then = now if snapshot[-1] == updates else Search(*snapshot[:-1])
            for places in chunks(np.arange(len(foreign))[where], n):
                yield places, then
    for places in chunks(np.flatnonzero(foreign), n):
        yield places, None


def _steps(rows: Array, then: Search | None, now: Search) -> tuple[Array, Array, Vector]:
    """Return the deviates z (k, n) of rows, their steps y (k, n) from the mean, and |R^-T y|^2."""
    drawn, n = now if then is None else then, len(now.mean)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        z = matrices.to_local(drawn.root, (rows - drawn.mean) / (drawn.sigma * drawn.scale))
        if then is now:
            return z, (rows - now.mean) / (now.sigma * now.scale), _squares(z)
        y = (rows - drawn.mean) / (now.sigma * now.scale)
        if then is not None:
            y *= np.sqrt(_squares(z) / np.maximum(_squares(matrices.to_local(now.root, y)), 1e-300))[:, None]
            y += HALF * (then.mean - now.mean) / (now.sigma * now.scale)
        lengths = np.sqrt(_squares(matrices.to_local(now.root, y)))
        factors = shortening(lengths, n)
        ignored = factors == 0
        y = np.where(ignored[:, None], 0.0, factors[:, None] * y)  # ignored ones may be NaN
        if then is None:
            z = np.where(ignored[:, None], 0.0, factors[:, None] * z)
        return z, y, np.where(ignored, 0.0, (factors * lengths) ** 2)


def _squares(rows: Array) -> Vector:
    result: Vector = np.einsum("ij,ij->i", rows, rows)
    return result
