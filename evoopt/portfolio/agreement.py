"""The ends of searches: whether they agree, have the best value, or show noise."""

import math
from typing import NamedTuple

import numpy as np

from evoopt.portfolio.budget import Budget
from evoopt.strategies.contract import stopping
from evoopt.strategies.contract.base import Strategy
from evoopt.strategies.parts.restarts import run_of
from evoopt.types import Vector

# Values count as the same if they differ by this share of the best one, or of their first range.
AGREE = 1e-8
# Two ends this near, in sigma for each coordinate, should have the same value.
NEAR = 0.1
ROUNDING = 1e-12  # relative difference of sums in another order, which is no noise


class End(NamedTuple):
    """Where a search ended by itself.

    Attributes
    ----------
    x : ndarray, shape (n,)
    fun : float
        Its best value lately. One that was met by chance on the way, where it did not stay, is no
        end.
    range : float
        How far its values ranged at first.
    last_range : float
        How far they range at the end.
    tolerance : float
        The range that it takes for none.
    """

    x: Vector
    fun: float
    range: float
    last_range: float = 0.0
    tolerance: float = 0.0


def end_of(strategy: Strategy, tol: float = 0.0) -> End:
    """Return the end of a strategy, or of its present run, with a tolerance of at least `tol`."""
    run = run_of(strategy)
    return End(
        strategy.mean,
        float(np.fmin.reduce(stopping.latest(run))),
        stopping.first_range(run),
        _last_range(run),
        stopping.least_range(run, max(tol, getattr(run, "tolfun", 0.0))),
    )


def has_contracted(strategy: Strategy, tol: float) -> bool:
    """Whether the values of its present run, if it has any, range over less than `tol` lately."""
    run = run_of(strategy)
    return run.generation > 0 and bool(stopping.flat_fitness(run, _last_range(run), tol, at_once=True))


def _last_range(run: Strategy) -> float:
    spread: float = abs(run.history["median"][-1] - run.history["best"][-1])
    return spread


class Ends:
    """The ends of searches on one budget.

    Parameters
    ----------
    budget : Budget
    sigma : ndarray, shape (n,)
        The scale of the coordinates.

    Attributes
    ----------
    noise : str
        A sentence if an evaluation showed another value when it was repeated, else empty.
    """

    def __init__(self, budget: Budget, sigma: Vector) -> None:
        self._budget, self._sigma = budget, sigma
        self._ends: list[End] = []
        self._looked: Vector | None = None  # the best point when it was evaluated again
        self.noise = ""

    @property
    def agreed(self) -> bool:
        """Whether two searches have ended at the best value."""
        return not self.noise and sum(map(self._is_best, self._ends)) > 1

    @property
    def hold_best(self) -> bool:
        """Whether the last search has ended at the best value."""
        return not self.noise and bool(self._ends) and self._is_best(self._ends[-1])

    def agree_with(self, end: End) -> bool:
        """Whether a search would agree with another one, if it ended now."""
        return not self.noise and self._is_best(end) and any(map(self._is_best, self._ends))

    def add(self, end: End) -> None:
        """Add an end; look for noise if its last values differ, or the values of ends nearby."""
        near = [other.fun for other in self._ends if self._is_near(end.x, other.x)]
        self._ends.append(end)
        apart = max((abs(end.fun - fun) for fun in near), default=0.0)
        if end.last_range > end.tolerance or apart > self._tolerance(end):
            self.look_for_noise()

    def look_for_noise(self) -> None:
        """Evaluate the best point once more, unless that was done or noise was found before."""
        budget = self._budget
        if self.noise or budget.x is None or budget.x is self._looked:
            return
        self._looked, value = budget.x, budget.fun
        again = budget.at(budget.x)
        if not math.isclose(value, again, rel_tol=ROUNDING, abs_tol=ROUNDING * self._range):
            self.noise = (
                f"fun is noisy: at one point it was {value:g} and then {again:g}; take the option noisy=True"
            )

    def _is_best(self, end: End) -> bool:
        """Whether an end has the best value of all evaluations."""
        return end.fun - self._budget.fun <= self._tolerance(end)

    def _tolerance(self, end: End) -> float:
        """Return the difference of values that counts as none."""
        return max(AGREE * max(abs(self._budget.fun), self._range), end.tolerance)

    @property
    def _range(self) -> float:
        """The smallest first range of a search; larger ones may be due to penalties."""
        return min((end.range for end in self._ends if 0 < end.range < np.inf), default=0.0)

    def _is_near(self, x: Vector, y: Vector) -> bool:
        return bool((np.abs(x - y) <= NEAR * self._sigma).all())
