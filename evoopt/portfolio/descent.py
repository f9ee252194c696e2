"""Descent on smooth functions: scipy's quasi-Newton methods on gradients by finite differences.

A forward difference over a step h errs by h H_ii / 2 from the curvature H and by about 2 u |f| / h from
rounding, u = 2^-53; both are least at h = 2 sqrt(u |f| / H_ii) (Gill, Murray, Saunders and Wright 1983,
https://doi.org/10.1137/0904025). H_ii is not known: each pair of successive gradients bounds it from below,
y_i^2 / (s^T y) with s the step and y the change of the gradient, as in the update of BFGS.
"""

import warnings

import numpy as np

from evoopt.arguments import Vector
from evoopt.portfolio.budget import Budget

ROUNDING = 2.0**-53
FIRST_STEP = 2.0**-26  # of x, as long as nothing is known of the curvature
SMALLEST_STEP, LARGEST_STEP = 1e-11, 1e-5
MEMORY = 0.9  # of the curvature from one gradient to the next
PATIENCE = 10  # evaluations for each coordinate without a gain, after which a descent has stalled
LEAST_GAIN = 1e-10  # of what the descent gained before
LARGE = 100  # coordinates; from here on a method without a matrix
FTOL = 1e-12


class _StalledError(Exception):
    """Evaluations bring no more gain."""


class Descent:
    """Descends, again and again if asked to, and remembers the curvature.

    Parameters
    ----------
    budget : Budget
    low, high : ndarray, shape (n,)
        The box, infinite on open sides; no evaluation leaves it.
    ftol : float, optional
        Gains below this end a descent.
    """

    def __init__(self, budget: Budget, low: Vector, high: Vector, ftol: float | None = None) -> None:
        self._budget, self._low, self._high = budget, low, high
        self._ftol = FTOL if ftol is None else ftol
        self.method = "SLSQP" if len(low) < LARGE else "L-BFGS-B"
        self._curvature = np.zeros(len(low))

    def run(self, x: Vector) -> tuple[Vector, float]:
        """Descend from `x`; gives the best point and its value, which are `x` and NaN if it has none."""
        from scipy.optimize import minimize  # noqa: PLC0415  (a third of the time that importing evoopt takes)

        self._x, self._fun = x, self._budget.at(x)  # the best of this descent
        if not np.isfinite(self._fun):
            return x, self._fun
        self._first = self._mark = self._fun
        self._since = self._budget.evaluations
        self._last, self._last_fun = x, self._fun
        self._before: tuple[Vector, Vector] | None = None  # point and gradient
        options = {"ftol": self._ftol, "maxiter": 10**9}
        if self.method == "L-BFGS-B":
            options |= {"maxfun": 10**9, "gtol": 0.0}
        bounds = list(zip(self._low, self._high, strict=True))
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                # that it was stopped at a bound, or that numbers overflow: the best point counts all the same
                warnings.simplefilter("ignore", RuntimeWarning)
                minimize(
                    self._value,
                    x,
                    jac=self._gradient,
                    method=self.method,
                    bounds=bounds,
                    callback=self._after_iteration,
                    options=options,
                )
        except _StalledError:
            pass
        return self._x, self._fun

    def _after_iteration(self, xk: Vector) -> None:
        self._budget.next_iteration()

    def _value(self, x: Vector) -> float:
        x = np.clip(x, self._low, self._high)
        if not np.isfinite(x).all():
            raise _StalledError
        self._last, self._last_fun = x, self._budget.at(x)
        if self._last_fun < self._fun:
            self._x, self._fun = x, self._last_fun
            if self._mark - self._fun > LEAST_GAIN * (self._first - self._fun):
                self._mark, self._since = self._fun, self._budget.evaluations
        if self._budget.evaluations - self._since > PATIENCE * len(x):
            raise _StalledError
        return self._last_fun

    def _gradient(self, x: Vector) -> Vector:
        x = np.clip(x, self._low, self._high)
        fun = self._last_fun if np.array_equal(x, self._last) else self._value(x)
        shifted = x + self._steps(x, fun)
        shifted = np.where(shifted > self._high, 2 * x - shifted, shifted)
        shifted = np.maximum(shifted, self._low)
        free = np.flatnonzero(shifted != x)
        rows = np.repeat(x[None], len(free), axis=0)
        rows[np.arange(len(free)), free] = shifted[free]
        gradient = np.zeros(len(x))
        gradient[free] = (self._budget.rows(rows) - fun) / (shifted[free] - x[free])
        if not np.isfinite(gradient).all():
            raise _StalledError
        if self._before is not None:
            step, change = x - self._before[0], gradient - self._before[1]
            curvature = float(step @ change)
            if curvature > 0:
                self._curvature = np.maximum(MEMORY * self._curvature, change**2 / curvature)
        self._before = x, gradient
        return gradient

    def _steps(self, x: Vector, fun: float) -> Vector:
        scale = np.maximum(1.0, np.abs(x))
        with np.errstate(divide="ignore", over="ignore"):
            best = 2 * np.sqrt(ROUNDING * abs(fun) / self._curvature)
        steps = np.clip(best, SMALLEST_STEP * scale, LARGEST_STEP * scale)
        result: Vector = np.where(self._curvature > 0, steps, FIRST_STEP * scale)
        return result
