"""Neighbours of a row: other whole numbers and other choices, while the reals rest."""

import hashlib
import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np

from evoopt.portfolio.budget import Budget
from evoopt.strategies.contract.space_box import SpaceBox
from evoopt.types import Vector

GROUP = 100  # neighbours that are evaluated before the best ones are taken
LEAST_SHARE = 0.01  # of the gain so far, for which sweeps go on
PARTS = 16  # the width of an integer, in first steps


class Move(NamedTuple):
    """A change of one variable: its column, its new number, and the value of the row with it."""

    column: int
    number: float
    fun: float = math.nan


class Neighbours:
    """A coordinate search over the integers and choices of a space.

    Parameters
    ----------
    budget : Budget
    box : SpaceBox
        Of the space.
    last : float
        The number of evaluations at which it ends.
    """

    def __init__(self, budget: Budget, box: SpaceBox, last: float = math.inf) -> None:
        self._budget, self._last, space = budget, last, box.space
        self._low, self._high = space.low, space.high
        self._columns = np.flatnonzero(space._is_whole & (space.low < space.high)).tolist()
        self._choices = frozenset(box.choices.tolist())
        self._is_log = [each.log for each in space.variables]
        self._known: dict[bytes, float] = {}

    # ---------------------------------------------------------------- the neighbours of a row

    def around(self, row: Vector) -> list[Move]:
        """Evaluate all rows that differ in one variable, an integer by 1; return the moves."""
        return self._evaluated(row, [move for j in self._columns for move in self._moves(row, j, 1.0)])

    def _moves(self, row: Vector, j: int, step: float) -> Iterator[Move]:
        """Yield the moves of a variable: a step down and up, or to each other choice."""
        now, low, high = float(row[j]), self._low[j], self._high[j]
        numbers: Iterable[float] = range(int(high) + 1)
        if j not in self._choices:
            below = min(np.rint(now / (now + step) * now), now - 1) if self._is_log[j] else now - step
            numbers = max(below, low), min(now + step, high)
        return (Move(j, float(number)) for number in numbers if number != now)

    def _evaluated(self, row: Vector, moves: Sequence[Move]) -> list[Move]:
        values = self.values(changed(row, [move]) for move in moves)
        return [move._replace(fun=value) for move, value in zip(moves, values, strict=True)]

    def values(self, rows: Iterable[Vector]) -> list[float]:
        """Return the values of rows, which are evaluated unless they are known."""
        rows, found = iter(rows), []
        while group := list(islice(rows, GROUP)):
            keys = [_key(row) for row in group]
            new = {key: row for key, row in zip(keys, group, strict=True) if key not in self._known}
            if new:
                values = self._budget.rows(np.array([*new.values()])).tolist()
                self._known.update(zip(new, values, strict=True))
            found += [self._known[key] for key in keys]
        return found

    # ---------------------------------------------------------------- the search

    def search(self, row: Vector, fun: float, parts: float = math.inf) -> tuple[Vector, float]:
        """Move one variable after the other as long as it pays; return the best row and value.

        The first steps of integers are a part of their widths, but at least 1.
        """
        first, gain = fun, math.inf
        while gain > LEAST_SHARE * (first - fun) and self._budget.evaluations < self._last:
            before = fun
            row, fun = self._sweep(row, fun, parts)
            gain, parts = before - fun, math.inf
        return row, fun

    def _sweep(self, row: Vector, fun: float, parts: float) -> tuple[Vector, float]:
        """Move each variable, by steps that double while they gain, until none of them does."""
        self._known = {_key(row): fun}
        lines = [self._line(row, j, parts) for j in self._columns]
        while lines and self._budget.evaluations < self._last:
            for group in _groups(lines):
                before, before_fun = row, fun
                moves = [move for line in group for move in self._moves(row, line.column, line.step)]
                best = _best_of_each(self._evaluated(row, moves))
                row, fun = self._taken(row, fun, [move for move in best.values() if move.fun < fun])
                for line in group:
                    j = line.column
                    line.note(best[j].fun - before_fun, row[j] != before[j])
                self._budget.next_iteration()
            lines = [line for line in lines if not line.is_done]
        return row, fun

    def _line(self, row: Vector, j: int, parts: float) -> "_Line":
        low, high = self._low[j], self._high[j]
        step = row[j] * ((high / low) ** (1 / parts) - 1) if self._is_log[j] else (high - low) / parts
        return _Line(j, high - low, j in self._choices, max(np.rint(step), 1.0))

    def _taken(self, row: Vector, fun: float, moves: list[Move]) -> tuple[Vector, float]:
        """Return the row after the best of some moves, or after all of them if that is better."""
        if not moves:
            return row, fun
        best = min(moves, key=lambda move: move.fun)
        together = changed(row, moves)
        if len(moves) > 1 and (value := self.values([together])[0]) < best.fun:
            return together, value
        return changed(row, [best]), best.fun


class _Line:
    """The search along one variable."""

    def __init__(self, column: int, width: float, is_choice: bool, step: float) -> None:
        self.column, self._width, self.is_choice, self.step = column, width, is_choice, step
        self.is_done = self._was_equal = self._has_shrunk = False

    @property
    def neighbours(self) -> int:
        """About how many there are."""
        return int(self._width) if self.is_choice else 2

    def note(self, rise: float, moved: bool) -> None:
        """Choose the next step, after the best neighbour was higher by `rise`."""
        if rise < 0:
            self.is_done = self.is_choice and moved
            self.step *= 1 + moved
            self._was_equal = self._has_shrunk = False
        elif self.is_choice:
            self.is_done = True
        elif rise == 0:  # a plateau, which longer steps may leave
            self.is_done = self._has_shrunk or self.step >= self._width
            self.step, self._was_equal = 2 * self.step, True
        else:
            self.is_done = self._was_equal or self.step == 1
            self.step, self._has_shrunk = max(self.step // 2, 1.0), True


def changed(row: Vector, moves: Iterable[Move]) -> Vector:
    """Return a row after moves."""
    row = row.copy()
    for move in moves:
        row[move.column] = move.number
    return row


def _key(row: Vector) -> bytes:
    return hashlib.blake2b(row.tobytes(), digest_size=16).digest()  # rows may be long


def _groups(lines: Sequence[_Line]) -> Iterator[list[_Line]]:
    """Yield lines in groups of about as many neighbours."""
    group: list[_Line] = []
    for line in lines:
        group.append(line)
        if sum(each.neighbours for each in group) >= GROUP or line is lines[-1]:
            yield group
            group = []


def _best_of_each(moves: Iterable[Move]) -> dict[int, Move]:
    """Return the best move of each column; NaN is worse than any number."""
    found: dict[int, Move] = {}
    for move in moves:
        if move.column not in found or not found[move.column].fun <= move.fun:
            found[move.column] = move
    return found
