"""Populations on the CPU: kernels over the threads, and NumPy."""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evoopt import arrays, threads
from evoopt.compiling.arrays import kernel_array
from evoopt.devices.cpu.summing import drawn_fingerprints, drawn_lengths, drawn_moments
from evoopt.devices.interface.population import Box, Formula, PopulationEngine, Recipe, Variation
from evoopt.kernels.cpu.population.box import enclose_rows
from evoopt.kernels.cpu.population.fingerprint import sum_mixed_words
from evoopt.kernels.cpu.population.genetic import breed
from evoopt.kernels.cpu.population.moments import squared_lengths, weighted_moments
from evoopt.kernels.cpu.population.noise import sample_pairs, sample_rows
from evoopt.memory import SMALL
from evoopt.types import Array, Ids, Shape, Vector

# The least work that is worth waking a thread for
NOISE_GRAIN = 20_000  # normal deviates
BOX_GRAIN = 50_000  # numbers that are mapped into a box
SUM_GRAIN = 100_000  # numbers that are added up
COPY_GRAIN = 500_000  # numbers that are copied
_WORD, _FINGERPRINT = np.dtype(np.uint32), np.dtype(np.uint64)  # (numpy takes a dtype faster than a type)
_LEAST = np.uint64(1)  # fingerprint
CHUNK = 16_384  # coordinates that a formula computes at a time, so that its intermediate arrays are small


