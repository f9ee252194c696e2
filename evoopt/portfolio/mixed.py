"""A local search of mixed spaces: over integers and choices, and by descents over the reals."""

import math
from itertools import combinations

import numpy as np

from evoopt.portfolio.budget import Budget
from evoopt.portfolio.descent import LEAST_GAIN, PATIENCE
from evoopt.portfolio.neighbours import PARTS, Move, Neighbours, changed
from evoopt.portfolio.newton import Newton
from evoopt.portfolio.reals import Reals
from evoopt.strategies.contract.space_box import SpaceBox
from evoopt.types import Vector

MOST = 100  # evaluations for each coordinate, if that is more than half of all
AGAIN = 1e-4  # share of the gain so far for which neighbours are tried again after the last descent
Best = tuple[Vector, float]  # a row, and its value


class MixedSearch:
    """Searches the neighbours of the best row, at first with its reals, then with their own.

    Neighbours differ in one integer or choice, or in two of them. The most promising ones get
    Newton steps of the reals, with the curvature of the descents so far. The search ends when no
    neighbour is better, or when looking for one has taken as long as all of the search before.

    Parameters
    ----------
    budget : Budget
    box : SpaceBox
    reals : Reals
    descends : bool
        Whether the reals are searched, too.
    tol : float
        A gain that counts as none, see `Descent`.
    """

    def __init__(self, budget: Budget, box: SpaceBox, reals: Reals, descends: bool, tol: float) -> None:
        self._budget, self._reals, self._tol = budget, reals, tol
        n = len(box.space)
        self._end = budget.evaluations + max(MOST * n, budget.planned / 2)
        self._neighbours = Neighbours(budget, box, self._end)
        self._newton = Newton(reals, reals.sigma, reals.low, reals.high, tol)
        self._descends = descends and bool((reals.low < reals.high).any())
        self._least_patience = PATIENCE * n

    def run(self, row: Vector, fun: float) -> Best:
        """Search from a row, whose value is `fun`; return the best row and its value."""
        self._first, self._begun = fun, self._budget.evaluations
        best = self._descend(*self._neighbours.search(row, fun, PARTS))
        self._descends = self._descends and not self._newton.has_steps
        while self._budget.evaluations < self._end:
            last, (row, fun) = best, self._neighbours.search(*best)
            if not self._has_gained(last[1], fun):
                row, fun = self._try(row, fun)
            if self._has_gained(last[1], fun):
                best = self._extended(last[0], *self._refit(row, fun))
                continue
            best = self._descend(row, fun)
            if not fun - best[1] > AGAIN * (self._first - best[1]):
                break
        return best

    def _has_gained(self, before: float, fun: float) -> bool:
        return before - fun > max(LEAST_GAIN * (self._first - fun), self._tol)

    # ---------------------------------------------------------------- the reals of a row

    def _descend(self, row: Vector, fun: float) -> Best:
        """Descend over the reals."""
        if not self._descends:
            return row, fun
        x, fun = self._newton.run(self._reals.rest_at(row), fun)
        return self._reals.row(x), fun

    def _refit(self, row: Vector, fun: float, goal: float = -math.inf) -> Best:
        """Take Newton steps of the reals, below a goal if there is one."""
        if not self._descends:
            return row, fun
        x, fun = self._newton.step(self._reals.rest_at(row), fun, goal)
        return self._reals.row(x), fun

    def _extended(self, before: Vector, row: Vector, fun: float) -> Best:
        """Go on from a row as from the row before to it, in steps that double, while it pays."""
        share = 1.0
        while True:
            further = self._reals.beyond(before, row, share)
            if np.array_equal(further, row) or not (value := self._budget.at(further)) < fun:
                return row, fun
            before, row, fun, share = row, further, value, 2.0

    # ---------------------------------------------------------------- neighbours with other reals

    def _try(self, row: Vector, fun: float) -> Best:
        """Return the first better neighbour, or the row itself if there is none."""
        now = self._budget.evaluations
        self._last = now + max(self._least_patience, now - self._begun)
        singles = [[move] for move in self._neighbours.around(row)]
        values, best = self._try_each(row, fun, singles)
        if best[1] < fun or len(singles) < 2:
            return best
        known = zip(singles, values, strict=True)
        moves = [move._replace(fun=value) for (move,), value in known if math.isfinite(value)]
        return self._try_each(row, fun, self._pairs(moves))[1]

    def _pairs(self, moves: list[Move]) -> list[list[Move]]:
        """Return pairs of the most promising moves, as many as there are evaluations left."""
        left = max(self._last - self._budget.evaluations, 0)
        best = sorted(moves, key=lambda move: move.fun)[: math.isqrt(2 * left) + 1]
        pairs = [[a, b] for a, b in combinations(best, 2) if a.column != b.column]
        return sorted(pairs, key=lambda pair: pair[0].fun + pair[1].fun)[:left]

    def _try_each(self, row: Vector, fun: float, changes: list[list[Move]]) -> tuple[list[float], Best]:
        """Evaluate a row after each of some changes, the most promising ones with their own reals.

        Return the values, and the first better row; the row itself if there is none.
        """
        values = self._neighbours.values(changed(row, moves) for moves in changes)
        for i in np.argsort(values, kind="stable").tolist():
            found, is_worse = changed(row, changes[i]), not values[i] < fun
            if is_worse and (self._budget.evaluations >= self._last or not math.isfinite(values[i])):
                break
            if is_worse and self._descends:
                found, values[i] = self._refit(found, values[i], fun)
                self._budget.next_iteration()
            if values[i] < fun:
                return values, (found, values[i])
        return values, (row, fun)
