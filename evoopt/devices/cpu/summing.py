"""Sums over rows that are drawn on the way: a part is drawn, summed and forgotten.

The sums have the bits of rows that were made before, because kernels add in the same order.
"""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evoopt import threads
from evoopt.devices.interface.population import Recipe
from evoopt.kernels.cpu.population.fingerprint import sum_mixed_words
from evoopt.kernels.cpu.population.moments import squared_lengths, weighted_moments
from evoopt.kernels.cpu.population.noise import sample_pairs, sample_rows
from evoopt.rules.philox import COLUMNS
from evoopt.types import Array, Ids, Vector

PART = 2**18  # numbers that are drawn before they are summed, few enough for a second-level cache
GRAIN = 20_000  # normal deviates that are worth waking a thread for
_ONE, _LEAST = np.zeros(1, np.intp), np.uint64(1)  # the place of the only row, the least fingerprint


def drawn_moments(recipe: Recipe, w: Vector, v: Vector, mean: Array, first: Array, second: Array) -> None:
    """Write `weighted_moments` of a recipe's rows into `first` and `second` (n,)."""

    def add(rows: Array, columns: slice) -> None:
        sums = first[columns], second[columns]
        weighted_moments(rows, w, v, mean[columns], *sums, 0, rows.shape[1])

    recipe.fingerprints = _draw_parts(recipe, add)


def drawn_fingerprints(recipe: Recipe) -> Ids:
    """Return the fingerprints of a recipe's rows, which `drawn_moments` has found on the way."""
    if recipe.fingerprints is None:
        recipe.fingerprints = _draw_parts(recipe, lambda rows, columns: None)
    return recipe.fingerprints


def drawn_lengths(
    recipe: Recipe, places: NDArray[np.intp], mean: Vector, precision: Vector, squares: Vector
) -> None:
    """Write `squared_lengths` of a recipe's rows at `places` (k,) into `squares` (k,)."""
    n = recipe.shape[1]

    def draw_and_sum(lo: int, hi: int) -> None:
        row = np.empty((1, n), recipe.dtype)
        for i in range(lo, hi):
            _draw(recipe, recipe.ids[places[i] : places[i] + 1], slice(0, n), row)
            squared_lengths(row, _ONE, mean, precision, squares[i : i + 1], 0, 1)

    threads.run(draw_and_sum, len(places), grain=GRAIN // n + 1)


def _draw_parts(recipe: Recipe, use: Callable[[Array, slice], None]) -> Ids:
    """Call ``use(rows, columns)`` with some columns of all rows until all were there.

    Return the fingerprints of the rows: sums as well, which cost little beside the noise.
    """
    (k, n), words = recipe.shape, recipe.dtype.itemsize // 4
    totals, lock = np.zeros(k, np.uint64), threading.Lock()

    def draw(lo: int, hi: int) -> None:
        width = max(PART // (k * COLUMNS), 1)  # groups of columns
        most = min(min(width, hi - lo) * COLUMNS, n)  # columns at once
        room, sums = np.empty(k * most, recipe.dtype), np.empty(k, np.uint64)
        for group in range(lo, hi, width):
            columns = slice(group * COLUMNS, min(min(group + width, hi) * COLUMNS, n))
            size = columns.stop - columns.start
            rows = room[: k * size].reshape(k, size)
            _draw(recipe, recipe.ids, columns, rows)
            use(rows, columns)
            sum_mixed_words(rows.view(np.uint32), columns.start * words, sums, 0, k)
            with lock:
                np.add(totals, sums, out=totals)

    threads.run(draw, -(-n // COLUMNS), grain=GRAIN // (k * COLUMNS) + 1)
    return np.maximum(totals, _LEAST)


def _draw(recipe: Recipe, ids: Ids, columns: slice, out: Array) -> None:
    """Write some columns of rows, from the start of a group on, into `out`."""
    kernel: Any = sample_pairs if recipe.pairs else sample_rows
    mean, sigma = recipe.mean[columns], recipe.sigma[columns]
    kernel(recipe.key, ids, mean, sigma, out, columns.start // COLUMNS, 0, len(ids))
