"""What was told: the rows of one `tell` as strategies see them, the best row, the history."""

import math
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evoopt.strategies.contract.epochs import Drawn
from evoopt.strategies.contract.fields import (
    ANY_NUMBER,
    ROW,
    Fields,
    Scope,
    anything,
    items,
    optional,
    require,
    whole,
)
from evoopt.strategies.contract.registry import plain_data
from evoopt.types import Array, Ids, Vector

# A checkpoint holds so many generations of the history: the first ones, which show in which unit the fitness
# is, and the last ones. No decision looks at others, so that a search goes on from a file as without one.
FIRST_KEPT, LAST_KEPT = 10, 100_000


class Told(NamedTuple):
    """The rows of one `tell`, as `Strategy._update` gets them.

    Attributes
    ----------
    population : ndarray, shape (popsize, n_params)
        In the space that the strategy searches in. May be the user's own array: not to be changed or kept.
        Without rows for a strategy that learns from ids alone (`Strategy._needs_rows`).
    fitness : ndarray, shape (popsize,), float64
        Smaller is better, also if the user maximizes; NaN where there is none.
    order : ndarray of int, shape (popsize,)
        Best first, NaN last.
    outside : ndarray of bool, shape (popsize,), or None
        True for rows that are not of the distribution as it is now: foreign or late. None if there are none.
    ids : ndarray of uint64, shape (popsize,)
        2**64 - 1 for foreign rows.
    drawn : list of (snapshot, places)
        Which rows were drawn from which `Strategy._snapshot`; foreign rows are in none.
    scores : array, shape (popsize,)
        The fitness where the strategy computes: on its device.
    """

    population: Array
    fitness: Vector
    order: NDArray[np.intp]
    outside: NDArray[np.bool_] | None
    ids: Ids
    drawn: list[Drawn]
    scores: Any

    def by_place(self) -> Iterator[tuple[int, NDArray[np.intp], NDArray[np.uint64]]]:
        """Yield what was told of each snapshot that begins with its first id and a number of rows.

        The number, the rows that have a fitness, best first, and which rows of the snapshot these are.
        """
        ranked = self.order[~np.isnan(self.fitness[self.order])]
        for (first_id, number, *_), where in self.drawn:
            mine = np.zeros(len(self.order), np.bool_)
            mine[where] = True
            rows = ranked[mine[ranked]]
            yield number, rows, self.ids[rows] - np.uint64(first_id)


@plain_data
@dataclass(eq=False, repr=False)  # arrays have no truth value
class Best:
    """The best row told so far; with ``noisy=True`` that of the last generation only.

    Attributes
    ----------
    x : ndarray, shape (n_params,), or None
        A copy. None as long as no row was told that has a fitness.
    fitness : float
        In the user's sign; NaN while `x` is None.
    generation, evaluations : int
        When it was told; the first generation is 1.
    """

    _stored: ClassVar[Fields] = {
        "_x": optional(ROW),
        "fitness": ANY_NUMBER,
        "generation": whole(),
        "evaluations": whole(),
    }

    _x: Array | None = None
    fitness: float = math.nan
    generation: int = 0
    evaluations: int = 0

    def _require_fit(self, place: str, scope: Scope) -> None:
        fits = self.generation <= scope.owner.generation and self.evaluations <= scope.owner.evaluations
        require(fits, place, "a row that was told", self)
        require((self._x is None) == math.isnan(self.fitness), place, "a row with its fitness", self)

    @property
    def x(self) -> Array | None:
        """A copy of the row, in the host's memory."""
        return None if self._x is None else np.array(self._x)

    def __repr__(self) -> str:
        return (
            f"Best(x={self._x!r}, fitness={self.fitness!r}, generation={self.generation}, "
            f"evaluations={self.evaluations})"
        )


def better(fitness: float, than: float, maximize: bool) -> bool:
    """Whether a fitness beats another one; any number beats NaN, which beats nothing."""
    if math.isnan(than) or math.isnan(fitness):
        return not math.isnan(fitness)
    return fitness > than if maximize else fitness < than


def new_history() -> dict[str, list[Any]]:
    """Return a history without generations."""
    return {name: [] for name in ("generation", "evaluations", "best", "median", "best_so_far", "sigma")}


def until(history: dict[str, list[Any]], generation: int) -> dict[str, list[Any]]:
    """Return a copy of a history up to a generation, without columns that begin later."""
    columns = history.copy()  # as a `tell` may add to it meanwhile
    count = bisect_right(columns["generation"], generation)
    result = {name: column[:count] for name, column in columns.items()}
    return {name: column for name, column in result.items() if column or name in new_history()}


def remembered(history: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Return the first and the last generations of a history, as many as a checkpoint holds."""
    most = FIRST_KEPT + LAST_KEPT
    return {
        name: column if len(column) <= most else [*column[:FIRST_KEPT], *column[-LAST_KEPT:]]
        for name, column in history.items()
    }


def stored_history(value: Any, place: str, scope: Scope) -> None:
    """Take the history of a strategy, see `fields`: a number in each column for each generation."""
    require(type(value) is dict and new_history().keys() <= value.keys(), place, "a history", value)
    length = len(value["generation"])
    require(length <= scope.owner.generation, place, f"of up to {scope.owner.generation} generations", length)
    for name, column in value.items():
        counts = name in ("generation", "evaluations")
        plain = type(column) is list and set(map(type, column)) <= ({int} if counts else {int, float})
        kind = anything if plain else whole() if counts else ANY_NUMBER
        items(list, kind, length)(column, f"{place}[{name!r}]", scope)
        own = name not in new_history()  # of a strategy, which may have begun it later
        require(own or len(column) == length, f"{place}[{name!r}]", f"of {length} generations", len(column))
    last = [value["generation"][-1:], value["evaluations"][-1:]]
    told = [[each] * (each > 0) for each in (scope.owner.generation, scope.owner.evaluations)]
    require(last == told, place, f"that of {scope.owner.generation} generations", last)


def best_and_median(ranked: list[float]) -> tuple[float, float]:
    """Return the best and the median of fitness sorted with NaN last; NaN counts only if all are NaN."""
    while ranked and math.isnan(ranked[-1]):
        ranked.pop()
    if not ranked:
        return math.nan, math.nan
    half = len(ranked) // 2
    lower, upper = ranked[(len(ranked) - 1) // 2], ranked[half]
    return ranked[0], upper if lower == upper else lower / 2 + upper / 2
