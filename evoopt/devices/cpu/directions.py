"""Direction vectors M (m, n), for LMMAES on the host, whatever the device.

Rows are mean + sigma * R z: one after the other, the `used` directions m_j map z to
(1 - c_j) z + c_j (m_j^T z) m_j.
"""

import numpy as np

from evoopt import threads
from evoopt.kernels.cpu.emit.vectors import tile_shape
from evoopt.kernels.cpu.population import directions as kernels
from evoopt.rules.philox import COLUMNS
from evoopt.rules.ranges import ceil_div
from evoopt.types import Array, Ids, Vector

GRAIN = 100_000  # multiply-adds worth waking a thread for
SMALL = GRAIN  # numbers that are copied as fast as a thread is started


def follow(M: Array, step: Vector, decays: Vector, gains: Vector) -> None:
    """Move the directions in place: m_j = decays[j] m_j + gains[j] step.

    A direction that has moved has a decay of 1 and a gain of 0, so that a second call, for example
    after Ctrl-C, changes nothing.
    """
    m, n = M.shape
    threads.run(kernels.follow, m, M, step, decays, gains, grain=GRAIN // n + 1)


def gram(M: Array, used: int) -> Array:
    """Return the products (used, used) of the first `used` directions."""
    width, spans = _layout(M.shape[1], M.dtype, used)
    parts = np.empty((spans, used, width), M.dtype)
    if used:
        threads.run(kernels.gram_parts, spans, M, used, parts, grain=GRAIN // (kernels.SPAN * used**2) + 1)
    sums: Array = parts.sum(axis=0, dtype=np.float64)[:, :used].copy()
    return sums


def sample(
    key: np.uint64, ids: Ids, mean: Array, sigma: Array, M: Array, gram: Array, rates: Vector, out: Array
) -> None:
    """Write rows into `out` (k, n), which depend on their numbers alone.

    `rates` c_j and `gram` are for the directions used.
    """
    (k, n), used = out.shape, len(gram)
    width, spans = _layout(n, out.dtype, used)
    items = spans * ceil_div(k, kernels.ROWS)
    grain = GRAIN // (min(k, kernels.ROWS) * min(n, kernels.SPAN) * (used // 4 + 4)) + 1
    products, b = np.empty((spans, k, width), out.dtype), np.empty((k, used), out.dtype)
    threads.run(kernels.project, items, key, ids, M, used, out, products, grain=grain)
    each = GRAIN // (used * (used + spans) + 1) + 1
    threads.run(kernels.coefficients, k, products, gram, rates, b, grain=each)
    alpha = out.dtype.type(np.prod(1 - rates))
    threads.run(kernels.combine, items, mean, sigma, M, alpha, b, out, grain=grain)


def weighted_noise(key: np.uint64, ids: Ids, weights: Vector, n: int) -> Vector:
    """Return sum_r w_r z_r (n,) over the normal deviates z_r of rows."""
    result = np.empty(n)
    grain = GRAIN // (COLUMNS * len(weights)) + 1
    threads.run(kernels.weighted_noise, ceil_div(n, COLUMNS), key, ids, weights, result, grain=grain)
    return result


def whiten(M: Array, rates: Vector, steps: Array) -> None:
    """Replace steps R z (k, n), in units of sigma, by z; `rates` are for the directions used."""
    k, n = steps.shape
    threads.run(kernels.whiten, k, M, rates, steps, grain=GRAIN // (n * (3 * len(rates) + 1)) + 1)


def _layout(n: int, dtype: np.dtype[np.floating], used: int) -> tuple[int, int]:
    """Return the width of products with directions, in whole vectors, and the number of spans."""
    lanes = tile_shape(dtype)[1]
    return ceil_div(used, lanes) * lanes, ceil_div(n, kernels.SPAN)
