"""Where a strategy computes, on CUDA: the methods of `backend.Cpu`, with the arrays of a device.

Only the fitness, fingerprints and some single numbers come to the host.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from evoopt.kernels.cuda.population import genetic, moments, noise, ranking, rows, vectors
from evoopt.kernels.cuda.runtime import grid
from evoopt.kernels.cuda.runtime.foreign import is_device_array
from evoopt.kernels.cuda.runtime.memory import DeviceArray
from evoopt.kernels.cuda.runtime.stream import Stream
from evoopt.rules.genetic import ALWAYS
from evoopt.strategies.contract.bounds import Box
from evoopt.strategies.contract.told import Told
from evoopt.types import Array, Ids, Vector


class Range(NamedTuple):
    """See `backend.Range`."""

    mean: float
    least: float
    most: float


CONSTANTS = 16  # vectors of the host that are kept on the device
_NO_TABLE, _NO_ENDS = np.zeros(1), np.zeros(1, np.int64)


class Cuda:
    """Kernels on a stream of its own. Vectors of the host are taken, too, and copied."""

    def __init__(self) -> None:
        self._stream = Stream()
        # by the id of the vector, which is kept so that no other one gets it
        self._constants: dict[int, tuple[Vector, DeviceArray]] = {}
        self._range: tuple[Any, Range] = (None, Range(0, 0, 0))  # of the vector that was asked for last

    # ---------------------------------------------------------------- arrays

    def host(self, array: Any) -> Any:
        return np.asarray(self._stream.adopt(array)) if is_device_array(array) else array

    def vector(self, values: Any) -> DeviceArray:
        return self._stream.to_device(values, np.float64)

    def constant(self, values: Vector) -> DeviceArray:
        """Return a vector of the host that will be asked for again."""
        known = self._constants.get(id(values))
        if known is None:
            if len(self._constants) == CONSTANTS:
                self._constants.clear()
            known = self._constants[id(values)] = values, self.vector(values)
        return known[1]

    def empty(self, shape: tuple[int, ...], dtype: Any) -> DeviceArray:
        return self._stream.empty(shape, dtype)

    def output(self, out: Any, shape: tuple[int, ...], dtype: np.dtype[Any], **sources: Any) -> DeviceArray:
        return self._stream.output(out, shape, dtype, **sources)

    def given(self, rows: Any) -> Any:
        return self._stream.given("population", rows)

    def rows(self, given: Any, dtype: np.dtype[Any]) -> DeviceArray:
        return self._stream.to_device(given, dtype)

    def fill(self, out: DeviceArray, rows_: Array) -> None:
        """Copy rows of the host into an array of the device."""
        self._stream.copy(rows_, out)

    def copy(self, row: DeviceArray) -> DeviceArray:
        result = self.empty(row.shape, row.dtype)
        self._stream.copy(row, result)
        return result

    def take(self, rows: DeviceArray, places: Any) -> Array:
        return self.host(self._gathered(np.arange(len(rows))[places], rows, 0, rows, np.inf))

    def put(self, rows: DeviceArray, places: Any, some: Any) -> None:
        some = self._stream.to_device(some, rows.dtype)
        for i, place in enumerate(np.arange(len(rows))[places]):
            self._stream.copy(some[i], rows[place])

    def scores(self, given: Any, fitness: Vector) -> DeviceArray:
        found = self._stream.adopt(given) if is_device_array(given) else None
        return self.vector(fitness if found is None or found.dtype != np.float64 else found)

    # ---------------------------------------------------------------- rows

    def sample(
        self, key: Any, ids: Ids, mean: Any, sigma: Any, out: DeviceArray, pairs: bool = False
    ) -> None:
        self._stream.launch(
            noise.sample_rows(out.dtype, pairs), noise.grid_of(*out.shape), noise.THREADS,
            key, self._stream.to_device(ids, np.uint64), self.vector(mean), self.vector(sigma), out,
        )  # fmt: skip

    def breed(
        self, key: Any, ids: Ids, parents: Any, pool: Any, steps: Vector, sigma: Any, variation: Any,
        limit: Any, out: DeviceArray,
    ) -> None:  # fmt: skip
        crossover, ends, mutation, threshold = variation
        to_device = self._stream.to_device
        self._stream.launch(
            genetic.breed(out.dtype, crossover, mutation, int(threshold) >= ALWAYS),
            noise.grid_of(*out.shape), noise.THREADS,
            key, to_device(ids, np.uint64), to_device(parents, np.int64), to_device(pool, out.dtype),
            self.vector(steps), self.vector(sigma), to_device(ends if len(ends) else _NO_ENDS, np.int64),
            threshold, limit, out,
        )  # fmt: skip

    def gather(self, order: Any, old: Any, kept: int, new: DeviceArray) -> DeviceArray:
        old = self._stream.to_device(old, new.dtype) if kept else new
        return self._gathered(order, old, kept, new, np.inf)

    def limit(self, rows_: DeviceArray, most: float) -> None:
        limited = self._gathered(np.arange(len(rows_)), rows_, 0, rows_, most)
        self._stream.copy(limited, rows_)

    def snapshot(self, vector: Any, dtype: np.dtype[Any]) -> DeviceArray:
        return self.vector(vector)  # nobody changes it, and `sample` rounds

    def enclose(self, box: Box, rows_: DeviceArray) -> None:
        ends = (box.low, box.high, box.low_margin, box.high_margin, box.first, box.last)
        self._stream.launch(
            rows.enclose_rows(box.reflects), rows.grid_of(*rows_.shape), rows.THREADS,
            *(self.constant(end) for end in ends), rows_,
        )  # fmt: skip

    def fingerprints(self, rows_: DeviceArray) -> DeviceArray:
        result = self._stream.empty(len(rows_), np.uint64)
        words = rows_.view(np.uint32)
        for first, count, *_ in grid.parts_of_rows(len(rows_)):
            self._stream.launch(
                rows.fingerprint_rows, count, rows.THREADS, grid.rest(words, first), grid.rest(result, first)
            )
        return result

    def _gathered(self, places: Any, old: Any, kept: int, new: DeviceArray, limit: float) -> DeviceArray:
        """Return rows: `places` counts the first `kept` of `old` and then those of `new`."""
        result = self.empty((len(places), new.shape[1]), new.dtype)
        if len(places):
            self._stream.launch(
                rows.gather_rows, rows.grid_of(*result.shape), rows.THREADS,
                self._stream.to_device(places, np.int64), old, kept, new, new.dtype.type(limit), result,
            )  # fmt: skip
        return result

    # ---------------------------------------------------------------- one number for each told row

    def ranked(self, told: Told, table: Vector) -> DeviceArray:
        return self._rank(told, table, centred=False)

    def centred_ranks(self, told: Told) -> DeviceArray:
        return self._rank(told, _NO_TABLE, centred=True)

    def _rank(self, told: Told, table: Vector, centred: bool) -> DeviceArray:
        k = len(told.order)
        result = self.empty((k,), np.float64)
        blocks = -(-k // ranking.THREADS)
        self._stream.launch(
            ranking.rank_rows(centred), blocks, ranking.THREADS, told.scores, self.constant(table), result
        )
        return result

    def lengths(self, rows_: DeviceArray, places: Any, mean: Any, scale: Any) -> Vector:
        result = self.empty((len(rows_),), np.float64)
        centre, unit = self.vector(mean), self.vector(scale)
        for first, count, *_ in grid.parts_of_rows(len(rows_)):
            self._stream.launch(
                moments.squared_lengths, count, moments.THREADS,
                grid.rest(rows_, first), centre, unit, grid.rest(result, first),
            )  # fmt: skip
        squares: Vector = self.host(result)[places]
        return np.sqrt(squares)

    # ---------------------------------------------------------------- vectors

    def moments(
        self, rows_: DeviceArray, weights: Any, square_weights: Any, mean: Any
    ) -> tuple[DeviceArray, DeviceArray]:
        n = rows_.shape[1]
        first, second = self.empty((n,), np.float64), self.empty((n,), np.float64)
        w = self.vector(weights)
        v = w if square_weights is weights else self.vector(square_weights)
        self._stream.launch(
            moments.weighted_moments, -(-n // moments.COLUMNS), (moments.COLUMNS, moments.PARTS),
            rows_, w, v, self.vector(mean), first, second,
        )  # fmt: skip
        return first, second

    def map(self, formula: Callable[..., Any], *args: Any) -> Any:
        args, n = self._read(args)
        results = vectors.results_of(formula, len(args))
        outs = tuple(self.empty((n,), np.float64) for _ in range(results))
        blocks = -(-n // vectors.THREADS)
        self._stream.launch(vectors.map_vectors(formula), blocks, vectors.THREADS, outs, args, n)
        return outs if results > 1 else outs[0]

    def total(self, formula: Callable[..., Any], *args: Any) -> float:
        return float(self._reduced(formula, *args)[:, 0].sum())

    def norm(self, x: Any) -> float:
        return math.sqrt(self.total(_square, x))

    def range_of(self, x: Any) -> Range:
        if self._range[0] is not x:
            sums = self._reduced(_itself, x)
            found = Range(float(sums[:, 0].sum()) / len(x), float(sums[:, 1].min()), float(sums[:, 2].max()))
            self._range = x, found
        return self._range[1]

    def without_effect(self, mean: Any, steps: Any, dtype: np.dtype[Any]) -> bool:
        return self.total(_MOVES[np.dtype(dtype).itemsize], mean, steps) == 0

    def _reduced(self, formula: Callable[..., Any], *args: Any) -> Array:
        args, n = self._read(args)
        sums = self.empty((vectors.PARTS, 3), np.float64)
        self._stream.launch(vectors.reduce_vectors(formula), vectors.PARTS, vectors.THREADS, sums, args, n)
        return self.host(sums)

    def _read(self, args: Any) -> tuple[tuple[Any, ...], int]:
        """Return vectors on the device and numbers as float64, and how long the vectors are."""
        read = tuple(self.vector(arg) if hasattr(arg, "shape") and arg.shape else float(arg) for arg in args)
        return read, max(arg.shape[0] for arg in read if not isinstance(arg, float))


def _itself(x: Any) -> Any:
    return x


def _square(x: Any) -> Any:
    return x * x


def _moves(mean: Any, steps: Any) -> Any:
    return np.where(mean + 0.2 * steps == mean, mean - mean, 1.0)


def _moves_single(mean: Any, steps: Any) -> Any:
    same = (mean + 0.2 * steps).astype(np.float32) == mean.astype(np.float32)
    return np.where(same, mean - mean, 1.0)


_MOVES = {4: _moves_single, 8: _moves}  # by the bytes of a row's numbers
