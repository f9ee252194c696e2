"""Minimization of a function in the words of scipy.optimize."""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evoopt import arguments
from evoopt.evolve import Limits, Reasons, make_result, run
from evoopt.kernels import threads
from evoopt.strategies.base import Strategy
from evoopt.strategies.bounds import Box
from evoopt.strategies.registry import REGISTRY
from evoopt.tasks.objective import Objective

if TYPE_CHECKING:
    from scipy.optimize import OptimizeResult

Array = NDArray[Any]
_LARGE = 1000  # coordinates; from here on a full covariance matrix costs more than it gains
_MAXFUN = 10_000  # evaluations for each coordinate, unless the options say otherwise
# The status of scipy: 0 for what converged, or found what was asked for; other reasons of a strategy have 3.
_CONVERGED = ("target", "tolx", "tolfun", "tolfunhist", "noeffect", "noeffectcoord", "noeffectaxis")
_STATUS = dict.fromkeys(_CONVERGED, 0)
_STATUS |= {"max_evaluations": 1, "max_generations": 2, "callback": 99, "interrupted": 130}
_OTHER_STATUS = 3


def minimize(
    fun: Callable[..., Any],
    x0: ArrayLike,
    args: Any = (),
    method: str = "auto",
    bounds: Any = None,
    callback: Callable[..., Any] | None = None,
    tol: float | None = None,
    options: Mapping[str, Any] | None = None,
    *,
    constraints: Sequence[Any] = (),
    vectorized: bool = False,
    workers: int | Callable[..., Any] = 1,
) -> "OptimizeResult":
    """Minimize a function without derivatives, called as `scipy.optimize.minimize` is.

    Parameters
    ----------
    fun : callable
        ``fun(x, *args) -> float`` for x (n,); with `vectorized` ``fun(population, *args) -> (popsize,)``. An
        njit function runs compiled over the threads, with ``workers=1``; see `Objective`.
    x0 : array_like, shape (n,)
        Where to start; clipped to the bounds.
    args : tuple, or one argument
        Further arguments of `fun`.
    method : str
        The name of a registered strategy in any case ("cmaes", "sepcmaes", "snes", "ga"), or "auto": CMAES,
        and SepCMAES from 1000 coordinates on.
    bounds : scipy.optimize.Bounds, sequence of n pairs, or one pair, optional
        As for `Strategy`.
    callback : callable, optional
        ``callback(xk)``, or ``callback(intermediate_result)`` if its parameter has that name, with the best
        so far after each generation; giving True or raising StopIteration stops.
    tol : float, optional
        Sets ``tolx`` and ``tolfun`` of the strategies that have them.
    options : dict, optional
        ``maxfun`` (evaluations, by default 10,000 n), ``maxiter`` (generations), ``target`` (stop at this
        value), ``seed``, ``sigma`` (by default a quarter of the range of coordinates with two bounds, else
        0.3 times the largest coordinate of `x0`, or 0.3), ``popsize``, ``disp`` (print the outcome), and the
        strategy's own.
    constraints
        Refused: bounds are the only constraints.
    vectorized : bool
        Whether `fun` takes a whole population (popsize, n).
    workers : int or callable
        Number of processes that evaluate, -1 for all cores; or a function like `map`.

    Returns
    -------
    scipy.optimize.OptimizeResult
        ``x, fun, success, status, message, nit, nfev`` as in scipy, and ``stop``, ``method`` and ``history``.
        ``success`` tells whether the search converged, or reached the target. Where `x` is not the best row
        (but the strategy's ``solution`` for noisy fitness, or `x0` if the limits allow no generation), one
        evaluation more gives ``fun``, as far as ``maxfun`` allows.

    Raises
    ------
    ValueError
        For an unknown method or option, constraints, or arguments that do not fit.

    Examples
    --------
    >>> import evoopt
    >>> from scipy.optimize import rosen
    >>> result = evoopt.minimize(rosen, [-1.0, 2.0], options={"seed": 1})
    >>> result.success, result.x.round(4)
    (True, array([1., 1.]))
    """
    if constraints is not None and np.size(constraints):
        raise ValueError(
            "minimize() takes bounds but no constraints; add a penalty to the function, or use a method of "
            "scipy.optimize.minimize that takes them."
        )
    if vectorized and workers != 1:
        raise ValueError("A vectorized function gets the population at once, so workers must be 1.")
    given = dict(options or {})
    maxfun = arguments.optional_whole("maxfun", given.pop("maxfun", None), 0)
    maxiter = arguments.optional_whole("maxiter", given.pop("maxiter", None), 0)
    disp = given.pop("disp", False)
    x0 = arguments.finite_vector(np.atleast_1d(np.asarray(x0)))
    strategy = _make_strategy(method, x0, bounds, tol, given)
    limits = Limits(maxiter, _MAXFUN * len(x0) if maxfun is None else maxfun)
    objective = Objective(fun, args, vectorized)
    report = _reporter(callback)
    with _mapper(workers) as map_rows:

        def evaluate(population: Array, generation: int) -> Any:
            return objective(population) if map_rows is None else objective.map(map_rows, population)

        reasons = run(strategy, evaluate, limits, report)
        result = _result(strategy, reasons)
        unknown = strategy.noisy or strategy.best.x is None  # what the fitness of x is
        if unknown and limits.rows(strategy) > 0 and reasons[0][0] != "interrupted":
            result.fun = float(evaluate(result.x[None], strategy.generation)[0])
            result.nfev += 1
    if disp:
        print(f"{result.message}\n  fun: {result.fun:g}  nit: {result.nit}  nfev: {result.nfev}")
    return result


