"""Populations on CUDA; vectors of the host are copied there.

Only the fitness, fingerprints and some single numbers are copied to the host.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evoopt.devices.interface.population import Box, Formula, PopulationEngine, Recipe, Variation, made
from evoopt.kernels.cuda.population import genetic, moments, noise, ranking, vectors
from evoopt.kernels.cuda.population import rows as kernels
from evoopt.kernels.cuda.runtime import grid
from evoopt.kernels.cuda.runtime.foreign import is_device_array
from evoopt.kernels.cuda.runtime.memory import DeviceArray
from evoopt.kernels.cuda.runtime.stream import Stream
from evoopt.rules.genetic import ALWAYS
from evoopt.types import Array, Ids, Shape, Vector

Taken = DeviceArray | Array
CONSTANTS = 16  # the most vectors of the host that have copies on the device
_DOUBLE, _ID = np.dtype(np.float64), np.dtype(np.uint64)
_NO_TABLE, _NO_ENDS = np.zeros(1), np.zeros(1, np.int64)


class _Range(NamedTuple):
    mean: float
    least: float
    most: float


class CudaPopulation(PopulationEngine[DeviceArray]):
    """The engine for populations on a GPU, with a stream of its own."""

    def __init__(self) -> None:
        self._stream = Stream()
        # copies by the id of the host's vector, which is kept so that no other gets its id
        self._constants: dict[int, tuple[Vector, DeviceArray]] = {}
        self._range: tuple[Any, _Range] = (None, _Range(0, 0, 0))  # a cache of one

    # ---------------------------------------------------------------- arrays

    def host(self, array: DeviceArray | ArrayLike) -> Any:
        return self._stream.host(array)

    def vector(self, values: Taken) -> DeviceArray:
        if type(values) is DeviceArray and values.dtype == _DOUBLE:
            return values
        return self._stream.to_device(values, _DOUBLE)

    def _constant(self, values: Vector) -> DeviceArray:
        """Return the copy of a host vector that will be asked for again."""
        known = self._constants.get(id(values))
        if known is None:
            if len(self._constants) == CONSTANTS:
                self._constants.clear()
            known = self._constants[id(values)] = values, self.vector(values)
        return known[1]

    def snapshot(self, vector: Taken, dtype: np.dtype[Any]) -> DeviceArray:
        return self.vector(vector)  # never changed, and rounded by `sample`

    def empty(self, shape: Shape, dtype: np.dtype[Any]) -> DeviceArray:
        return self._stream.empty(shape, dtype)

    def output(
        self, out: object, shape: Shape, dtype: np.dtype[Any], ids: object = None
    ) -> tuple[DeviceArray, DeviceArray]:
        found = self._stream.output(out, shape, dtype, ids=ids)
        return found, found

    def handed(self, out: object, rows: DeviceArray) -> Any:
        return out

    def given(self, rows: object) -> Any:
        return self._stream.given("population", rows)

    def rows(self, given: Taken, dtype: np.dtype[Any]) -> DeviceArray:
        return self._stream.to_device(given, dtype)

    def copy(self, row: DeviceArray) -> DeviceArray:
        result = self.empty(row.shape, row.dtype)
        self._stream.copy(row, result)
        return result

    def take(self, rows: DeviceArray, places: NDArray[np.intp]) -> Array:
        found: Array = self.host(self._gathered(places, rows, 0, rows, np.inf))
        return found

    def put(self, rows: DeviceArray, places: NDArray[np.intp], some: Taken) -> None:
        some = self._stream.to_device(some, rows.dtype)
        for i, place in enumerate(places):
            self._stream.copy(some[i], rows[place])

    def scores(self, given: object, fitness: Vector) -> DeviceArray:
        found = self._stream.adopt(given) if is_device_array(given) else None
        return self.vector(fitness if found is None or found.dtype != _DOUBLE else found)

    # ---------------------------------------------------------------- rows
    # The items of most of these kernels are columns and rows: the shape (k, n) in reverse

    def sample(
        self, key: np.uint64, ids: Ids, mean: Taken, sigma: Taken, out: DeviceArray, pairs: bool = False
    ) -> None:
        centre, spread = self.vector(mean), self.vector(sigma)
        self._stream.launch(
            noise.sample_rows(out.dtype, pairs), out.shape[::-1],
            key, self._stream.to_device(ids, _ID), centre, spread, out,
        )  # fmt: skip

    def breed(
        self, key: np.uint64, ids: Ids, parents: NDArray[np.intp], pool: Taken, steps: Vector, sigma: Taken,
        variation: Variation, limit: np.floating[Any], out: DeviceArray,
    ) -> None:  # fmt: skip
        crossover, ends, mutation, threshold = variation
        to_device = self._stream.to_device
        self._stream.launch(
            genetic.breed(out.dtype, crossover, mutation, int(threshold) >= ALWAYS), out.shape[::-1],
            key, to_device(ids, _ID), to_device(parents, np.int64), to_device(pool, out.dtype),
            self.vector(steps), self.vector(sigma), to_device(ends if len(ends) else _NO_ENDS, np.int64),
            threshold, limit, out,
        )  # fmt: skip

    def gather(self, order: NDArray[np.intp], old: Taken, kept: int, new: DeviceArray) -> DeviceArray:
        old = self._stream.to_device(old, new.dtype) if kept else new
        return self._gathered(order, old, kept, new, np.inf)

    def limit(self, rows: DeviceArray, most: float) -> None:
        self._stream.copy(self._gathered(np.arange(len(rows)), rows, 0, rows, most), rows)

    def _gathered(
        self, places: NDArray[np.intp], old: DeviceArray, kept: int, new: DeviceArray, limit: float
    ) -> DeviceArray:
        """Return rows, clipped; `places` counts through the first `kept` of `old`, then `new`."""
        result = self.empty((len(places), new.shape[1]), new.dtype)
        if len(places):
            self._stream.launch(
                kernels.gather_rows, result.shape[::-1],
                self._stream.to_device(places, np.int64), old, kept, new, new.dtype.type(limit), result,
            )  # fmt: skip
        return result

    def enclose(self, box: Box, rows: DeviceArray) -> None:
        ends = (box.low, box.high, box.low_margin, box.high_margin, box.first, box.last)
        self._stream.launch(
            kernels.enclose_rows(box.way), rows.shape[::-1],
            *(self._constant(end) for end in ends), rows,
        )  # fmt: skip

    def fingerprints(self, rows: DeviceArray | Recipe) -> DeviceArray:
        k = rows.shape[0]
        parts = grid.parts_of_rows(k)
        result, words = self._stream.empty((k,), _ID), made(rows).view(np.uint32)
        for first, count, *_ in parts:
            some, into = words.rest(first), result.rest(first)
            self._stream.launch(kernels.fingerprint_rows, count, some, into)
        return result

    # ---------------------------------------------------------------- one number for each told row

    def ranked(self, order: NDArray[np.intp], scores: DeviceArray, table: Vector) -> DeviceArray:
        return self._rank(scores, table, centred=False)

    def centred_ranks(self, order: NDArray[np.intp], scores: DeviceArray) -> DeviceArray:
        return self._rank(scores, _NO_TABLE, centred=True)

    def _rank(self, scores: DeviceArray, table: Vector, centred: bool) -> DeviceArray:
        k = len(scores)
        result = self.empty((k,), _DOUBLE)
        self._stream.launch(ranking.rank_rows(centred), k, scores, self._constant(table), result)
        return result

    def lengths(
        self, rows: DeviceArray | Recipe, places: NDArray[np.intp], mean: Taken, scale: Taken
    ) -> Vector:
        there: DeviceArray = made(rows)
        result = self.empty((len(there),), _DOUBLE)
        centre, unit = self.vector(mean), self.vector(scale)
        for first, count, *_ in grid.parts_of_rows(len(there)):
            self._stream.launch(
                moments.squared_lengths, count, there.rest(first), centre, unit, result.rest(first)
            )  # fmt: skip
        squares: Vector = self.host(result)[places]
        return np.sqrt(squares)

    # ---------------------------------------------------------------- vectors

    def moments(
        self, rows: DeviceArray | Recipe, weights: Taken, square_weights: Taken, mean: Taken
    ) -> tuple[DeviceArray, DeviceArray]:
        n = rows.shape[1]
        first, second = self.empty((n,), _DOUBLE), self.empty((n,), _DOUBLE)
        w = self.vector(weights)
        v = w if square_weights is weights else self.vector(square_weights)
        self._stream.launch(
            moments.weighted_moments, n, made(rows), w, v, self.vector(mean), first, second
        )  # fmt: skip
        return first, second

    def map(self, formula: Formula, *args: Taken | float) -> Any:
        read, n = self._read(args)
        results = vectors.results_of(formula, len(args))
        outs = tuple(self.empty((n,), _DOUBLE) for _ in range(results))
        self._stream.launch(vectors.map_vectors(formula), n, outs, read, n)
        return outs if results > 1 else outs[0]

    def total(self, formula: Formula, *args: Taken | float) -> float:
        return float(self._reduced(formula, *args)[:, 0].sum())

    def norm(self, x: Taken) -> float:
        return math.sqrt(self.total(_square, x))

    def range_of(self, x: Taken) -> _Range:
        if self._range[0] is not x:
            sums = self._reduced(_itself, x)
            found = _Range(float(sums[:, 0].sum()) / len(x), float(sums[:, 1].min()), float(sums[:, 2].max()))
            self._range = x, found
        return self._range[1]

    def without_effect(self, mean: Taken, steps: Taken, dtype: np.dtype[Any]) -> bool:
        return self.total(_MOVES[np.dtype(dtype).itemsize], mean, steps) == 0

    def _reduced(self, formula: Formula, *args: Taken | float) -> Array:
        read, n = self._read(args)
        sums = self.empty((vectors.PARTS, 3), _DOUBLE)
        self._stream.launch(vectors.reduce_vectors(formula), vectors.PARTS, sums, read, n)
        found: Array = self.host(sums)
        return found

    def _read(self, args: tuple[Taken | float, ...]) -> tuple[tuple[DeviceArray | float, ...], int]:
        """Return the arguments, vectors copied to the device, and the length of the vectors."""
        read = tuple(
            self.vector(arg) if isinstance(arg, DeviceArray | np.ndarray) else float(arg) for arg in args
        )
        return read, max(arg.shape[0] for arg in read if isinstance(arg, DeviceArray))


def _itself(x: Vector) -> Vector:
    return x


def _square(x: Vector) -> Vector:
    return x * x


def _moves(mean: Vector, steps: Vector) -> Vector:
    return np.where(mean + 0.2 * steps == mean, mean - mean, 1.0)


def _moves_single(mean: Vector, steps: Vector) -> Vector:
    same = (mean + 0.2 * steps).astype(np.float32) == mean.astype(np.float32)
    return np.where(same, mean - mean, 1.0)


_MOVES = {4: _moves_single, 8: _moves}  # keys: the bytes of a row's numbers
