"""Minimization of a function in the words of scipy.optimize."""

import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evoopt import arguments, arrays
from evoopt.evolve import Limits, Reasons, make_result, run
from evoopt.kernels import threads
from evoopt.portfolio.auto import Portfolio
from evoopt.portfolio.budget import Budget
from evoopt.strategies import CMAES, SepCMAES
from evoopt.strategies.base import Strategy
from evoopt.strategies.bounds import Box, repeatable
from evoopt.strategies.registry import REGISTRY
from evoopt.strategies.restarts import BIPOP, IPOP, Restarts
from evoopt.tasks.objective import Objective

if TYPE_CHECKING:
    from scipy.optimize import OptimizeResult

Array = NDArray[Any]
_LARGE = 1000  # coordinates; from here on a full covariance matrix costs more than it gains
_MAXFUN = 10_000  # evaluations for each coordinate, unless the options say otherwise
# The status of scipy: 0 for what converged, or found what was asked for; other reasons of a strategy have 3.
_CONVERGED = ("target", "agreed", "tolx", "tolfun", "tolfunhist", "noeffect", "noeffectcoord", "noeffectaxis")
_STATUS = dict.fromkeys(_CONVERGED, 0)
_STATUS |= {"max_evaluations": 1, "max_generations": 2, "callback": 99, "interrupted": 130}
_OTHER_STATUS = 3
_MAX_RESTARTS = 50  # of a portfolio: more than any budget allows


class _Start(NamedTuple):
    """Where a search begins; all of shape (n,)."""

    x0: Array
    sigma: Array
    low: Array
    high: Array


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
        "auto", a portfolio (see Notes); "ipop" or "bipop", restarts of CMAES (from 1000 coordinates on, of
        SepCMAES); or the name of a registered strategy in any case ("cmaes", "sepcmaes", "snes", "ga").
    bounds : n pairs (low, high), one pair of numbers for all, or scipy.optimize.Bounds, optional
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

    Notes
    -----
    "auto" begins with a descent, scipy's SLSQP (from 100 coordinates on L-BFGS-B) on gradients by finite
    differences, from `x0`. Some evaluations tell whether the function is a sum of functions of one
    coordinate; if so, a line search along each follows. After another descent, restarted CMA-ES (IPOP) starts
    at `x0` with `sigma`. It has the rest of ``maxfun`` evaluations; without ``maxfun`` the search ends when
    two of these searches have ended at the same best value. ``message`` tells what was done, ``success``
    whether the search that found `x` converged. With the option ``noisy`` nothing but CMA-ES is used.

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
    x0 = arguments.finite_vector(np.atleast_1d(arrays.read("x0", x0)), "x0")
    strategy, start = _make_strategy(method, x0, repeatable(bounds), tol, given)
    limits = Limits(maxiter, _MAXFUN * len(x0) if maxfun is None else maxfun)
    objective = Objective(fun, args, vectorized)
    with _mapper(workers) as map_rows:

        def evaluate(population: Array, generation: int = 0) -> Any:
            return objective(population) if map_rows is None else objective.map(map_rows, population)

        if isinstance(strategy, IPOP) and str(method).lower() == "auto" and not strategy.noisy:
            result = _run_portfolio(strategy, evaluate, limits, callback, start, maxfun is None)
        else:
            result = _run_strategy(strategy, evaluate, limits, callback)
    if disp:
        print(f"{result.message}\n  fun: {result.fun:g}  nit: {result.nit}  nfev: {result.nfev}")
    return result


def _run_strategy(
    strategy: Strategy, evaluate: Callable[..., Any], limits: Limits, callback: Callable[..., Any] | None
) -> "OptimizeResult":
    report = _reporter(callback)
    reasons = run(strategy, evaluate, limits, lambda strategy: report(_result(strategy, ())))
    result = _result(strategy, reasons)
    unknown = strategy.noisy or strategy.best.x is None  # what the fitness of x is
    if unknown and limits.rows(strategy) > 0 and reasons[0][0] != "interrupted":
        result.fun = float(evaluate(result.x[None])[0])
        result.nfev += 1
    return result