def _make_strategy(
    method: str, x0: Array, bounds: Any, tol: float | None, options: dict[str, Any]
) -> Strategy:
    names = {name.lower(): cls for name, cls in REGISTRY.items()}
    key = ("cmaes" if len(x0) < _LARGE else "sepcmaes") if method == "auto" else str(method).lower()
    if key not in names:
        raise ValueError(f"A method of auto, {', '.join(sorted(names))} was expected, but {method!r} came.")
    cls = names[key]
    known = _parameters(cls) - {"self", "mean", "options", "bounds", "maximize"}
    unknown = sorted(set(options) - known)
    if unknown:
        expected = ", ".join(sorted({"maxfun", "maxiter", "disp"} | known))
        raise ValueError(f"Unknown options {', '.join(unknown)} came; {cls.__name__} takes {expected}.")
    if tol is not None:
        options = {**{name: tol for name in ("tolx", "tolfun") if name in known}, **options}
    sigma = options.pop("sigma", None)
    if bounds is not None:
        box = Box(bounds, len(x0), np.dtype(np.float64), reflects=True)
        x0 = np.clip(x0, box.low, box.high)
        sigma = _sigma_of_box(box, x0) if sigma is None else sigma
    return cls(x0, _sigma_of(x0) if sigma is None else sigma, bounds=bounds, **options)


def _parameters(cls: type) -> set[str]:
    """Names of the constructor's parameters, those of base classes behind ``**options`` included."""
    return {name for base in cls.__mro__ if base is not object for name in inspect.signature(base).parameters}


def _sigma_of(x0: Array) -> float:
    return 0.3 * (float(np.abs(x0).max()) or 1.0)


def _sigma_of_box(box: Box, x0: Array) -> Array:
    width = box.high - box.low
    return np.where(np.isfinite(width) & (width > 0), width / 4, _sigma_of(x0))


def _result(strategy: Strategy, reasons: Reasons) -> "OptimizeResult":
    best = strategy.best
    status = min((_STATUS.get(name, _OTHER_STATUS) for name, _ in reasons), default=0)
    x = strategy.solution if strategy.noisy or best.x is None else best.x.copy()
    return make_result(
        x=x,
        fun=best.fitness,
        success=status == 0 and not np.isnan(best.fitness),
        status=status,
        message="; ".join(message for _, message in reasons),
        nit=strategy.generation,
        nfev=strategy.evaluations,
        stop=reasons,
        method=type(strategy).__name__,
        history=strategy.history,
    )


def _reporter(callback: Callable[..., Any] | None) -> Callable[[Strategy], Any]:
    """Give the callback as one of the strategy; its two forms are told apart as scipy does."""
    if callback is None:
        return lambda strategy: None
    if set(inspect.signature(callback).parameters) == {"intermediate_result"}:
        return lambda strategy: callback(intermediate_result=_result(strategy, ()))
    return lambda strategy: callback(_result(strategy, ()).x)


@contextmanager
def _mapper(workers: int | Callable[..., Any]) -> Iterator[Callable[..., Any] | None]:
    """Give a function like `map`, or None for a plain loop."""
    if callable(workers):
        yield workers
    elif not isinstance(workers, int) or workers == 0 or workers < -1:
        raise ValueError(
            f"workers must be a number of processes, -1 or a function like map, not {workers!r}."
        )
    elif workers == 1:
        yield None
    else:
        processes = threads.get_num_threads() if workers == -1 else workers
        with ProcessPoolExecutor(processes) as pool:
            yield lambda fun, rows: pool.map(fun, rows, chunksize=max(1, len(rows) // (4 * processes)))
