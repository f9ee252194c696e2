"""What a strategy asks of its device: to make rows, and to compute with them and with vectors of its state.

Rows are arrays (k, n_params) of the strategy's dtype, vectors (n_params,) of float64. A population is an
array, or an object with `shape`, `dtype`, `__array__` and `ids`, see `evoopt.types.Population`.
"""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evoopt.rules.box import Way
from evoopt.types import Array, Ids, Shape, Vector

A = TypeVar("A")  # the device's arrays; where it takes some, it takes those of the host as well
Formula = Callable[..., Any]  # see `PopulationEngine.map`
# crossover, the columns where tensors end, mutation, and the threshold of its rate: codes of `rules.genetic`
Variation = tuple[int, NDArray[np.int64], int, np.uint64]


class Box(Protocol):
    """A box low <= x <= high; `first` and `last` are its ends in the dtype of the rows."""

    low: Vector
    high: Vector
    low_margin: Vector
    high_margin: Vector
    first: Vector
    last: Vector

    @property
    def way(self) -> Way:
        """The name of the rule in `rules.box` that maps rows into it."""


class Range(Protocol):
    """Mean, minimum and maximum of a vector."""

    @property
    def mean(self) -> float: ...

    @property
    def least(self) -> float: ...

    @property
    def most(self) -> float: ...


class PopulationEngine(Protocol[A]):
    """The operations of a device on populations."""

    # ---------------------------------------------------------------- arrays

    def host(self, array: A | ArrayLike) -> Any:
        """Return an array in the host's memory; what is no array of a device stays as it is."""

    def vector(self, values: A | Vector) -> A:
        """Return a vector where it is computed with."""

    def snapshot(self, vector: A | Vector, dtype: np.dtype[Any]) -> A:
        """Return a vector as `sample` takes it for rows of a dtype; nobody changes it."""

    def empty(self, shape: Shape, dtype: np.dtype[Any]) -> A:
        """Return rows without values."""

    def output(self, out: object, shape: Shape, dtype: np.dtype[Any], ids: object = None) -> tuple[Any, A]:
        """Read the user's array for rows, apart from the memory of `ids`; None makes one.

        Return it, and the array to make the rows in.
        """

    def handed(self, out: object, rows: A) -> Any:
        """Return the user's array with the rows that were made for it; both are from `output`."""

    def given(self, rows: object) -> Any:
        """Return what the user gave as rows, or as ids, as an array of real numbers, where it is."""

    def rows(self, given: A | Array, dtype: np.dtype[Any]) -> A:
        """Return given rows where they are computed with."""

    def copy(self, row: A) -> A:
        """Return a copy of one row."""

    def take(self, rows: A, places: NDArray[np.intp]) -> Array:
        """Return copies of some rows, in the host's memory."""

    def put(self, rows: A, places: NDArray[np.intp], some: A | Array) -> None:
        """Write some rows over those at `places`."""

    def scores(self, given: object, fitness: Vector) -> A:
        """Return the fitness of rows where it is ranked: what the user gave, if it is there."""

    # ---------------------------------------------------------------- rows

    def sample(self, key: np.uint64, ids: Ids, mean: A, sigma: A, out: A, pairs: bool = False) -> None:
        """Write mean + sigma * normal deviates into `out` (k, n_params), each row a function of its number.

        Of `pairs`, rows 2k + 1 have the noise of rows 2k, negated.
        """

    def breed(
        self, key: np.uint64, ids: Ids, parents: NDArray[np.intp], pool: A, steps: Vector, sigma: A,
        variation: Variation, limit: np.floating[Any], out: A,
    ) -> None:  # fmt: skip
        """Write children of two `parents` (k, 2) each, rows of `pool`, into `out` (k, n_params).

        They move by mutations of steps[r] * sigma, at most to `limit` or -`limit`, a number of their dtype.
        """

    def gather(self, order: NDArray[np.intp], old: A, kept: int, new: A) -> A:
        """Return the rows `order` of [the first `kept` of `old`, `new`], without other copies."""

    def limit(self, rows: A, most: float) -> None:
        """Move numbers of rows, in place, to the nearest ones from -`most` to `most`."""

    def enclose(self, box: Box, rows: A) -> None:
        """Map rows into a box, in place."""

    def fingerprints(self, rows: A) -> Any:
        """Return 64 bits of each row, never 0, where they are computed."""

    # ---------------------------------------------------------------- one number for each told row

    def ranked(self, order: NDArray[np.intp], scores: A, table: Vector) -> A:
        """Return table[i] for the row of rank i; the best has 0, and NaN is last."""

    def centred_ranks(self, order: NDArray[np.intp], scores: A) -> A:
        """Return 1/2 for the best row to -1/2 for the worst; equal fitness has the average."""

    def lengths(self, rows: A, places: NDArray[np.intp], mean: A, scale: A) -> Vector:
        """Return |(x - mean) / scale| of the rows at `places`, in the host's memory."""

    # ---------------------------------------------------------------- vectors

    def moments(self, rows: A, weights: A | Vector, square_weights: A | Vector, mean: A) -> tuple[A, A]:
        """Return sum_r w_r (x_r - mean) and sum_r v_r (x_r - mean)^2."""

    def map(self, formula: Formula, *args: A | Vector | float) -> Any:
        """Return the results of a formula of vectors and numbers: a vector, or a tuple of them.

        A formula is a function made of + - * /, comparisons, and `np.sqrt`, `exp`, `log`, `abs`, `minimum`,
        `maximum` and `where` (whose second argument is no constant), as CUDA knows no others.
        """

    def total(self, formula: Formula, *args: A | Vector | float) -> float:
        """Return the sum over the coordinates of a formula of vectors and numbers."""

    def norm(self, x: A) -> float:
        """Return |x|."""

    def range_of(self, x: A) -> Range:
        """Return mean, minimum and maximum."""

    def without_effect(self, mean: A, steps: A, dtype: np.dtype[Any]) -> bool:
        """Whether 0.2 steps change no coordinate of the mean in the dtype of the rows."""


Engine = PopulationEngine[Any]  # of a device whose arrays are not known
