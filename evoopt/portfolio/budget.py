"""What all searches of a portfolio share: evaluations and iterations, their limits, and the best so far."""

import math
from collections.abc import Callable

import numpy as np

from evoopt.arguments import Array, Vector
from evoopt.loop import stopped_by
from evoopt.strategies.stopping import Reason


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
        ``evaluate(rows) -> fitness`` for rows (k, n).
    max_evaluations, max_iterations : float
        Neither is exceeded; iterations are those of local searches and generations of strategies.
    target : float
        Where to stop.

    Attributes
    ----------
    after : callable
        Called after each iteration; True stops.
    evaluations, iterations : int
    x, fun : ndarray (n,) or None, float
        The best so far; a value that is not NaN.
    """

    def __init__(
        self,
        evaluate: Callable[[Array], Array],
        max_evaluations: float,
        max_iterations: float,
        target: float,
    ) -> None:
        self._evaluate = evaluate
        self.after: Callable[[], object] = lambda: None
        self.max_evaluations, self.max_iterations, self.target = max_evaluations, max_iterations, target
        self.evaluations = self.iterations = 0
        self.x: Vector | None = None
        self.fun = math.nan

    def rows(self, rows: Array) -> Vector:
        """Evaluate rows (k, n): as many as may be."""
        allowed = rows[: int(min(len(rows), self.max_evaluations - self.evaluations))]
        fitness = np.asarray(self._evaluate(allowed), np.float64) if len(allowed) else np.empty(0)
        self.evaluations += len(allowed)
        for x, value in zip(allowed, fitness.tolist(), strict=True):
            if value < self.fun or (math.isnan(self.fun) and not math.isnan(value)):
                self.x, self.fun = x.copy(), value
        if self.fun == -math.inf:
            raise OverError(("target", "the value is -inf, which none can be below"))
        if self.fun <= self.target:
            raise OverError(("target", f"fitness {self.fun:g} has reached the target {self.target:g}"))
        if len(allowed) < len(rows):
            raise OverError(("max_evaluations", f"the limit of {self.evaluations} evaluations is reached"))
        return fitness

    def at(self, x: Vector) -> float:
        """Evaluate one vector (n,)."""
        return float(self.rows(x[None])[0])

    def next_iteration(self) -> None:
        """Count an iteration."""
        self.iterations += 1
        if stopped_by(self.after):
            raise OverError(("callback", "the callback stopped the run"))
        self.check_iterations()

    def check_iterations(self) -> None:
        """Raise `OverError` if there may be no further iteration."""
        if self.iterations >= self.max_iterations:
            raise OverError(("max_generations", f"the limit of {self.iterations} iterations is reached"))
