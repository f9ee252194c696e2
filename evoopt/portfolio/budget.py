"""The budget that all searches share: evaluations, limits, the best so far, the history."""

import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from typing import Protocol

import numpy as np

from evoopt.failures import Failure, RowValues
from evoopt.loop import stopped_by
from evoopt.portfolio.journal import Journal
from evoopt.strategies.contract.stopping import Deadline, Reason, at_evaluations, at_target
from evoopt.strategies.contract.told import best_and_median, better, new_history
from evoopt.types import Array, Vector

Evaluate = Callable[[Array, Sequence[int]], RowValues]  # (rows, their places in the population)
Observer = Callable[[int, Vector, float], object]


class Evaluator(Protocol):
    """The part of a `Budget` that local searches use."""

    @property
    def evaluations(self) -> int: ...
    def at(self, x: Vector) -> float: ...
    def rows(self, rows: Array) -> Vector: ...
    def next_iteration(self) -> None: ...


class OverError(Exception):
    """The search is over: the reason is its argument."""

    @property
    def reason(self) -> Reason:
        """Name and message."""
        reason: Reason = self.args[0]
        return reason


class Budget:
    """Evaluates rows, and raises `OverError` when a limit or the target is reached.

    Parameters
    ----------
    evaluate : callable
        ``evaluate(rows, places) -> generator of lists of (number, value)`` for rows (k, n), which
        have these places in their population, as the values become known; for an exception a
        `Failure`.
    max_evaluations, max_iterations : float
        Neither is exceeded; an iteration of a local search and a generation count alike.
    target : float
        The value at which to stop.
    time_limit : float
        Seconds from now on; the evaluation that it finds is finished. Values of earlier calls do
        not end by it.
    noisy : bool
        Whether a low value may be luck: the best is then the point of `settle`, at first the first
        one.
    measures : iterable of str
        Names of further columns of the history.
    observers : sequence of callable
        ``observer(evaluations, x, value)`` is called after each evaluation.
    journal : Journal or None
        Where the evaluations are written, and the values of earlier calls are found; open.

    Attributes
    ----------
    after : callable
        Called after each iteration; it stops the search as `stopped_by` says.
    planned : float
        The evaluations with which searches plan: `max_evaluations`, of the first call if there is a
        journal.
    evaluations, iterations : int
    x, fun : ndarray (n,) or None, float
        The best so far; NaN is worse than any number.
    differs : bool
        Whether finite values that differ were seen.
    measures : tuple of str
    history : dict of str to list
        The columns of a strategy's history. The first line, generation 0, is the first point; the
        last one repeats the number of the generation where evaluations followed the last one.
    """

    def __init__(
        self,
        evaluate: Evaluate,
        max_evaluations: float = math.inf,
        max_iterations: float = math.inf,
        target: float = -math.inf,
        time_limit: float = math.inf,
        *,
        noisy: bool = False,
        measures: Iterable[str] = (),
        observers: Sequence[Observer] = (),
        journal: Journal | None = None,
    ) -> None:
        self._evaluate, self._observers, self._journal = evaluate, observers, journal
        self.after: Callable[[], object] = lambda: None
        self.max_evaluations, self.max_iterations, self.target = max_evaluations, max_iterations, target
        self.planned = journal.header.maxfun if journal and journal.header else max_evaluations
        self._deadline = Deadline(time_limit)
        self._noisy, self._errors = noisy, np.geterr()
        self.evaluations = self.iterations = 0
        self.x: Vector | None = None
        self.fun = math.nan
        self.differs = False
        self.measures = tuple(measures)
        self.history: dict[str, list[float]] = {name: [] for name in (*new_history(), *self.measures)}
        self._values: list[float] = []  # values since the last line of the history

    # ---------------------------------------------------------------- evaluations

    def begin(self, x: Vector) -> float:
        """Evaluate the point where the searches start."""
        value = self.at(x)
        self._record()
        return value

    def at(self, x: Vector) -> float:
        """Evaluate one vector (n,)."""
        return float(self.rows(x[None])[0])

    def rows(self, rows: Array) -> Vector:
        """Evaluate rows (k, n): as many as may be."""
        allowed = rows[: int(min(len(rows), self.max_evaluations - self.evaluations))]
        fitness = self._values_of(allowed) if len(allowed) else np.empty(0)
        lowest = float(np.fmin.reduce(fitness, initial=math.nan))  # NaN only if all are
        if lowest == -math.inf:
            raise OverError(("target", "the value is -inf, which none can be below"))
        if lowest <= self.target:
            raise OverError(at_target(lowest, self.target))
        if len(allowed) < len(rows):
            self.refuse_evaluations()
        return fitness

    def refuse_evaluations(self) -> None:
        """Raise `OverError`, as there are no evaluations left."""
        raise OverError(at_evaluations(self.max_evaluations, self.evaluations))

    def settle(self, x: Vector, fun: float) -> None:
        """Take a point as the best so far, where no value alone can tell."""
        self.x, self.fun = x.copy(), fun

    def judge(self, x: Vector) -> None:
        """Evaluate the point to return, whatever the limits, and settle on it."""
        self.settle(x, float(self._values_of(x[None], judges=True)[0]))

    def _values_of(self, rows: Array, judges: bool = False) -> Vector:
        fitness, journal = np.full(len(rows), np.nan), self._journal
        if journal:
            outcomes = journal.each(self._evaluate, rows, judges)
        else:
            outcomes = self._evaluate(rows, range(len(rows)))
        # The user's own settings for errors of NumPy hold in the function. Closing cancels rows
        # that wait in a pool.
        with np.errstate(**self._errors), closing(outcomes):
            for known in outcomes:
                for place, value in known:
                    if isinstance(value, Failure):
                        raise value.error
                    fitness[place] = value
                    self._note(rows[place], value)
                if judges or (journal and journal.replays):
                    continue
                for reason in self._deadline.reached():
                    raise OverError(reason)
        return fitness

    def _note(self, x: Vector, value: float) -> None:
        self.evaluations += 1
        self._values.append(value)
        if value != self.fun:  # so is NaN
            self.differs = self.differs or (math.isfinite(value) and math.isfinite(self.fun))
            if self.x is None or (better(value, self.fun, maximize=False) and not self._noisy):
                self.settle(x, value)
        for observe in self._observers:
            observe(self.evaluations, x, value)

    # ---------------------------------------------------------------- iterations

    def next_iteration(self, sigma: float = math.nan, **measures: float) -> None:
        """Count an iteration, and add it to the history."""
        self.iterations += 1
        self._record(sigma, **measures)
        with np.errstate(**self._errors):
            stopped = stopped_by(self.after)
        if stopped:
            raise OverError(("callback", "the callback stopped the run"))
        self.check_iterations()

    def check_iterations(self) -> None:
        """Raise `OverError` if there may be no further iteration."""
        if self.iterations >= self.max_iterations:
            raise OverError(("max_generations", f"the limit of {self.iterations} iterations is reached"))

    def close(self) -> None:
        """Add evaluations after the last iteration to the history."""
        if self._values:
            self._record()

    def _record(self, sigma: float = math.nan, **measures: float) -> None:
        best, median = best_and_median(np.sort(self._values).tolist())
        self._values.clear()
        line = [self.iterations, self.evaluations, best, median, self.fun, sigma]
        line += [measures.get(name, math.nan) for name in self.measures]
        for column, value in zip(self.history.values(), line, strict=True):
            column.append(value)
