"""The searches of all methods: descents and line searches while they pay, the rest to a strategy."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from evoopt.arguments import Vector
from evoopt.loop import INTERRUPTED, Limits, run
from evoopt.outcome import Reasons
from evoopt.portfolio.budget import Budget, OverError
from evoopt.portfolio.descent import Descent
from evoopt.portfolio.separable import WIDTH, is_separable, search_lines
from evoopt.portfolio.start import Start
from evoopt.strategies.base import Strategy
from evoopt.strategies.restarts import Restarts

LEAST_BUDGET = 5  # gradients; with fewer evaluations there is no descent
AGREE = 1e-8  # of the best value, or of what was gained since x0: ends of searches that count as the same


@dataclass
class Portfolio:
    """Searches one after the other, on one budget.

    Parameters
    ----------
    method : str
        Its name.
    budget : Budget
    strategy : Strategy
        Not asked yet.
    start : Start
        Where and how far to look, and the box.
    descends : bool
        Whether descents and line searches come before the strategy.
    until_agreed : bool
        Whether to end once two searches from different starts have ended at the best value.

    Attributes
    ----------
    story : list of str
        What it did.
    """

    method: str
    budget: Budget
    strategy: Strategy
    start: Start
    descends: bool
    until_agreed: bool
    story: list[str] = field(default_factory=list)
    _first: float = np.nan  # value at x0
    _ends: list[float] = field(default_factory=list)  # best values of the searches that ended by themselves
    _seen: int = 0  # ends of runs of the strategy

    def run(self) -> Reasons:
        """Search until there is a reason to end; return the reasons."""
        try:
            reasons = self._search()
            unfinished = {"interrupted", "time_limit"} & dict(reasons).keys()
            if self.strategy.noisy and self.strategy.generation and not unfinished:
                self.budget.judge(self.strategy.solution)
        except KeyboardInterrupt:
            return (INTERRUPTED,)
        return reasons

    def _search(self) -> Reasons:
        budget = self.budget
        try:
            fun = self._first = budget.begin(self.start.x0)
            if not self.start.is_free:
                return (("fixed", "the bounds leave no coordinate free to vary"),)
            budget.check_iterations()
            enough = budget.max_evaluations >= LEAST_BUDGET * (len(self.start.x0) + 1)
            if self.descends and enough and np.isfinite(fun):
                self._descend(self.start.x0, fun)
            return self._evolve()
        except OverError as over:
            return (over.reason,)

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
        _, sigma, lower, upper = self.start
        descent = Descent(self.budget, sigma, lower, upper)
        generator = np.random.default_rng([self.strategy.seed, 0])
        x, fun = self._tell_of(f"{descent.method} by finite differences", lambda: descent.run(x, fun))
        y = np.clip(x + sigma * generator.standard_normal(len(x)), lower, upper)
        if is_separable(self.budget, x, fun, y, generator):
            low, high = np.maximum(lower, x - WIDTH * sigma), np.minimum(upper, x + WIDTH * sigma)
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

    def _evolve(self) -> Reasons:
        strategy, budget, before = self.strategy, self.budget, self.budget.evaluations
        left = budget.max_evaluations - before - strategy.noisy  # one for the solution
        limits = Limits(max_evaluations=None if np.isinf(left) else max(int(left), 0))
        try:
            reasons = run(strategy, lambda rows, generation: budget.rows(rows), limits, self._after)
        finally:
            self._add(_name(strategy), before)
        if dict(reasons).keys() == {"max_evaluations"}:
            budget.refuse_evaluations()
        return reasons

    def _after(self, strategy: Strategy) -> None:
        """Count a generation."""
        if strategy.noisy:
            self.budget.settle(strategy.solution, strategy.best.fitness)
        line = {name: column[-1] for name, column in strategy.history.items()}
        self.budget.next_iteration(**{name: line[name] for name in ("sigma", *strategy._measures())})
        if isinstance(strategy, Restarts) and len(strategy.ends) > self._seen:
            self._seen = len(strategy.ends)
            end, why = strategy.ends[-1]
            if why != "tolupsigma":  # that is no end
                self._ends.append(end)
            if self.until_agreed and sum(map(self._is_best, self._ends)) > 1:
                raise OverError(("agreed", "two searches have ended at the best value"))


def _name(strategy: Strategy) -> str:
    name = type(strategy).__name__
    if isinstance(strategy, Restarts):
        return f"{name} of {strategy.name}, restarts: {strategy.restarts}"
    return name