class CpuPopulation(PopulationEngine[Array]):
    """The engine for populations on the CPU."""

    # ---------------------------------------------------------------- arrays

    def host(self, array: ArrayLike) -> Any:
        return array

    def vector(self, values: Vector) -> Vector:
        return values

    def snapshot(self, vector: Array, dtype: np.dtype[Any]) -> Array:
        return vector.astype(dtype)

    def empty(self, shape: Shape, dtype: np.dtype[Any]) -> Array:
        return np.empty(shape, dtype)

    def output(
        self, out: object, shape: Shape, dtype: np.dtype[Any], ids: object = None
    ) -> tuple[Any, Array]:
        if out is None and math.prod(shape) * dtype.itemsize <= SMALL:
            found = self.empty(shape, dtype)
        else:  # the array must be checked, or may not fit into memory
            found = arrays.output(out, shape, dtype, ids=ids)
        return found, found

    def handed(self, out: object, rows: Array) -> Any:
        return out

    def given(self, rows: object) -> Any:
        return arrays.read("population", rows)

    def rows(self, given: Any, dtype: np.dtype[Any]) -> Array:
        return kernel_array(given, dtype)

    def copy(self, row: Array) -> Array:
        return row.copy()

    def take(self, rows: Array, places: NDArray[np.intp]) -> Array:
        return rows[places]

    def put(self, rows: Array, places: NDArray[np.intp], some: Array) -> None:
        rows[places] = some

    def scores(self, given: object, fitness: Vector) -> Vector:
        return fitness

    # ---------------------------------------------------------------- rows

    def sample(
        self, key: np.uint64, ids: Ids, mean: Array, sigma: Array, out: Array, pairs: bool = False
    ) -> None:
        grain = NOISE_GRAIN // out.shape[1] + 1
        if pairs:
            threads.run(sample_pairs, len(ids), key, ids, mean, sigma, out, 0, grain=grain + 1)
        else:
            threads.run(sample_rows, len(ids), key, ids, mean, sigma, out, 0, grain=grain)

    def breed(
        self, key: np.uint64, ids: Ids, parents: NDArray[np.intp], pool: Array, steps: Vector, sigma: Array,
        variation: Variation, limit: np.floating[Any], out: Array,
    ) -> None:  # fmt: skip
        drawn = (key, ids, parents, pool, steps.astype(out.dtype), sigma, variation, limit, out)
        threads.run(breed, len(ids), *drawn, grain=NOISE_GRAIN // out.shape[1] + 1)

    def gather(self, order: NDArray[np.intp], old: Array, kept: int, new: Array) -> Array:
        result = np.empty((len(order), new.shape[1]), new.dtype)

        def copy(lo: int, hi: int) -> None:  # mode "raise" would buffer `out`
            np.take(new, order[lo:hi] - kept, axis=0, out=result[lo:hi], mode="clip")

        threads.run(copy, len(order), grain=COPY_GRAIN // new.shape[1] + 1)
        for i in np.flatnonzero(order < kept):
            result[i] = old[order[i]]
        return result

    def limit(self, rows: Array, most: float) -> None:
        np.clip(rows, -most, most, out=rows)

    def enclose(self, box: Box, rows: Array) -> None:
        grain = BOX_GRAIN // rows.shape[1] + 1
        ends = (box.low, box.high, box.low_margin, box.high_margin, box.first, box.last)
        threads.run(enclose_rows(box.way), len(rows), *ends, rows, grain=grain)

    def fingerprints(self, rows: Array | Recipe) -> Ids:
        if isinstance(rows, Recipe):
            return drawn_fingerprints(rows)
        result = np.empty(len(rows), _FINGERPRINT)
        grain = SUM_GRAIN // rows.shape[1] + 1
        threads.run(sum_mixed_words, len(rows), rows.view(_WORD), 0, result, grain=grain)
        return np.maximum(result, _LEAST)

    # ---------------------------------------------------------------- one number for each told row

    def ranked(self, order: NDArray[np.intp], scores: Vector, table: Vector) -> Vector:
        result = np.empty(len(table))
        result[order] = table
        return result

    def centred_ranks(self, order: NDArray[np.intp], scores: Vector) -> Vector:
        ranked, k = scores[order], len(order)
        differs = (ranked[1:] != ranked[:-1]) & ~np.isnan(ranked[:-1])  # all NaN, which are last, are equal
        places = np.concatenate([[0], differs.nonzero()[0] + 1, [k]])
        starts, sizes = places[:-1], places[1:] - places[:-1]
        ranks = np.empty(k)
        ranks[order] = np.repeat(0.5 - (starts + (sizes - 1) / 2) / (k - 1), sizes)
        return ranks

    def lengths(self, rows: Array | Recipe, places: NDArray[np.intp], mean: Vector, scale: Vector) -> Vector:
        squares = np.empty(len(places))
        if isinstance(rows, Recipe):
            drawn_lengths(rows, places, mean, 1 / scale, squares)
            return np.sqrt(squares)
        grain = SUM_GRAIN // rows.shape[1] + 1
        threads.run(squared_lengths, len(places), rows, places, mean, 1 / scale, squares, grain=grain)
        return np.sqrt(squares)

    # ---------------------------------------------------------------- vectors

    def moments(
        self, rows: Array | Recipe, weights: Vector, square_weights: Vector, mean: Array
    ) -> tuple[Vector, Vector]:
        (k, n), dtype = rows.shape, rows.dtype
        first, second = np.empty(n, dtype), np.empty(n, dtype)
        w, v, centre = (x.astype(dtype) for x in (weights, square_weights, mean))
        if isinstance(rows, Recipe):
            drawn_moments(rows, w, v, centre, first, second)
        else:
            grain = max(SUM_GRAIN // k, 64)
            threads.run(weighted_moments, n, rows, w, v, centre, first, second, grain=grain)
        return first.astype(np.float64, copy=False), second.astype(np.float64, copy=False)

    def map(self, formula: Formula, *args: Vector | float) -> Any:
        n = max([len(arg) for arg in args if isinstance(arg, np.ndarray)])
        if n <= CHUNK:
            return formula(*args)
        results: list[Vector] = []
        for start in range(0, n, CHUNK):
            chunk = slice(start, start + CHUNK)
            found = formula(*(arg[chunk] if isinstance(arg, np.ndarray) else arg for arg in args))
            parts = found if isinstance(found, tuple) else (found,)
            results = results or [np.empty(n) for _ in parts]
            for result, part in zip(results, parts, strict=True):
                result[chunk] = part
        return tuple(results) if isinstance(found, tuple) else results[0]

    def total(self, formula: Formula, *args: Vector | float) -> float:
        return float(self.map(formula, *args).sum())

    def norm(self, x: Vector) -> float:
        # einsum, because the bits of BLAS change with the number of its threads
        return math.sqrt(np.einsum("i,i->", x, x))

    def range_of(self, x: Vector) -> "_Range":
        return _Range(x)

    def without_effect(self, mean: Vector, steps: Vector, dtype: np.dtype[Any]) -> bool:
        widest = int(steps.argmax())
        if dtype.type(mean[widest] + 0.2 * steps[widest]) != dtype.type(mean[widest]):
            return False  # the usual case, found without a look at all coordinates
        return bool(((mean + 0.2 * steps).astype(dtype) == mean.astype(dtype)).all())


class _Range:
    """The mean, minimum and maximum of a vector, computed when they are asked for."""

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
