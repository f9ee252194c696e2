"""Minimization of a function in the words of scipy.optimize."""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from evoopt.outcome import keeping
from evoopt.portfolio.auto import Portfolio
from evoopt.portfolio.budget import Budget
from evoopt.portfolio.callback import read_callback
from evoopt.portfolio.methods import read_method
from evoopt.portfolio.observers import evaluation_log, progress_bar
from evoopt.portfolio.options import read_options
from evoopt.portfolio.outcome import result_of, so_far
from evoopt.portfolio.start import read_start
from evoopt.portfolio.workers import mapper
from evoopt.tasks.objective import Objective

if TYPE_CHECKING:
    from scipy.optimize import OptimizeResult

MAXFUN = 10_000  # evaluations for each coordinate, unless the options say otherwise


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
    _check_forms(constraints, vectorized, workers)
    named = read_method(method)
    given = read_options(named, options)
    start = read_start(x0, bounds, given.sigma)
    strategy = named.make(start, given.seed, tol, given.strategy)
    report = None if callback is None else read_callback(callback)
    objective = Objective(fun, args, vectorized)
    maxfun = MAXFUN * len(start.x0) if given.maxfun is None else given.maxfun
    with ExitStack() as stack:
        map_rows = stack.enter_context(mapper(workers, partial(fun, *objective.args)))
        budget = Budget(
            lambda rows: objective.each(rows, map_rows),
            maxfun,
            math.inf if given.maxiter is None else given.maxiter,
            given.target,
            given.time_limit,
            noisy=strategy.noisy,
            measures=strategy._measures(),
        )
        if given.log is not None:
            budget.observers.append(stack.enter_context(evaluation_log(given.log, len(start.x0))))
        if given.progress:
            budget.observers.append(stack.enter_context(progress_bar(maxfun)))
        descends = named.name == "auto" and not strategy.noisy
        portfolio = Portfolio(named.name, budget, strategy, start, descends, tol or 0.0, given.exhaust)
        if report is not None:
            budget.after = lambda: report(so_far(portfolio))
        with keeping(lambda reasons: result_of(portfolio, reasons)):
            result = result_of(portfolio, portfolio.run())
    if given.disp:
        print(f"{result.message}\n  fun: {result.fun:g}  nit: {result.nit}  nfev: {result.nfev}")
    return result


def _check_forms(constraints: Any, vectorized: bool, workers: Any) -> None:
    if constraints is not None and np.size(constraints):
        raise ValueError(
            "minimize() takes bounds but no constraints; add a penalty to the function, or use a method of "
            "scipy.optimize.minimize that takes them."
        )
    if vectorized and (callable(workers) or workers != 1):
        raise ValueError("A vectorized function gets the population at once, so workers must be 1.")
