"""Full covariance matrices C = R^T R, for CMAES and XNES on the host, whatever the device.

Rows are drawn from N(mean, sigma^2 S C S), S = diag(scale). Symmetric matrices are given by their
upper triangle.
"""

from collections.abc import Callable

import numpy as np

from evoopt import threads
from evoopt.kernels.cpu.population import covariance as kernels
from evoopt.kernels.cpu.population import small_covariance as small
from evoopt.rules.ranges import ceil_div
from evoopt.types import Array, Ids, Vector

GRAIN = 300_000  # multiply-adds worth waking a thread for
# (mean, sigma, C, scale, p_c, axis) -> the widest deviation and path of a coordinate, the first
# coordinate whose mean 0.2 deviations do not change (or -1), and whether 0.1 steps along an axis
# change nothing
no_effect: Callable[..., tuple[float, float, int, bool]] = kernels.no_effect

# the told rows, their order, which of them are from outside by rank (or empty), and the rank from
# which on lengths are needed
Ranked = tuple[Array, Array, Array, int]
# the weights by rank, and the mean, sigma, scale and root that the rows are compared with
Drawn = tuple[Vector, Vector, float, Vector, Array]
Paths = tuple[Vector, Vector]  # the paths of the step size and of the covariance
# the longest step from outside, the |p_sigma|^2 up to which h_sigma is 1, and the constants of
# `recombination`
Constants = tuple[float, float, tuple[float, ...]]
# y (popsize + 1, n), rates and decay of the new covariance decay C + sum_i rates_i y_i y_i^T, and
# the new sigma
Update = tuple[Array, Vector, float, float]


def sample(
    key: np.uint64, ids: Ids, mean: Vector, sigma: float, scale: Vector, root: Array, triangular: bool,
    out: Array,
) -> None:  # fmt: skip
    """Write mean + sigma * scale * (z @ root) into `out` (k, n); z depends on a row's number."""
    n = len(mean)
    drawn, grain = (key, ids, mean, sigma, scale, root), GRAIN // n**2 + 1
    if n <= small.SMALL:
        threads.run(small.sample_correlated, len(ids), *drawn, out, grain=grain)
    else:
        threads.run(kernels.sample_correlated, len(ids), *drawn, triangular, out, grain=grain)


def learn(
    rows: Ranked, drawn: Drawn, paths: Paths, constants: Constants, C: Array, new_C: Array, new_root: Array
) -> tuple[float, bool]:
    """Move the mean and the paths in place, and write the new covariance and its root.

    No root is wanted if `new_root` is (0, 0). Return the new sigma, and whether the covariance is
    positive definite.
    """
    population, order, outside, first = rows
    k, n = population.shape
    if n <= small.SMALL or k * n * n < 2 * GRAIN:
        whole = small.learn if n <= small.SMALL else kernels.learn
        result: tuple[float, bool] = whole(
            population, order, outside, first, *drawn, *paths, *constants, C, new_C, new_root
        )
        return result
    return adapt(follow(rows, drawn, paths, constants), C, new_C, new_root)


def adapt(update: Update, C: Array, new_C: Array, new_root: Array) -> tuple[float, bool]:
    """Write the new covariance and its root, and return what `learn` does."""
    y, rates, decay, sigma = update
    add_squares(C, y, rates, decay, new_C)
    return sigma, not len(new_root) or cholesky(new_C, new_root)


def follow(rows: Ranked, drawn: Drawn, paths: Paths, constants: Constants) -> Update:
    """Move the mean and the paths in place, and return the update of the covariance."""
    (population, order, outside, first), (weights, *where) = rows, drawn
    (longest, h_limit, learning), (k, n) = constants, population.shape
    y, squares, rates = np.empty((k + 1, n)), np.empty(k), np.empty(k + 1)
    _run(kernels.whiten, k, n * n, population, order, first, *where, y, squares)
    if len(outside):
        weights = weights.copy()
        kernels.shorten(y, squares, outside, weights, longest)
    decay, sigma = kernels.follow_paths(y, squares, weights, *where, *paths, rates, h_limit, learning)
    return y, rates, decay, sigma


def to_local(root: Array, rows: Array) -> Array:
    """Return z (k, n) with z @ root = rows."""
    z = rows.copy()
    _run(kernels.to_local, len(z), len(root) ** 2, root, z)
    return z


def add_squares(C: Array, y: Array, rates: Vector, decay: float, out: Array) -> None:
    """Write decay C + sum_i rates_i y_i y_i^T into the upper triangle of `out`, and 0 below it."""
    k, n = y.shape
    _run(kernels.adapt_covariance, n, n * k, C, y, rates, decay, out)


def cholesky(C: Array, root: Array) -> bool:
    """Write the upper triangular `root` of C; return whether C is positive definite."""
    definite: bool = kernels.cholesky(C, root)
    return definite


def _run(kernel: Callable[..., None], rows: int, work: int, *args: object) -> None:
    """Run a kernel on bands of rows; a row takes `work` multiply-adds."""
    bands, grain = ceil_div(rows, kernels.BAND), GRAIN // (kernels.BAND * work) + 1
    threads.run(kernel, bands, *args, grain=grain)
