"""Populations: the engine that makes rows, and computes with rows and a strategy's vectors.

Rows are arrays (k, n_params) of the strategy's dtype, vectors (n_params,) of float64. A population
is an array, or an object with `shape`, `dtype`, `__array__` and `ids`, see
`evoopt.types.Population`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evoopt.rules.box import Way
from evoopt.types import Array, Ids, Shape, Vector

A = TypeVar("A")  # the device's arrays; for vectors, `pool` and `old` the host's are taken too
Formula = Callable[..., Any]  # see `PopulationEngine.map`
# The codes of `rules.genetic` for crossover, the columns where tensors end, the code for mutation,
# and the threshold of its rate
Variation = tuple[int, NDArray[np.int64], int, np.uint64]


class Box(Protocol):
    """A box low <= x <= high; `first` and `last` are its ends in the rows' dtype."""

    low: Vector
    high: Vector
    low_margin: Vector
    high_margin: Vector
    first: Vector
    last: Vector

    @property
    def way(self) -> Way:
        """The name of the rule in `rules.box` that maps rows into the box."""


class Range(Protocol):
    """The mean, minimum and maximum of a vector."""

    @property
    def mean(self) -> float: ...

    @property
    def least(self) -> float: ...

    @property
    def most(self) -> float: ...


@dataclass(eq=False)
class Recipe:
    """Rows of a dtype that are not made yet: the arguments of `PopulationEngine.sample`.

    Strategies that only sum their rows need no place for all of them. `rows` and `fingerprints` are
    there once they were computed.
    """

    engine: "Engine"
    key: np.uint64
    ids: Ids
    mean: Array  # as is `sigma`, a snapshot
    sigma: Array
    pairs: bool
    dtype: np.dtype[Any]
    rows: Any = None
    fingerprints: Ids | None = None

    @property
    def shape(self) -> Shape:
        """(popsize, n_params)."""
        return len(self.ids), len(self.mean)


def made(rows: Any) -> Any:
    """Return the rows as an array, which is made now if a recipe stands for them."""
    if not isinstance(rows, Recipe):
        return rows
    if rows.rows is None:
        rows.rows = rows.engine.empty(rows.shape, rows.dtype)
        rows.engine.sample(rows.key, rows.ids, rows.mean, rows.sigma, rows.rows, rows.pairs)
    return rows.rows


class PopulationEngine(Protocol[A]):
    """An engine that makes populations and computes with them, on one device."""

    # ---------------------------------------------------------------- arrays

    def host(self, array: A | ArrayLike) -> Any:
        """Return a device's array in the host's memory, and any other object as it is."""

    def vector(self, values: A | Vector) -> A:
        """Return a vector in the memory where the engine computes."""

    def snapshot(self, vector: A | Vector, dtype: np.dtype[Any]) -> A:
        """Return a vector for `sample`, for rows of a dtype; the given vector is never changed."""

    def empty(self, shape: Shape, dtype: np.dtype[Any]) -> A:
        """Return uninitialized rows."""

    def output(self, out: object, shape: Shape, dtype: np.dtype[Any], ids: object = None) -> tuple[Any, A]:
        """Return the user's array for rows, and the array to make the rows in.

        `out` must share no memory with `ids`; None makes a new array.
        """

    def handed(self, out: object, rows: A) -> Any:
        """Return the user's array, filled with its rows; both are from `output`."""

    def given(self, rows: object) -> Any:
        """Return the user's rows, or ids, as an array of real numbers, where they are."""

    def rows(self, given: A | Array, dtype: np.dtype[Any]) -> A:
        """Return given rows in the memory where the engine computes."""

    def copy(self, row: A) -> A:
        """Return a copy of one row."""

    def take(self, rows: A, places: NDArray[np.intp]) -> Array:
        """Return copies of some rows, in the host's memory."""

    def put(self, rows: A, places: NDArray[np.intp], some: A | Array) -> None:
        """Overwrite the rows at `places` by `some`."""

    def scores(self, given: object, fitness: Vector) -> A:
        """Return the fitness where it is ranked; the user's own array, if it is there already."""

    # ---------------------------------------------------------------- rows

    def sample(self, key: np.uint64, ids: Ids, mean: A, sigma: A, out: A, pairs: bool = False) -> None:
        """Write mean + sigma * normal deviates into `out` (k, n_params).

        A row's noise depends only on the key and the row's number. With `pairs`, row 2i + 1 has the
        noise of row 2i, negated.
        """

    def breed(
        self, key: np.uint64, ids: Ids, parents: NDArray[np.intp], pool: A, steps: Vector, sigma: A,
        variation: Variation, limit: np.floating[Any], out: A,
    ) -> None:  # fmt: skip
        """Write children into `out` (k, n_params), each of two `parents` (k, 2), rows of `pool`.

        Child r mutates with step sizes steps[r] * sigma and stays from -`limit` to `limit`, a
        number of the rows' dtype.
        """

    def gather(self, order: NDArray[np.intp], old: A, kept: int, new: A) -> A:
        """Return the rows `order` of [the first `kept` of `old`, `new`], in a single copy."""

    def limit(self, rows: A, most: float) -> None:
        """Clip the numbers of rows to the range from -`most` to `most`, in place."""

    def enclose(self, box: Box, rows: A) -> None:
        """Map rows into a box, in place."""

    def fingerprints(self, rows: A | Recipe) -> Any:
        """Return a fingerprint of each row, 64 bits and never 0, in the engine's memory."""

    # ---------------------------------------------------------------- one number for each told row

    def ranked(self, order: NDArray[np.intp], scores: A, table: Vector) -> A:
        """Return table[i] for the row of rank i; the best has rank 0, and NaN is last."""

    def centred_ranks(self, order: NDArray[np.intp], scores: A) -> A:
        """Return 1/2 for the best row to -1/2 for the worst; equal fitness has the average."""

    def lengths(self, rows: A | Recipe, places: NDArray[np.intp], mean: A, scale: A) -> Vector:
        """Return |(x - mean) / scale| for the rows at `places`, in the host's memory."""

    # ---------------------------------------------------------------- vectors

    def moments(
        self, rows: A | Recipe, weights: A | Vector, square_weights: A | Vector, mean: A
    ) -> tuple[A, A]:
        """Return sum_r w_r (x_r - mean) and sum_r v_r (x_r - mean)^2."""

    def map(self, formula: Formula, *args: A | Vector | float) -> Any:
        """Return the results of a formula of vectors and numbers: a vector, or a tuple of them.

        A formula is made of + - * /, comparisons, and `np.sqrt`, `exp`, `log`, `abs`, `minimum`,
        `maximum` and `where` (whose second argument is no constant), because CUDA has no others.
        """

    def total(self, formula: Formula, *args: A | Vector | float) -> float:
        """Return the sum over the coordinates of a formula of vectors and numbers."""

    def norm(self, x: A) -> float:
        """Return |x|."""

    def range_of(self, x: A) -> Range:
        """Return the mean, minimum and maximum of a vector."""

    def without_effect(self, mean: A, steps: A, dtype: np.dtype[Any]) -> bool:
        """Return whether 0.2 steps change no coordinate of the mean in the rows' dtype."""


Engine = PopulationEngine[Any]  # an engine whose device is not known
