"""The rows of one `tell` as strategies see them, the best row, and the history."""

import math
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from evoopt.devices.interface.population import Recipe, made
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
from evoopt.strategies.contract.ledger import FOREIGN
from evoopt.strategies.contract.registry import plain_data
from evoopt.types import Array, Ids, Vector

# A checkpoint holds so many first and last generations of the history. The first ones show the unit
# of the fitness. No decision depends on the others, so a loaded search goes on as it would have.
FIRST_KEPT, LAST_KEPT = 10, 100_000


class Told(NamedTuple):
    """The rows of one `tell`, as `Strategy._update` gets them.

    Attributes
    ----------
    rows : array, shape (popsize, n_params), or Recipe
        The rows in the space that the strategy searches, or how to make them, if it only sums them
        (`Strategy._sums_rows`). This may be the user's own array: do not change or keep it. It has
        no rows if the strategy learns from ids alone (`Strategy._needs_rows`).
    fitness : ndarray, shape (popsize,), float64
        Smaller is better, also if the user maximizes; NaN if a row has no fitness.
    order : ndarray of int, shape (popsize,)
        The places of the rows by rank: best first, NaN last.
    outside : ndarray of bool, shape (popsize,), or None
        True for foreign rows, which were never asked for, and late rows, which were asked for
        before the last update. None if there are none.
    ids : ndarray of uint64, shape (popsize,)
        The ids of the rows; 2**64 - 1 for foreign ones.
    drawn : list of (snapshot, places)
        Each `Strategy._snapshot` with the places of the rows that it drew, a slice or an array;
        foreign rows are in none.
    scores : array, shape (popsize,)
        The fitness on the device where the strategy computes.
    """

    rows: Array | Recipe
    fitness: Vector
    order: NDArray[np.intp]
    outside: NDArray[np.bool_] | None
    ids: Ids
    drawn: list[Drawn]
    scores: Any

    @property
    def population(self) -> Array:
        """The rows as an array, which is made now if they were not made before."""
        rows: Array = made(self.rows)
        return rows

    @property
    def some_late(self) -> bool:
        """Whether rows were drawn by an older distribution."""
        return self.outside is not None and bool((self.outside & (self.ids != FOREIGN)).any())

    def without_late(self) -> Self:
        """Return the same rows with no mark at late ones, only at foreign ones."""
        foreign = self.ids == FOREIGN
        return self._replace(outside=foreign if foreign.any() else None)

    def by_place(self) -> Iterator[tuple[int, NDArray[np.intp], NDArray[np.uint64]]]:
        """Yield the told rows of each snapshot, which must begin with its first id and a number.

        Each item is this number, the rows that have a fitness, best first, and the places of these
        rows in their epoch.
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
    """The best row told so far; with ``noisy=True`` the best row of the last generation.

    Attributes
    ----------
    x : ndarray, shape (n_params,), or None
        A copy of the row; None until a row with a fitness is told.
    fitness : float
        The fitness in the user's sign; NaN while `x` is None.
    generation, evaluations : int
        The strategy's counts when the row was told, or counted if it was too old to learn from; the
        first generation is 1.
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
    """Return whether a fitness beats another one; any number beats NaN, which beats nothing."""
    if math.isnan(than) or math.isnan(fitness):
        return not math.isnan(fitness)
    return fitness > than if maximize else fitness < than


def new_history() -> dict[str, list[Any]]:
    """Return an empty history."""
    return {name: [] for name in ("generation", "evaluations", "best", "median", "best_so_far", "sigma")}


def until(history: dict[str, list[Any]], generation: int) -> dict[str, list[Any]]:
    """Return a copy of a history up to a generation, without columns that begin later."""
    columns = history.copy()  # a `tell` may add to it meanwhile
    count = bisect_right(columns["generation"], generation)
    result = {name: column[:count] for name, column in columns.items()}
    return {name: column for name, column in result.items() if column or name in new_history()}


def remembered(history: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Return the first and the last generations of a history, which a checkpoint holds."""
    most = FIRST_KEPT + LAST_KEPT
    return {
        name: column if len(column) <= most else [*column[:FIRST_KEPT], *column[-LAST_KEPT:]]
        for name, column in history.items()
    }


def stored_history(value: Any, place: str, scope: Scope) -> None:
    """Check a history from a file, see `fields`: each column has a number per generation."""
    require(type(value) is dict and new_history().keys() <= value.keys(), place, "a history", value)
    length = len(value["generation"])
    require(length <= scope.owner.generation, place, f"of up to {scope.owner.generation} generations", length)
    for name, column in value.items():
        counts = name in ("generation", "evaluations")
        plain = type(column) is list and set(map(type, column)) <= ({int} if counts else {int, float})
        kind = anything if plain else whole() if counts else ANY_NUMBER
        items(list, kind, length)(column, f"{place}[{name!r}]", scope)
        own = name not in new_history()  # a strategy may have begun its own column later
        require(own or len(column) == length, f"{place}[{name!r}]", f"of {length} generations", len(column))
    last = [value["generation"][-1:], value["evaluations"][-1:]]
    told = [[each] * (each > 0) for each in (scope.owner.generation, scope.owner.evaluations)]
    require(last == told, place, f"a history of {scope.owner.generation} generations", last)


def best_and_median(ranked: list[float]) -> tuple[float, float]:
    """Return best and median of a fitness sorted with NaN last; NaN counts only if all are NaN."""
    while ranked and math.isnan(ranked[-1]):
        ranked.pop()
    if not ranked:
        return math.nan, math.nan
    half = len(ranked) // 2
    lower, upper = ranked[(len(ranked) - 1) // 2], ranked[half]
    return ranked[0], upper if lower == upper else lower / 2 + upper / 2