def _run_portfolio(
    strategy: Restarts,
    evaluate: Callable[..., Any],
    limits: Limits,
    callback: Callable[..., Any] | None,
    start: _Start,
    until_agreed: bool,
) -> "OptimizeResult":
    report = _reporter(callback)
    evaluations, generations, target = limits.max_evaluations, limits.max_generations, strategy.target
    budget = Budget(
        evaluate,
        math.inf if evaluations is None else evaluations,
        math.inf if generations is None else generations,
        -math.inf if target is None else target,
    )
    portfolio = Portfolio(budget, strategy, *start, until_agreed)
    budget.after = lambda: report(_result_of(portfolio))
    portfolio.run()
    return _result_of(portfolio)


def _make_strategy(
    method: str, x0: Array, bounds: Any, tol: float | None, options: dict[str, Any]
) -> tuple[Strategy, _Start]:
    direct = {name.lower(): cls for name, cls in REGISTRY.items() if not issubclass(cls, Restarts)}
    wrappers = {"auto": IPOP, "ipop": IPOP, "bipop": BIPOP}
    key = str(method).lower()
    if key not in direct and key not in wrappers:
        names = ", ".join([*wrappers, *sorted(direct)])
        raise ValueError(f"A method of {names} was expected, but {method!r} came.")
    cls = direct.get(key, CMAES if len(x0) < _LARGE else SepCMAES)
    known = _parameters(cls) - {"self", "mean", "options", "bounds", "maximize"}
    if key in wrappers:
        known |= {"start", "max_restarts"}
    if key == "auto":  # whose evaluations are not the strategy's alone
        known -= {"max_evaluations", "max_generations"}
    unknown = sorted(set(options) - known)
    if unknown:
        expected = ", ".join(sorted({"maxfun", "maxiter", "disp"} | known))
        raise ValueError(f"Unknown options {', '.join(unknown)} came; {method} takes {expected}.")
    if tol is not None:
        options = {**{name: tol for name in ("tolx", "tolfun") if name in known}, **options}
    sigma, low, high = options.pop("sigma", None), np.full(len(x0), -np.inf), np.full(len(x0), np.inf)
    if bounds is not None:
        box = Box(bounds, len(x0), np.dtype(np.float64), reflects=True)
        low, high = box.low, box.high
        x0 = np.clip(x0, low, high)
        sigma = _sigma_of_box(box, x0) if sigma is None else sigma
    sigma = _sigma_of(x0) if sigma is None else sigma
    if key == "auto":
        options.setdefault("max_restarts", _MAX_RESTARTS)
    make = partial(wrappers[key], cls) if key in wrappers else cls
    strategy = make(x0, sigma, bounds=bounds, **options)
    return strategy, _Start(x0, np.broadcast_to(np.asarray(sigma, np.float64), len(x0)), low, high)


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


def _result_of(portfolio: Portfolio) -> "OptimizeResult":
    budget, strategy = portfolio.budget, portfolio.strategy
    status = min((_STATUS.get(name, _OTHER_STATUS) for name, _ in portfolio.reasons), default=0)
    if status == _STATUS["max_evaluations"] and portfolio.converged:
        status = 0  # more evaluations would be for another optimum
    messages = [*portfolio.story, *(message for _, message in portfolio.reasons)]
    return make_result(
        x=portfolio.x0.copy() if budget.x is None else budget.x.copy(),
        fun=budget.fun,
        success=status == 0 and not math.isnan(budget.fun),
        status=status,
        message="; ".join(messages),
        nit=budget.iterations,
        nfev=budget.evaluations,
        stop=portfolio.reasons,
        method="auto",
        history=strategy.history,
    )


def _reporter(callback: Callable[..., Any] | None) -> Callable[["OptimizeResult"], Any]:
    """Give the callback as one of the result so far; its two forms are told apart as scipy does."""
    if callback is None:
        return lambda result: None
    if set(inspect.signature(callback).parameters) == {"intermediate_result"}:
        return lambda result: callback(intermediate_result=result)
    return lambda result: callback(result.x)


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
