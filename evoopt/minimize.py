"""Minimization of a function in the words of scipy.optimize."""

import math
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import nullcontext
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import ArrayLike

from evoopt import arguments
from evoopt.arrays import shown
from evoopt.calls import called
from evoopt.compiling.cache import announced
from evoopt.outcome import keeping
from evoopt.portfolio.auto import Portfolio
from evoopt.portfolio.budget import Budget
from evoopt.portfolio.callback import read_callback
from evoopt.portfolio.header import header_of
from evoopt.portfolio.journal import Journal
from evoopt.portfolio.methods import MethodLike, read_method
from evoopt.portfolio.observers import check_log, observing
from evoopt.portfolio.options import read_options
from evoopt.portfolio.outcome import result_of, so_far
from evoopt.portfolio.start import read_start
from evoopt.portfolio.values import OfValues
from evoopt.portfolio.workers import evaluator
from evoopt.spaces.space import PointLike, Space
from evoopt.tasks.objective import Objective
from evoopt.types import BoundsLike
from evoopt.workers.workers import Workers

if TYPE_CHECKING:
    from evoopt.result import Result

MAXFUN = 10_000  # evaluations for each coordinate, unless the options say otherwise


def _takes_space(minimize: Callable[..., "Result"]) -> Callable[..., Any]:
    """Let a space stand before x0; it becomes the bounds."""

    @wraps(minimize)
    def call(*arguments: object, **options: object) -> "Result":
        if len(arguments) < 2 or not isinstance(arguments[1], Space):
            return minimize(*arguments, **options)
        fun, space, *others = arguments
        if "bounds" in options:
            raise ValueError(f"bounds must be left out with a Space, got {shown(options['bounds'])}.")
        return minimize(fun, *others, bounds=space, **options)

    return call


@overload
def minimize(
    fun: Callable[..., Any],
    space: Space,
    x0: PointLike | None = None,
    args: object = (),
    method: MethodLike = "auto",
    *,
    callback: Callable[..., Any] | None = None,
    tol: float | None = None,
    options: Mapping[str, Any] | None = None,
    vectorized: bool = False,
    workers: int | Executor | Workers | Callable[..., Any] = 1,
    checkpoint: str | os.PathLike[str] | None = None,
) -> "Result": ...
@overload
def minimize(
    fun: Callable[..., Any],
    x0: PointLike | None = None,
    args: object = (),
    method: MethodLike = "auto",
    bounds: BoundsLike | Space | None = None,
    callback: Callable[..., Any] | None = None,
    tol: float | None = None,
    options: Mapping[str, Any] | None = None,
    *,
    integrality: ArrayLike | None = None,
    constraints: Sequence[Any] = (),
    vectorized: bool = False,
    workers: int | Executor | Workers | Callable[..., Any] = 1,
    checkpoint: str | os.PathLike[str] | None = None,
) -> "Result": ...


