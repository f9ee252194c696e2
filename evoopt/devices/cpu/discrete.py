"""Integers and categories of rows, on the host: where strategies of spaces compute."""

import numpy as np
from numpy.typing import NDArray

from evoopt import threads
from evoopt.kernels.cpu.population import categories as of_categories
from evoopt.kernels.cpu.population import integers as of_integers
from evoopt.types import Array, Ids, Vector

GRAIN = 100_000  # numbers worth waking a thread for
Columns = NDArray[np.intp]
# the columns of whole numbers in rows, and for each its ends and the origin of its scale, see
# `rules.whole`
Whole = tuple[Columns, Vector, Vector, Vector]


def round_rows(whole: Whole, rows: Array) -> None:
    """Replace latent numbers in rows (k, n) by the whole numbers that they stand for."""
    threads.run(of_integers.round_rows, len(rows), *whole, rows, grain=GRAIN // len(whole[0]) + 1)


def centre(
    whole: Whole, resting: Columns, mean: Vector, best: NDArray[np.intp], rows: Array
) -> NDArray[np.bool_]:
    """Move the best rows to the centres of their numbers, without a bias of the mean, in place.

    All rows get the mean in the columns `resting`. Return which integers had a row with another
    number than the mean's.
    """
    moved = np.empty(len(whole[0]), np.bool_)
    of_integers.centre(*whole, resting, mean, best, rows, moved)
    return moved


def keep_margin(
    whole: Whole, margin: float, rate: float, moved: NDArray[np.bool_], before: Vector, step: float,
    variances: Vector, mean: Vector, scale: Vector, mutated: Vector,
) -> None:  # fmt: skip
    """Keep other numbers than the mean's likely; change `mean`, `scale` and `mutated` in place.

    The standard deviations are step * scale * sqrt(variances), all (n,). The mean takes the share
    `rate` of its way from the mean `before` the update. `mutated` holds the probabilities of other
    numbers.
    """
    of_integers.keep_margin(*whole, margin, rate, moved, before, step, variances, mean, scale, mutated)


def choose(
    key: np.uint64, ids: Ids, columns: Columns, low: Vector, starts: NDArray[np.intp], odds: Vector,
    out: Array,
) -> None:  # fmt: skip
    """Write `low` plus a category of each choice into its column of `out` (k, n)."""
    grain = GRAIN // len(columns) + 1
    threads.run(of_categories.choose, len(ids), key, ids, columns, low, starts, odds, out, grain=grain)


def follow(
    columns: Columns, low: Vector, starts: NDArray[np.intp], least: Vector, rate: float,
    weights: Vector, best: NDArray[np.intp], rows: Array, mean: Vector, odds: Vector, path: Vector,
    adapted: Vector,
) -> None:  # fmt: skip
    """Move the odds to the categories of the best rows, by a share of the step, in place.

    The mean, the path and the adapted numbers change in place, too.
    """
    of_categories.follow(columns, low, starts, least, rate, weights, best, rows, mean, odds, path, adapted)
