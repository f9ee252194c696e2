"""Sums of functions of one coordinate: a test for them, and global searches along lines.

The search halves the interval whose parabola through its ends needs the least curvature to get
below the best value: Swarzberg, Seront and Bersini 1994, S.T.E.P.: the easiest way to optimize a
function, https://doi.org/10.1109/ICEC.1994.349950. As in Loshchilov, Schoenauer and Sebag 2013,
Bi-population CMA-ES algorithms with surrogate models and line searches,
https://doi.org/10.1145/2464576.2482696.
"""

import math
from collections.abc import Callable

import numpy as np

from evoopt.portfolio.budget import Evaluator
from evoopt.types import Vector

ROUNDING = 1e-9  # relative difference of sums that are equal otherwise
WIDTH = 5.0  # sigma to both sides
ROUNDS = (30, 30, 60, 120)  # evaluations along each coordinate
BELOW_BEST = 1e-4  # the gain to hope for, relative to the height of the median sample
NARROWEST = 1e-9  # share of the whole interval


def is_separable(budget: Evaluator, x: Vector, fun: float, y: Vector, generator: np.random.Generator) -> bool:
    """Test whether f(x) + f(y) is the same after x and y have exchanged coordinates."""
    n = len(x)
    if n == 1:
        return True
    other = budget.at(y)
    for _ in range(2 if n > 2 else 1):
        chosen = np.zeros(n, np.bool_)
        chosen[generator.permutation(n)[: n // 2]] = True
        first, second = budget.rows(np.array([np.where(chosen, x, y), np.where(chosen, y, x)])).tolist()
        size = abs(first) + abs(second) + abs(fun) + abs(other)
        if not abs(first + second - fun - other) <= ROUNDING * size:  # also of NaN and infinity
            return False
    return True


class LineSearch:
    """A global search on an interval, which can go on with the samples it has.

    Parameters
    ----------
    x, low, high : float
        The best point known, and the interval.
    """

    def __init__(self, x: float, low: float, high: float) -> None:
        self._points, self._heights = [x], [0.0]  # sorted; heights above the best
        self._ends = [end for end in (low, high) if end != x]
        self._narrowest = NARROWEST * (high - low)

    def run(self, function: Callable[[float], float], best: float, evaluations: int) -> tuple[float, float]:
        """Sample further; `best` is the best value so far. Return the best point and value."""
        points, values = self._points, [height + best for height in self._heights]
        for _ in range(evaluations):
            point = self._ends.pop() if self._ends else _next_point(points, values, self._narrowest)
            value = function(point)
            place = int(np.searchsorted(points, point))
            points.insert(place, point)
            values.insert(place, value if math.isfinite(value) else max(values))
        lowest = int(np.argmin(values))
        self._heights = [value - values[lowest] for value in values]
        return points[lowest], values[lowest]


def _next_point(points: list[float], values: list[float], narrowest: float) -> float:
    x, y = np.array(points), np.array(values)
    best = y.min()
    # a parabola through both ends of an interval that touches the goal has the curvature 2
    # difficulty^2
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        goal = best - max(BELOW_BEST * (float(np.median(y)) - best), 1e-12 * abs(best), 1e-300)
        widths, roots = np.diff(x), np.sqrt(y - goal)
        difficulty = np.where(widths > narrowest, (roots[1:] + roots[:-1]) / widths, np.inf)
    easiest = int(np.argmin(difficulty))
    return float(x[easiest] / 2 + x[easiest + 1] / 2)


def search_lines(
    budget: Evaluator,
    x: Vector,
    fun: float,
    low: Vector,
    high: Vector,
    descend: Callable[[Vector, float], tuple[Vector, float]],
) -> tuple[Vector, float]:
    """Search along each coordinate between `low` and `high` (n,), with a descent each round."""
    best_x, best_fun = x, fun
    lines = {i: LineSearch(x[i], low[i], high[i]) for i in np.flatnonzero(low < high).tolist()}
    for evaluations in ROUNDS:
        before = fun
        for i, line in lines.items():

            def along(value: float, x: Vector = x, i: int = i) -> float:
                moved = x.copy()
                moved[i] = value
                return budget.at(moved)

            value, fun = line.run(along, fun, evaluations)
            x = x.copy()
            x[i] = value
        if fun < before or evaluations == ROUNDS[0]:
            end, end_fun = descend(x, fun)
            if end_fun < best_fun:
                best_x, best_fun = end, end_fun
    return best_x, best_fun
