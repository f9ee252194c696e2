"""Where a strategy computes: what it asks of the device that has its rows, here the CPU.

`evoopt.strategies.cuda.Cuda` has the same methods; there vectors and rows are arrays of the device. What they
are asked for is a vector of a strategy's state (n_params,), in float64, or one number for each told row.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from evoopt import arrays, threads
from evoopt.compiling.arrays import kernel_array
from evoopt.kernels.cpu.population.fingerprint import fingerprint_rows
from evoopt.kernels.cpu.population.genetic import breed
from evoopt.kernels.cpu.population.noise import sample_pairs, sample_rows
from evoopt.strategies.contract.bounds import Box
from evoopt.strategies.contract.told import Told
from evoopt.strategies.parts import diagonal
from evoopt.types import Array, Ids, Vector

GRAIN = 20_000  # normal deviates worth waking a thread for
FINGERPRINT_GRAIN = 100_000  # numbers
_WORD, _FINGERPRINT = np.dtype(np.uint32), np.dtype(np.uint64)  # (numpy takes a dtype sooner than a type)
COPY_GRAIN = 500_000
BLOCK = 16_384  # coordinates of which a formula computes at a time, so that what it makes on its way is small


class Range:
    """Mean, minimum and maximum of a vector, when they are asked for."""

    __slots__ = ("_x",)

    def __init__(self, x: Vector) -> None:
        self._x = x

    @property
    def mean(self) -> float:
        return float(np.add.reduce(self._x)) / len(self._x)  # (`x.mean()` takes five times as long)

    @property
    def least(self) -> float:
        return float(np.minimum.reduce(self._x))

    @property
    def most(self) -> float:
        return float(np.maximum.reduce(self._x))


class Cpu:
    """NumPy and kernels."""

    # ---------------------------------------------------------------- arrays

    def host(self, array: Array) -> Array:
        """Return an array in the host's memory."""
        return array

    def vector(self, values: Array) -> Array:
        """Return a vector where it is computed with."""
        return values

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """Return rows without values."""
        return np.empty(shape, dtype)

    output = staticmethod(arrays.output)

    def given(self, rows: Any) -> Any:
        """Return what was given as rows as an array."""
        return arrays.read("population", rows)

    def rows(self, given: Array, dtype: np.dtype[Any]) -> Array:
        """Return rows as kernels take them."""
        return kernel_array(given, dtype)

    def copy(self, row: Array) -> Array:
        """Return a copy of one row."""
        return row.copy()

    def take(self, rows: Array, places: Any) -> Array:
        """Return copies of some rows in the host's memory."""
        return rows[places]

    def put(self, rows: Array, places: Any, some: Array) -> None:
        """Write rows of the host, or of the device, over some others."""
        rows[places] = some

    def scores(self, given: Any, fitness: Vector) -> Any:
        """Return the fitness of rows where it is ranked: what was given, if it is there."""
        return fitness

    # ---------------------------------------------------------------- rows

    def sample(self, key: Any, ids: Ids, mean: Array, sigma: Array, out: Array, pairs: bool = False) -> None:
        """Write mean + sigma * normal deviates into `out` (k, n_params), each row a function of its number.

        Of `pairs`, rows 2k + 1 have the noise of rows 2k, negated.
        """
        grain = GRAIN // out.shape[1] + 1
        if pairs:
            threads.run(sample_pairs, len(ids), key, ids, mean, sigma, out, grain=grain + 1)
        else:
            threads.run(sample_rows, len(ids), key, ids, mean, sigma, out, grain=grain)

    def breed(
        self, key: Any, ids: Ids, parents: Any, pool: Array, steps: Vector, sigma: Array, variation: Any,
        limit: Any, out: Array,
    ) -> None:  # fmt: skip
        """Write children of pairs of `pool` into `out` (k, n_params), see `genetic.breed`."""
        drawn = (key, ids, parents, pool, steps.astype(out.dtype), sigma, variation, limit, out)
        threads.run(breed, len(ids), *drawn, grain=GRAIN // out.shape[1] + 1)

    def gather(self, order: Any, old: Array, kept: int, new: Array) -> Array:
        """Return the rows `order` of [the first `kept` of `old`, `new`], without other copies."""
        result = np.empty((len(order), new.shape[1]), new.dtype)

        def copy(lo: int, hi: int) -> None:  # mode "raise" would buffer `out`
            np.take(new, order[lo:hi] - kept, axis=0, out=result[lo:hi], mode="clip")

        threads.run(copy, len(order), grain=COPY_GRAIN // new.shape[1] + 1)
        for i in np.flatnonzero(order < kept):
            result[i] = old[order[i]]
        return result

    def limit(self, rows: Array, most: float) -> None:
        """Move numbers of rows, in place, to the nearest ones from -`most` to `most`."""
        np.clip(rows, -most, most, out=rows)

    def snapshot(self, vector: Array, dtype: np.dtype[Any]) -> Array:
        """Return a copy of a vector in the dtype of the rows, for `sample`."""
        return vector.astype(dtype)

    def enclose(self, box: Box, rows: Array) -> None:
        """Map rows (k, n_params) into a box, in place."""
        box.enclose(rows)

    def fingerprints(self, rows: Array) -> Ids:
        """Return 64 bits of each row; never 0."""
        result = np.empty(len(rows), _FINGERPRINT)
        grain = FINGERPRINT_GRAIN // rows.shape[1] + 1
        threads.run(fingerprint_rows, len(rows), rows.view(_WORD), result, grain=grain)
        return result

    # ---------------------------------------------------------------- one number for each told row

    def ranked(self, told: Told, table: Vector) -> Array:
        """Return table[i] for the row of rank i; the best has 0, and NaN is last."""
        result = np.empty(len(table))
        result[told.order] = table
        return result

    def centred_ranks(self, told: Told) -> Array:
        """Return 1/2 for the best row to -1/2 for the worst; equal fitness has the average."""
        ranked, k = told.fitness[told.order], len(told.order)
        differs = (ranked[1:] != ranked[:-1]) & ~np.isnan(ranked[:-1])  # NaN, which is last, is equal to NaN
        places = np.concatenate([[0], differs.nonzero()[0] + 1, [k]])
        starts, sizes = places[:-1], places[1:] - places[:-1]
        ranks = np.empty(k)
        ranks[told.order] = np.repeat(0.5 - (starts + (sizes - 1) / 2) / (k - 1), sizes)
        return ranks

    def lengths(self, rows: Array, places: Any, mean: Vector, scale: Vector) -> Vector:
        """Return |(x - mean) / scale| of the rows at `places`, in the host's memory."""
        return diagonal.lengths(rows, places, mean, scale)

    # ---------------------------------------------------------------- vectors

    def moments(
        self, rows: Array, weights: Array, square_weights: Array, mean: Vector
    ) -> tuple[Vector, Vector]:
        """Return sum_r w_r (x_r - mean) and sum_r v_r (x_r - mean)^2."""
        return diagonal.moments(rows, weights, square_weights, mean)

    def map(self, formula: Callable[..., Any], *args: Any) -> Any:
        """Return the results of a formula of vectors and numbers: a vector, or a tuple of them.

        A formula is a function made of + - * /, comparisons, and `np.sqrt`, `exp`, `log`, `abs`, `minimum`,
        `maximum` and `where` (whose second argument is no constant), as CUDA knows no others.
        """
        n = max([len(arg) for arg in args if isinstance(arg, np.ndarray)])
        if n <= BLOCK:
            return formula(*args)
        results: list[Vector] = []
        for start in range(0, n, BLOCK):
            block = slice(start, start + BLOCK)
            found = formula(*(arg[block] if isinstance(arg, np.ndarray) else arg for arg in args))
            parts = found if isinstance(found, tuple) else (found,)
            results = results or [np.empty(n) for _ in parts]
            for result, part in zip(results, parts, strict=True):
                result[block] = part
        return tuple(results) if isinstance(found, tuple) else results[0]

    def total(self, formula: Callable[..., Any], *args: Any) -> float:
        """Return the sum over the coordinates of a formula of vectors and numbers."""
        return float(self.map(formula, *args).sum())

    def norm(self, x: Vector) -> float:
        """Return |x|."""
        # einsum and not a function of BLAS, whose bits change with its threads
        return math.sqrt(np.einsum("i,i->", x, x))

    def range_of(self, x: Vector) -> Range:
        """Return mean, minimum and maximum."""
        return Range(x)

    def without_effect(self, mean: Vector, steps: Vector, dtype: np.dtype[Any]) -> bool:
        """Whether 0.2 steps change no coordinate of the mean in the dtype of the rows."""
        widest = int(steps.argmax())
        if dtype.type(mean[widest] + 0.2 * steps[widest]) != dtype.type(mean[widest]):
            return False  # as it is as a rule, and quicker than a look at all
        return bool(((mean + 0.2 * steps).astype(dtype) == mean.astype(dtype)).all())


CPU = Cpu()
