"""The real variables of a search, as a budget of their own."""

import numpy as np

from evoopt.portfolio.budget import Budget
from evoopt.portfolio.start import Start
from evoopt.types import Array, Vector


class Reals:
    """A budget that evaluates points of the real variables, while the others rest at a row.

    A point (k,) has the latent numbers of the reals: logarithms where ``log=True``. Outside of a
    space all n coordinates are real, and a point is a row.

    Parameters
    ----------
    budget : Budget
    start : Start

    Attributes
    ----------
    columns : ndarray of int, shape (k,)
    sigma, low, high : ndarray, shape (k,)
        The first step sizes of the reals, and their box.
    """

    def __init__(self, budget: Budget, start: Start) -> None:
        self._budget, self._start, self._latent = budget, start, start.latent(start.x0)
        is_real = np.ones(len(start.x0), np.bool_) if start.box is None else ~start.box.space._is_whole
        self.columns = np.flatnonzero(is_real)
        ends = start.sigma, start.low, start.high
        self.sigma, self.low, self.high = (each[self.columns] for each in ends)

    @property
    def evaluations(self) -> int:
        """The evaluations so far of the whole budget."""
        return self._budget.evaluations

    def at(self, x: Vector) -> float:
        """Evaluate one point (k,)."""
        return float(self.rows(x[None])[0])

    def rows(self, rows: Array) -> Vector:
        """Evaluate points (m, k)."""
        return self._budget.rows(self.completed(rows))

    def next_iteration(self) -> None:
        """Count an iteration."""
        self._budget.next_iteration()

    def rest_at(self, row: Vector) -> Vector:
        """Let the other variables rest at a row's numbers; return the row's point."""
        self._latent = self._start.latent(row)
        return self._latent[self.columns]

    def row(self, x: Vector) -> Vector:
        """Return the row (n,) of a point (k,), which may be outside of the box."""
        row: Vector = self.completed(np.clip(x, self.low, self.high)[None])[0]
        return row

    def beyond(self, before: Vector, row: Vector, share: float) -> Vector:
        """Return the row beyond `row`, seen from the row before, by a share of their distance.

        It is `row` itself if both have the same integers.
        """
        box = self._start.box
        assert box is not None
        low, high = box.space.low, box.space.high
        x, y = self.rest_at(before), self.rest_at(row)
        move = row - before
        move[box.choices] = 0.0
        is_whole = box.space._is_whole
        if not move[is_whole].any():
            return row
        self.rest_at(np.where(is_whole, np.clip(row + share * move, low, high), row))
        return self.row(y + share * (y - x))

    def completed(self, points: Array) -> Array:
        """Return the rows (m, n) of points (m, k)."""
        box = self._start.box
        if box is None:
            return points
        rows = np.repeat(self._latent[None], len(points), axis=0)
        rows[:, self.columns] = points
        box.decode(rows)
        return rows