@_takes_space
@called
def minimize(
    fun: Callable[..., Any],
    x0: PointLike | None = None,
    args: object = (),
    method: MethodLike = "auto",
    bounds: BoundsLike | Space | None = None,
    callback: Callable[..., Any] | None = None,
    tol: float | None = None,
    options: Mapping[str, Any] | None = None,
    *,
    integrality: ArrayLike | None = None,
    constraints: Sequence[Any] = (),
    vectorized: bool = False,
    workers: int | Executor | Workers | Callable[..., Any] = 1,
    checkpoint: str | os.PathLike[str] | None = None,
) -> "Result":
    """Minimize a function without derivatives, called as `scipy.optimize.minimize` is.

    Parameters
    ----------
    fun : callable
        ``fun(x, *args) -> float`` for x (n,); with `vectorized` ``fun(population, *args) ->
        (popsize,)``. An njit function runs compiled over the threads, with ``workers=1``; see
        `Objective`. In a `Space` the first argument is a dict of values by name, with `vectorized`
        of arrays (popsize,).
    x0 : array_like, shape (n,), optional
        Where to start; clipped to the bounds, and evaluated first, so that no result is worse. By
        default the middle of the bounds, all of which must be finite then. In a `Space` a dict or a
        row, which must be inside.
    args : tuple, or one argument
        Further arguments of `fun`.
    method : str or class
        "auto" (or None), a portfolio (see Notes); "ipop" or "bipop", restarts of CMAES (from 1000
        coordinates on, of SepCMAES); or a registered strategy, by its name in any case ("cmaes",
        "sepcmaes", "snes", "ga") or as a class, as one of your own is.
    bounds : n pairs (low, high), one pair of numbers for all, scipy.optimize.Bounds, or Space
        As for `Strategy`; optional. A `Space` may also stand before x0: ``minimize(fun, space,
        x0=...)``.
    callback : callable, optional
        Called with the best so far after each iteration, in one of scipy's forms: ``callback(xk)``;
        ``callback(intermediate_result)`` if its parameter has that name (a `CSVLogger` does);
        ``callback(xk, convergence)`` of `scipy.optimize.differential_evolution`: 1 where the last
        population agrees to 1 percent (the median of its fitness m, its best value at most .01 |m|
        below), less where it does not, 0 where there is no population. The search stops if it
        returns True or 1, or raises StopIteration.
    tol : float, optional
        How much values may differ that count as the same, see Notes; a single strategy takes it as
        its ``tolx`` and ``tolfun``. A looser one never costs more.
    options : dict, optional
        Limits: ``maxfun`` (evaluations, by default 10,000 n), ``maxiter`` (iterations: generations,
        and iterations of descents), ``time_limit`` (seconds), ``target`` (stop at this value).
        Settings: ``seed`` (a whole number or a numpy Generator to draw one from), ``sigma`` (by
        default a quarter of the range of coordinates with two bounds, but at most ten times `x0`,
        or 10 if that is more, as far wider bounds say less than `x0`; with an open side 0.3 times
        the largest coordinate of `x0`, or 0.3; bounds from 1e20 on count as open; in a `Space` a
        quarter of each width, of integers a fifth, for ``log=True`` of the natural logarithm, and
        it may be a dict with the names of the space, without choices), ``exhaust`` (go on when
        searches agree, see Notes), ``popsize``, and the other options of the strategy. Messages:
        ``progress`` (a bar, package tqdm), ``log`` (the path of a new CSV file for people: number,
        value and coordinates of each evaluation, written at once; where a `checkpoint` goes on, so
        does this file), ``disp`` (print the outcome, and before that whether kernels compile).
    integrality : array_like of 0 and 1, shape (n,), or one number, optional
        Which variables are whole numbers, as in `scipy.optimize.differential_evolution`: 1 (True)
        is whole, 0 real. Whole variables need finite bounds, whose ends are rounded inward, and x0
        is rounded. `fun` gets vectors as always. In a `Space` take `Integer` instead.
    constraints
        Refused: bounds are the only constraints.
    vectorized : bool
        Whether `fun` takes a whole population (popsize, n).
    workers : int, concurrent.futures.Executor, Workers or callable
        Number of processes that evaluate, -1 for all cores; an executor, or `Workers` around one,
        without row numbers and `asynchronous`; or a function like `map`. For other processes `fun`
        must be defined by def at the top of a module, and a script must call `minimize` under ``if
        __name__ == "__main__":``.
    checkpoint : path, optional
        A file that `minimize` keeps of its evaluations and reads again, for a process that may be
        killed. The same call, where the file exists, goes on: points in the file are not evaluated
        again, and the result has the bits of a run that was never killed. See Notes.

    Returns
    -------
    scipy.optimize.OptimizeResult
        ``x, fun, success, status, message, nit, nfev`` as in scipy; ``params``, the values by name
        where there is a `Space`; ``seed``, the one that was used; ``stop``, the reasons to stop as
        (name, message); ``method``; and ``history``, the columns of a strategy's `history` over all
        searches: first a line for x0 (generation 0), then one for each iteration, and a last one
        where evaluations followed the last iteration. NaN stands for a number that a search does
        not know. ``success`` is True where the target was reached, where no coordinate is free to
        vary, and where the search, having seen values that differ, contracted on the best of them.
        It is False at a limit, and where `fun` turned out to be noisy; ``message`` says so. With
        the option ``noisy`` x is the strategy's ``solution``, and ``fun`` takes one more
        evaluation. After Ctrl-C it is the result so far.

    Raises
    ------
    ValueError
        For an unknown method or option, constraints, or arguments that do not fit; for a
        `checkpoint` of another search, a damaged one, or one that another process writes.
    OSError
        If the `checkpoint` or the log cannot be written, on a full disk for example; with the
        result so far as ``result``. The file stays good.
    Exception
        Whatever `fun` or `callback` raises, as it is, with the result so far as its attribute
        ``result``.
    concurrent.futures.BrokenExecutor
        If a process of the `workers` ends before its time; a note has advice.

    Notes
    -----
    "auto" begins with a descent, scipy's SLSQP (from 100 coordinates on L-BFGS-B) on gradients by
    finite differences, from `x0`. Some evaluations tell whether the function is a sum of functions
    of one coordinate; if so, a line search along each follows. After another descent, restarted
    CMA-ES (IPOP) starts at `x0` with `sigma`. ``message`` names the searches. With the option
    ``noisy`` nothing but CMA-ES is used.

    Where variables are whole numbers or choices, a coordinate search over them takes the place of
    these descents, with descents over the reals. It ends when no change of one variable, and none
    of the most promising changes of two, is better with reals of its own.

    "auto", "ipop" and "bipop" end when two searches have ended at the best value: their best values
    differ by at most 1e-8 of it, or of the range of the values at first, or by `tol`. With the
    option ``exhaust`` they go on to a limit. Where `fun` looks noisy, because a descent or a search
    ended while values around still differed, its best point is evaluated once more; two values mean
    noise. `docs/reference/minimize.md` has a table of the meanings of `tol` and ``target`` for each
    method.

    With a `checkpoint` the search begins anew in each call, and gets the values of the points that
    it has seen before from the file. ``callback`` is called again for their iterations. The seed of
    the first call is used again. Limits (``maxfun``, ``maxiter``, ``time_limit``, ``target``,
    ``exhaust``), messages, `workers` and `vectorized` may change from call to call; all else must
    stay, and so must the versions of numpy and scipy, and the kind of processor, or the search may
    come to other points, which is refused. "auto" plans with the ``maxfun`` of the first call. Of
    `fun` only the name is compared, and of `args` nothing: they may be mended, but remove the file
    if values change. ``time_limit`` counts the seconds of this call, and ends none before its first
    new evaluation. A kill loses the evaluations that had not returned, a loss of power about a
    second more. An evaluation takes 8 n + 20 bytes.

    Examples
    --------
    >>> import evoopt
    >>> from scipy.optimize import rosen
    >>> result = evoopt.minimize(rosen, [-1.0, 2.0], options={"seed": 1})
    >>> result.success, result.x.round(4)
    (True, array([1., 1.]))

    Variables with names, one of them on a logarithmic scale:

    >>> space = evoopt.Space(rate=evoopt.Real(1e-5, 0.1, log=True), size=evoopt.Real(0, 10))
    >>> result = evoopt.minimize(
    ...     lambda values: (values["size"] - 3) ** 2 + np.log10(values["rate"] / 1e-3) ** 2,
    ...     space,
    ...     options={"seed": 1},
    ... )
    >>> {name: round(value, 5) for name, value in result.params.items()}
    {'rate': 0.001, 'size': 3.0}

    A whole number, in a function of a vector:

    >>> def cost(x):
    ...     return (x[0] - 0.5 * x[1]) ** 2 + (x[1] - 2.7) ** 2
    >>> result = evoopt.minimize(
    ...     cost, [0.0, 0.0], bounds=[(-5, 5), (0, 9)], integrality=[0, 1], options={"seed": 1}
    ... )
    >>> result.x.round(4)
    array([1.5, 3. ])

    An exception loses nothing:

    >>> def fun(x):
    ...     if x[0] > 0.5:
    ...         raise ArithmeticError("no model there")
    ...     return rosen(x)
    >>> try:
    ...     evoopt.minimize(fun, [-1.0, 2.0])
    ... except ArithmeticError as error:
    ...     best = error.result
    >>> bool(best.fun < fun([-1.0, 2.0]))
    True
    """
    _check_forms(constraints, vectorized, workers)
    _check_task(fun)
    objective, named = Objective(fun, args, vectorized), read_method(method)
    if isinstance(bounds, Space):
        objective = _of_values(objective, bounds)
    given = read_options(named, options)
    tol = None if tol is None else arguments.within("tol", tol, 0, math.inf)
    report = None if callback is None else read_callback(callback)
    start = read_start(x0, bounds, given.sigma, integrality)
    journal = None if checkpoint is None else Journal(arguments.path("checkpoint", checkpoint))
    seed = journal.header.seed if journal and journal.header and given.seed is None else given.seed
    strategy = named.make(start, seed, tol, given.strategy)
    n = len(start.x0)
    maxfun = MAXFUN * n if given.maxfun is None else given.maxfun
    header = partial(header_of, fun, named, start, strategy.seed, maxfun, tol, given.strategy)
    check_log(given.log, journal)
    with (
        announced(print) if given.disp else nullcontext(),
        evaluator(workers, partial(objective.fun, *objective.args), objective.each) as evaluate,
        journal.opened(header()) if journal else nullcontext(),
        observing(given.log, given.progress, start, maxfun, journal) as observers,
    ):
        budget = Budget(
            evaluate,
            *(maxfun, given.maxiter, given.target, given.time_limit),
            noisy=strategy.noisy,
            measures=strategy._measures(),
            observers=observers,
            journal=journal,
        )
        descends = named.name == "auto" and not strategy.noisy
        portfolio = Portfolio(named.name, budget, strategy, start, descends, tol or 0.0, given.exhaust)
        if report is not None:
            budget.after = lambda: report(so_far(portfolio))
        with keeping(lambda reasons: result_of(portfolio, reasons)):
            result = result_of(portfolio, portfolio.run())
            if journal is not None:
                journal.sync()
    if given.disp:
        print(f"{result.message}\n  fun: {result.fun:g}  nit: {result.nit}  nfev: {result.nfev}")
    return result


