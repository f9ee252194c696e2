"""The order of the searches: descents and line searches while they pay, then a strategy."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from evoopt.loop import INTERRUPTED, Limits, Populations, run
from evoopt.outcome import CONTRACTED, Reasons
from evoopt.portfolio.agreement import End, Ends, end_of, has_contracted
from evoopt.portfolio.budget import Budget, OverError
from evoopt.portfolio.descent import Descent
from evoopt.portfolio.mixed import MixedSearch
from evoopt.portfolio.reals import Reals
from evoopt.portfolio.separable import WIDTH, is_separable, search_lines
from evoopt.portfolio.start import Start
from evoopt.strategies.contract.base import Strategy
from evoopt.strategies.parts.restarts import Restarts
from evoopt.types import Array, Vector

LEAST_BUDGET = 5  # gradients; with fewer evaluations there is no descent


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
    tol : float
        Of the descents: a gain that counts as none.
    exhaust : bool
        Whether to go on when two searches from different starts have ended at the best value.

    Attributes
    ----------
    story : list of str
        The searches so far, in words.
    """

    method: str
    budget: Budget
    strategy: Strategy
    start: Start
    descends: bool
    tol: float = 0.0
    exhaust: bool = False
    story: list[str] = field(default_factory=list)
    _seen: int = 0  # ends of runs of the strategy

    def __post_init__(self) -> None:
        self.ends = Ends(self.budget, self.start.sigma)

    def run(self) -> Reasons:
        """Search until there is a reason to end; return the reasons."""
        try:
            reasons = self._search()
            unfinished = {"interrupted", "time_limit"} & dict(reasons).keys()
            if self.strategy.noisy and self.strategy.generation and not unfinished:
                self.budget.judge(self.start.inside(self.strategy.solution))
        except KeyboardInterrupt:
            return (INTERRUPTED,)
        return reasons

    def _search(self) -> Reasons:
        budget = self.budget
        try:
            fun = budget.begin(self.start.x0)
            if not self.start.is_free:
                return (("fixed", "the bounds leave no coordinate free to vary"),)
            budget.check_iterations()
            if self.descends and np.isfinite(fun):
                reals = Reals(budget, self.start)
                enough = budget.planned >= LEAST_BUDGET * (len(reals.columns) + 1)
                if self.start.is_mixed:
                    self._search_mixed(reals, fun, enough)
                elif enough:
                    self._descend(reals, fun)
            return self._evolve()
        except OverError as over:
            return (over.reason,)

    def has_found(self, reasons: Reasons) -> bool:
        """Whether the end is a success: at the target, or the search contracted on the best."""
        names = dict(reasons).keys()
        if names & {"target", "fixed"}:
            return True
        if self.strategy.noisy:
            return self.budget.differs and bool(names & CONTRACTED)
        contracted = "agreed" in names or (names & CONTRACTED and self.ends.hold_best)
        return self.budget.differs and bool(contracted) and not self.ends.noise

    # ---------------------------------------------------------------- the searches

    def _search_mixed(self, reals: Reals, fun: float, descends: bool) -> None:
        """Search the neighbours of the best row, with descents over the reals."""
        assert self.start.box is not None
        search = MixedSearch(self.budget, self.start.box, reals, descends, self.tol)
        row, end = self._with_story(
            "coordinate search over integers and choices", lambda: search.run(self.start.x0, fun)
        )
        self.ends.add(End(self.start.latent(row), end, fun - end, tolerance=self.tol))
        self.ends.look_for_noise()

    def _descend(self, reals: Reals, fun: float) -> None:
        """Descend, search lines if that pays, descend again; no further once there is noise."""
        sigma, lower, upper = reals.sigma, reals.low, reals.high
        descent, x = Descent(reals, sigma, lower, upper, self.tol), reals.rest_at(self.start.x0)
        generator, first = np.random.default_rng([self.strategy.seed, 0]), fun

        def descend(what: str) -> tuple[Vector, float]:
            return self._with_story(f"{descent.method} {what}", lambda: descent.run(x, fun))

        before, (x, fun) = x, descend("by finite differences")
        if np.array_equal(x, before):
            self.ends.look_for_noise()
        if self.ends.noise:
            return
        y = np.clip(x + sigma * generator.standard_normal(len(x)), lower, upper)
        if is_separable(reals, x, fun, y, generator):
            low, high = np.maximum(lower, x - WIDTH * sigma), np.minimum(upper, x + WIDTH * sigma)
            x, fun = self._with_story(
                "line searches, as the function is separable",
                lambda: search_lines(reals, x, fun, low, high, descent.run),
            )
        before, (x, fun) = x, descend("again")
        self.ends.add(End(x, fun, first - fun, tolerance=descent.least))
        if np.array_equal(x, before):
            self.ends.look_for_noise()

    def _with_story(self, what: str, search: Callable[[], tuple[Vector, float]]) -> tuple[Vector, float]:
        before = self.budget.evaluations
        try:
            return search()
        finally:
            self._add_to_story(what, before)

    def _add_to_story(self, what: str, before: int) -> None:
        used = self.budget.evaluations - before
        self.story.append(f"{what}: best {self.budget.fun:g}, evaluations {used}")

    def _evolve(self) -> Reasons:
        strategy, budget, before = self.strategy, self.budget, self.budget.evaluations
        left = budget.max_evaluations - before - strategy.noisy  # one for the solution
        limits = Limits(max_evaluations=None if left == np.inf else max(int(left), 0))
        try:
            reasons = run(strategy, Populations(self._evaluate), limits, self._after)
        finally:
            self._add_to_story(_name(strategy), before)
        if dict(reasons).keys() == {"max_evaluations"}:
            budget.refuse_evaluations()
        by_itself = not dict(reasons).keys() & {"interrupted", "tolupsigma"}
        if by_itself and not strategy.noisy and not isinstance(strategy, Restarts):
            self.ends.add(self._end_of(strategy))
        return reasons

    def _evaluate(self, rows: Array, generation: int, first: int) -> Vector:
        return self.budget.rows(self.start.inside(rows))

    def _after(self, strategy: Strategy) -> None:
        """Count a generation."""
        if strategy.noisy:
            self.budget.settle(self.start.inside(strategy.solution), strategy.best.fitness)
        columns = "sigma", *self.budget.measures
        self.budget.next_iteration(**{name: strategy.history[name][-1] for name in columns})
        if isinstance(strategy, Restarts) and not strategy.noisy:
            self._look_for_agreement(strategy)

    def _look_for_agreement(self, strategy: Restarts) -> None:
        """End the search when two searches have ended at the best value, up to `tol`."""
        if len(strategy.ends) > self._seen:
            self._seen = len(strategy.ends)
            if strategy.ends[-1][1] != "tolupsigma":  # that is no end
                self.ends.add(self._end_of(strategy, self.tol))
            agreed = self.ends.agreed
        else:  # a run goes on until it ends by itself, but need not where it agrees with another
            contracted = self.tol > 0 and has_contracted(strategy, self.tol)
            agreed = contracted and self.ends.agree_with(self._end_of(strategy, self.tol))
        if agreed and not self.exhaust:
            raise OverError(("agreed", "two searches have ended at the best value"))

    def _end_of(self, strategy: Strategy, tol: float = 0.0) -> End:
        """Return the end of a strategy in latent numbers."""
        end = end_of(strategy, tol)
        return end._replace(x=self.start.latent(self.start.inside(end.x)))


def _name(strategy: Strategy) -> str:
    name = type(strategy).__name__
    if isinstance(strategy, Restarts):
        return f"{name} of {strategy.name}, restarts: {strategy.restarts}"
    return name
