"""The portfolio: descents and line searches while they pay, the rest of the budget to restarted CMA-ES."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from evoopt.arguments import Vector
from evoopt.loop import Limits, run
from evoopt.portfolio.budget import Budget, OverError
from evoopt.portfolio.descent import Descent
from evoopt.portfolio.separable import WIDTH, is_separable, search_lines
from evoopt.strategies.base import Strategy
from evoopt.strategies.restarts import Restarts
from evoopt.strategies.stopping import Reason

LEAST_BUDGET = 5  # gradients; with fewer evaluations there is no descent
AGREE = 1e-8  # of the best value, or of what was gained since x0: ends of searches that count as the same


@dataclass
class Portfolio:
    """Searches one after the other, on one budget.

    Parameters
    ----------
    budget : Budget
    strategy : Restarts
        Not asked yet.
    x0, sigma, low, high : ndarray, shape (n,)
        Where and how far to look, and the box.
    until_agreed : bool
        Whether to end once two searches from different starts have ended at the best value.

    Attributes
    ----------
    reasons : tuple of (name, message)
        Why it ended.
    story : list of str
        What it did.
    """

    budget: Budget
    strategy: Restarts
    x0: Vector
    sigma: Vector
    low: Vector
    high: Vector
    until_agreed: bool
    reasons: tuple[Reason, ...] = ()
    story: list[str] = field(default_factory=list)
    _first: float = np.nan  # value at x0
    _ends: list[float] = field(default_factory=list)  # best values of the searches that ended by themselves

    def run(self) -> None:
        """Search until there is a reason to end."""
        try:
            fun = self._first = self.budget.at(self.x0)
            self.budget.check_iterations()
            if self.budget.max_evaluations >= LEAST_BUDGET * (len(self.x0) + 1) and np.isfinite(fun):
                self._descend(self.x0, fun)
            self.reasons = self._evolve()
        except OverError as over:
            self.reasons = (over.reason,)
        except KeyboardInterrupt:
            self.reasons = (("interrupted", "the run was interrupted from the keyboard"),)

    @property
    def converged(self) -> bool:
        """Whether a search that ended by itself has found the best value."""
        return any(self._is_best(end) for end in self._ends)

    def _is_best(self, value: float) -> bool:
        best = self.budget.fun
        gain = self._first - best
        return value - best <= AGREE * max(abs(best), gain if np.isfinite(gain) else 0.0)

    # ---------------------------------------------------------------- the searches

    def _descend(self, x: Vector, fun: float) -> None:
        descent = Descent(self.budget, self.sigma, self.low, self.high)
        generator = np.random.default_rng([self.strategy.seed, 0])
        x, fun = self._tell_of(f"{descent.method} by finite differences", lambda: descent.run(x, fun))
        y = np.clip(x + self.sigma * generator.standard_normal(len(x)), self.low, self.high)
        if is_separable(self.budget, x, fun, y, generator):
            low = np.maximum(self.low, x - WIDTH * self.sigma)
            high = np.minimum(self.high, x + WIDTH * self.sigma)
            x, fun = self._tell_of(
                "line searches, as the function is separable",
                lambda: search_lines(self.budget, x, fun, low, high, descent.run),
            )
        x, fun = self._tell_of(f"{descent.method} again", lambda: descent.run(x, fun))
        self._ends.append(fun)

    def _tell_of(self, what: str, search: Callable[[], tuple[Vector, float]]) -> tuple[Vector, float]:
        before = self.budget.evaluations
        try:
            return search()
        finally:
            self._add(what, before)

    def _add(self, what: str, before: int) -> None:
        used = self.budget.evaluations - before
        self.story.append(f"{what}: best {self.budget.fun:g}, evaluations {used}")

    def _evolve(self) -> tuple[Reason, ...]:
        strategy, budget = self.strategy, self.budget
        before, ends = budget.evaluations, len(strategy.ends)

        def after(_: Strategy) -> None:
            nonlocal ends
            budget.next_iteration()
            if len(strategy.ends) > ends:
                ends = len(strategy.ends)
                end, why = strategy.ends[-1]
                if why != "tolupsigma":  # that is no end
                    self._ends.append(end)
                if self.until_agreed and sum(map(self._is_best, self._ends)) > 1:
                    raise OverError(("agreed", "two searches have ended at the best value"))

        left = budget.max_evaluations - budget.evaluations
        limits = Limits(max_evaluations=None if np.isinf(left) else int(left))
        try:
            reasons = run(strategy, lambda rows, generation: budget.rows(rows), limits, after)
        finally:
            name = type(strategy).__name__
            self._add(f"{name} of {strategy.name}, restarts: {strategy.restarts}", before)
        if dict(reasons).keys() == {"max_evaluations"}:
            return (("max_evaluations", f"the limit of {budget.evaluations} evaluations is reached"),)
        return reasons