def _of_values(objective: Objective, space: Space) -> Objective:
    """Return the objective of rows of a space, given the objective of dicts of values."""
    if objective._engine is not None:
        raise ValueError(
            f"fun must be a function of a dict in a Space, got {objective!r}, which takes arrays; call it "
            "from a function of the values."
        )
    return Objective(OfValues(objective.fun, space), objective.args, objective.vectorized)


def _check_forms(constraints: Any, vectorized: bool, workers: object) -> None:
    if constraints is not None and np.size(constraints):
        raise ValueError(
            "minimize() takes bounds but no constraints; add a penalty to the function, or use a "
            "method of scipy.optimize.minimize that takes them."
        )
    if arguments.flag("vectorized", vectorized) and (callable(workers) or workers != 1):
        raise ValueError(
            f"workers must be 1 where fun is vectorized and gets the population at once, got {workers!r}."
        )


def _check_task(fun: object) -> None:
    """Raise ValueError for a task that maximizes, or that needs the generation."""
    if getattr(fun, "maximize", False) is True:
        raise ValueError(
            "fun must be a function to be minimized, got a task to be maximized; take evoopt.evolve with a "
            "strategy made with maximize=True, or minimize its negative."
        )
    if getattr(fun, "noisy", False) is True:
        raise ValueError(
            "fun must be a function of the parameters alone, got a task whose fitness changes from "
            "generation to generation, of which minimize() sees the first only; take evoopt.evolve."
        )
