"""Descent on smooth functions: scipy's quasi-Newton methods on gradients by finite differences.

A forward difference over a step h errs by h H_ii / 2 from the curvature H and by about 2 u |f| / h
from rounding, u = 2^-53; both are least at h = 2 sqrt(u |f| / H_ii) (Gill, Murray, Saunders and
Wright 1983, https://doi.org/10.1137/0904025). H_ii is not known: each pair of successive gradients
bounds it from below, y_i^2 / (s^T y) with s the step and y the change of the gradient, as in the
update of BFGS.
"""

import math
import warnings
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from evoopt.portfolio.budget import Evaluator
from evoopt.types import Vector

ROUNDING = 2.0**-53
FIRST_STEP = 2.0**-26  # relative to x, while nothing is known of the curvature
SMALLEST_STEP, LARGEST_STEP = 1e-11, 1e-5
MEMORY = 0.9  # share of the curvature that is kept from one gradient to the next
FURTHER = 1e-3  # sigma, or relative to x; so far on a smooth function has another value
PATIENCE = 10  # evaluations for each coordinate without a gain, after which a descent has stalled
LEAST_GAIN = 1e-10  # share of the gain so far
REACH = 100.0  # sigma; length of the first step tried, which sets the unit of the function
FTOL = 1e-15  # measured in the unit that REACH sets
LARGE = 100  # coordinates; from here on a method without a matrix


class StalledError(Exception):
    """Evaluations bring no more gain."""


class Descent:
    """Descends, again and again if asked to, and remembers the curvature.

    It depends neither on the unit of the function nor, except by `sigma`, on the units of the
    coordinates.

    Parameters
    ----------
    budget : Budget or Reals
    sigma, low, high : ndarray, shape (n,)
        The scale of the coordinates; the box, infinite on open sides, which no evaluation leaves.
    tol : float
        A gain that counts as none, or that share of the first slope in `sigma` if this is below 1.

    Attributes
    ----------
    least : float
        The gain that counted as none in the last descent.
    has_steps : bool
        Whether the last descent ended at once, because the function looked like one with steps.
    """

    def __init__(self, budget: Evaluator, sigma: Vector, low: Vector, high: Vector, tol: float = 0.0) -> None:
        self._budget, self._sigma, self._low, self._high, self._tol = budget, sigma, low, high, tol
        self.method = "SLSQP" if len(low) < LARGE else "L-BFGS-B"
        self._curvature = np.zeros(len(low))
        self.has_steps = False

    def run(self, x: Vector, fun: float) -> tuple[Vector, float]:
        """Descend from `x`, whose value is `fun`; return the best point and its value."""
        self._begin(x, fun)
        with suppress(StalledError):
            self._minimize(x, fun)
        return self._x, self._fun

    def _begin(self, x: Vector, fun: float) -> None:
        self._x, self._fun = x, fun  # the best of this descent
        self._first = self._mark = fun
        self._since, self.least = self._budget.evaluations, 0.0
        self._last: tuple[Vector, float] = x, fun
        self._before: tuple[Vector, Vector] | None = None  # point and gradient

    def _minimize(self, origin: Vector, fun: float) -> None:
        from scipy.optimize import minimize  # noqa: PLC0415  (a third of the time that importing evoopt takes)

        sigma = self._sigma
        gradient = self._gradient(origin)
        slope = math.hypot(*(gradient * sigma))  # does not overflow
        self.has_steps = self._has_steps(origin, fun, gradient == 0)
        if self.has_steps or not 0 < slope < np.inf:
            return
        unit = slope / REACH
        self.least = self._tol * min(1.0, slope)
        options = {"ftol": FTOL, "maxiter": 10**9}
        if self.method == "L-BFGS-B":
            options |= {"maxfun": 10**9, "gtol": 0.0}
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            # Steps may leave the box by rounding, and overflow: the best point counts all the same.
            warnings.filterwarnings("ignore", "Values in x were outside bounds", RuntimeWarning)
            ends = [(end - origin) / sigma for end in (self._low, self._high)]
            minimize(
                lambda z: (self._value(origin + sigma * z) - fun) / unit,
                np.zeros(len(origin)),
                jac=lambda z: self._gradient(origin + sigma * z) * sigma / unit,
                method=self.method,
                bounds=list(zip(*ends, strict=True)),
                callback=lambda z: self._budget.next_iteration(),
                options=options,
            )

    def _has_steps(self, x: Vector, fun: float, flat: NDArray[np.bool_]) -> bool:
        """Whether half of the coordinates are flat around `x`, but not further on."""
        flat = flat & (self._low < self._high)
        if 2 * flat.sum() < np.maximum((self._low < self._high).sum(), 1):
            return False

        def changes(share: float) -> bool:
            step = np.where(flat, share * np.maximum(self._sigma, np.abs(x)), 0.0)
            return self._value(np.where(x + step > self._high, x - step, x + step)) != fun

        return not changes(FURTHER) and changes(1.0)

    def _value(self, x: Vector) -> float:
        x = np.clip(x, self._low, self._high)
        if np.array_equal(x, self._last[0]):
            return self._last[1]
        if not np.isfinite(x).all():
            raise StalledError
        fun = self._budget.at(x)
        self._last = x, fun
        if fun < self._fun:
            self._x, self._fun = x, fun
            if self._mark - fun > max(LEAST_GAIN * (self._first - fun), self.least):
                self._mark, self._since = fun, self._budget.evaluations
        if self._budget.evaluations - self._since > PATIENCE * len(x):
            raise StalledError
        return fun

    def _gradient(self, x: Vector) -> Vector:
        x = np.clip(x, self._low, self._high)
        if self._before is not None and np.array_equal(x, self._before[0]):
            return self._before[1]
        fun = self._value(x)
        shifted = x + self._steps(x, fun)
        shifted = np.where(shifted > self._high, 2 * x - shifted, shifted)
        shifted = np.maximum(shifted, self._low)
        free = np.flatnonzero(shifted != x)
        rows = np.repeat(x[None], len(free), axis=0)
        rows[np.arange(len(free)), free] = shifted[free]
        gradient = np.zeros(len(x))
        with np.errstate(invalid="ignore", over="ignore"):
            gradient[free] = (self._budget.rows(rows) - fun) / (shifted[free] - x[free])
        if not np.isfinite(gradient).all():
            raise StalledError
        if self._before is not None:
            self._learn(x - self._before[0], gradient - self._before[1])
        self._before = x, gradient
        return gradient

    def _learn(self, step: Vector, change: Vector) -> None:
        """Learn the curvature from a step (n,) and the change (n,) of the gradient along it."""
        curvature = float(step @ change)
        if curvature > 0:
            self._curvature = np.maximum(MEMORY * self._curvature, change * (change / curvature))

    def _steps(self, x: Vector, fun: float) -> Vector:
        scale = np.maximum(self._sigma, np.abs(x))
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            best = 2 * np.sqrt(ROUNDING * abs(fun) / self._curvature)
        steps = np.clip(best, SMALLEST_STEP * scale, LARGEST_STEP * scale)
        result: Vector = np.where(self._curvature > 0, steps, FIRST_STEP * scale)
        return result
