"""The forms of scipy's callbacks."""

import inspect
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from evoopt.arrays import shown

if TYPE_CHECKING:
    from scipy.optimize import OptimizeResult

ENERGY_TOLERANCE = 0.01  # scipy's `tol` of differential_evolution, the unit of its `convergence`


def read_callback(callback: Callable[..., Any]) -> Callable[["OptimizeResult"], Any]:
    """Return the callback, whose form its parameters tell, as a function of the result so far."""
    if not callable(callback) or isinstance(callback, type):
        raise ValueError(
            f"callback must be a function, got {shown(callback)}; call several in one function, for a file "
            'of the history take evoopt.CSVLogger("log.csv"), for one of all evaluations the option log.'
        )
    parameters = _parameters(callback)
    if set(parameters) == {"intermediate_result"}:
        return lambda result: callback(intermediate_result=result)
    place = inspect.Parameter.POSITIONAL_ONLY
    if "convergence" in parameters and parameters["convergence"].kind != place:
        return lambda result: callback(result.x, convergence=_convergence(result.history))
    places = (place, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if sum(p.kind in places and p.default is p.empty for p in parameters.values()) == 2:
        return lambda result: callback(result.x, _convergence(result.history))
    return lambda result: callback(result.x)


def _parameters(callback: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    try:
        return dict(inspect.signature(callback).parameters)
    except (TypeError, ValueError):  # some builtins tell nothing of their parameters
        return {}


def _convergence(history: dict[str, list[float]]) -> float:
    """Return how near the last population is to agreement, as `differential_evolution` puts it.

    That is tol |m| / s with m the median, s its distance to the best value, and tol = 0.01; at most
    1, when scipy's function would end. 0 after an iteration without a population.
    """
    best, median, sigma = (history[name][-1] for name in ("best", "median", "sigma"))
    spread = median - best
    if math.isnan(sigma) or not math.isfinite(spread):
        return 0.0
    near = ENERGY_TOLERANCE * abs(median)
    return 1.0 if near >= spread else near / spread
