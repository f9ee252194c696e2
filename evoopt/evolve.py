"""`evolve`: a strategy on a task, with validation, callbacks and a progress bar."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from evoopt import arguments
from evoopt.calls import called
from evoopt.evaluation import Evaluation, Task, check, learning_nothing
from evoopt.loop import INTERRUPTED, Limits, run, stopped_by
from evoopt.outcome import FAILURES, OTHER_STATUS, Reasons, keeping, make_result, message_of, status_of
from evoopt.progress import open_bar
from evoopt.run_file import RunFile
from evoopt.strategies.contract.base import Strategy
from evoopt.types import Array
from evoopt.watch import Watch, choose
from evoopt.workers.workers import Workers, read_workers

if TYPE_CHECKING:
    from evoopt.result import Result

Callback = Callable[[Strategy], Any]
# reasons after which no evaluation is left to judge the solution
_NO_MORE = {"interrupted", "exception", "time_limit", "max_evaluations"}


@called
def evolve(
    strategy: Strategy,
    task: Task,
    *,
    max_generations: int | None = None,
    max_evaluations: int | None = None,
    target: float | None = None,
    time_limit: float | None = None,
    validation: Task | None = None,
    patience: int | None = None,
    progress: bool = False,
    callback: Callable[[Strategy], Any] | Sequence[Callable[[Strategy], Any]] | None = None,
    executor: Executor | Workers | None = None,
    chunk_size: int | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    every: float = 60.0,
) -> "Result":
    """Run a strategy on a task until it stops or a limit is reached.

    The limits are totals of the strategy: running it again goes on where it stopped, and ends at
    the same totals. Ctrl-C ends the run, after the current `tell` if there is one, and the result
    so far is returned. Exceptions of the task, the validation and the callback are raised
    unchanged, with the result so far as ``error.result``.

    Parameters
    ----------
    strategy : Strategy
        Goes on from where it is, and is left where it stops.
    task : callable
        ``task(population, generation) -> fitness (popsize,)``. The generation goes to a parameter
        of that name, or else to a second parameter of any name if it has no default; there may be
        none. The population is overwritten in the next generation: copy the rows that you keep. A
        function f of one vector is a task as ``evoopt.Objective(f)``. Where the first population
        has as many rows as parameters, which could hide such a function, a task that is not a class
        of evoopt is called once more, with one row, and must return one number; no limit counts
        this call.
    max_generations, max_evaluations : int, optional
        Totals of the strategy. The last generation is cut short rather than exceed
        `max_evaluations`.
    target : float, optional
        Stop when a fitness at least as good as this was found.
    time_limit : float, optional
        Seconds of this call.
    validation : callable, optional
        A task that judges the strategy's solution after each generation, in the same direction as
        `task`. The result is then the solution that it judged best. It is called with one row.
    patience : int, optional
        Stop after so many generations without a better validation (or best fitness, where there is
        none).
    progress : bool
        Show a progress bar (package tqdm).
    callback : callable or list of them, optional
        ``callback(strategy)`` after each generation, a `CSVLogger`, for example. The run stops if
        it returns True (Python's or NumPy's) or 1, or raises StopIteration.
    executor : concurrent.futures.Executor or Workers, optional
        Evaluates the rows, one a call; for slow tasks. An executor means ``Workers(executor)``;
        `Workers` has options. Task and rows are pickled for other processes. The task sees each row
        alone, so it cannot learn, or play episodes that differ from row to row.
    chunk_size : int, optional
        Rows that are made and evaluated at a time, where a whole population would take too much
        memory; a `DeepGA` then never holds more, others make all rows again to learn from them. The
        results are the same, unless the fitness of a row depends on the other rows, or on its place
        among them (a `Rollout` with `normalize` or ``new_episodes="row"``).
    checkpoint : str or path, optional
        A file of the run. The same call again, in another process too, resumes the run from it, bit
        for bit as if it had never stopped: pass a strategy made with the same arguments, which then
        takes over the whole state; its seed may be left out both times. After a call the strategy
        is as in the file, and can be passed again. The task, and the validation, get their states.
        The limits, `callback`, `progress`, `executor`, `chunk_size` and `every` may change. The
        file is one that `load` reads.
    every : float
        Seconds between two writes of `checkpoint`, 0 to write after each generation. The file is
        also written after the last generation, Ctrl-C and an exception, always with the state
        between two generations. It is replaced as a whole, so that after a kill or a full disk the
        last good one is there.

    Returns
    -------
    scipy.optimize.OptimizeResult
        ``x`` (n_params,): the best row or the strategy's solution, whichever has the better fitness
        (for noisy fitness the solution; with `validation` the vector that it judged best).
        ``params``: its values by name, where the strategy searches a `Space`. ``fun``:
        its fitness, which may take one more evaluation, and always does for noisy fitness. After
        Ctrl-C, a time limit or the last of `max_evaluations` no evaluation is left: then `x` is the
        best row, or `fun` is NaN if `x` is another vector. ``success``: whether the run reached its
        normal end (a limit or the callback included), and saw two different values or reached the
        target; False after Ctrl-C. ``status``: 0 where the search converged or reached the target,
        1 at `max_evaluations`, 2 at `max_generations`, 3 for other reasons of the strategy, 4 at
        `time_limit`, 5 after `patience`, 6 after an exception, 99 for a callback, 130 after Ctrl-C.
        ``message``, in words; ``stop``, a tuple of (name, message); ``history``; ``nit``
        generations and ``nfev`` evaluations in total; ``seed`` of the strategy; ``time`` in
        seconds; ``validation``, the best judgement or None.

    Raises
    ------
    ValueError
        If the task is to be maximized and the strategy minimizes, or the other way round; if the
        task is noisy and the strategy was not made for it; if the task returns something other than
        one number for each row; for limits that are no numbers; for an `executor` and a task with a
        state, which a task with ``load_state()`` has unless its attribute ``learns`` is False; if
        the file `checkpoint` is damaged, or of another run: another strategy, other options,
        another class of the task.
    OSError
        If `checkpoint` cannot be written; the file before is kept.
    ImportError
        For `progress` without tqdm.

    Examples
    --------
    >>> import numpy as np
    >>> import evoopt
    >>> es = evoopt.CMAES(np.ones(3), 0.5, seed=1)
    >>> result = evoopt.evolve(es, lambda population: (population**2).sum(axis=1), target=1e-6)
    >>> bool(result.fun <= 1e-6), result.stop[0][0]
    (True, 'target')
    """
    strategy = _read_strategy(strategy, task)
    workers = None if executor is None else read_workers(executor)
    check(strategy, task, validation, workers)
    start = time.perf_counter()
    limits = Limits(max_generations, max_evaluations, target, time_limit, patience)
    chunk_size = arguments.optional_whole("chunk_size", chunk_size, 1)
    callbacks, progress = _read_callbacks(callback), arguments.flag("progress", progress)
    evaluation = Evaluation("task", task, workers)
    watch = Watch(strategy, validation)
    file = RunFile(checkpoint, every, strategy, task, validation)
    watch.go_on(file.begin())

    gather = evaluation.gatherer(strategy, chunk_size)

    def finish(reasons: Reasons) -> "Result":
        evaluates = not _NO_MORE & dict(reasons).keys()
        with learning_nothing(task), closing(evaluation):
            chosen = choose(strategy, evaluation if evaluates else None, watch)
        return _result(strategy, watch, reasons, chosen, time.perf_counter() - start)

    def go_on(show: Callable[[Watch], None]) -> Reasons:
        def after(strategy: Strategy) -> bool:
            watch.look()
            show(watch)
            stopped = [stopped_by(call, strategy) for call in callbacks]  # all are called
            return any(stopped)

        with closing(evaluation), file.kept(watch) as between:
            watch.look()

            def gather_and_compare(strategy: Strategy, limits: Limits) -> tuple[Array, Any]:
                between()
                told, fitness = gather(strategy, limits)
                watch.compare(fitness)
                return told, fitness

            return run(strategy, gather_and_compare, limits, after, lambda: watch.judged.waited)

    with keeping(finish):
        try:
            with _progress_bar(progress, strategy, max_generations) as show:
                reasons = go_on(show)
            return finish(reasons)
        except KeyboardInterrupt:
            return finish((INTERRUPTED,))


def _read_strategy(strategy: object, task: object) -> Strategy:
    if isinstance(strategy, Strategy):
        return strategy
    if isinstance(task, Strategy):
        advice = "the strategy comes first, then the task: evoopt.evolve(strategy, task)"
    elif isinstance(strategy, type) and issubclass(strategy, Strategy):
        form = strategy._usage or "mean, sigma"
        advice = f"make one of the class, for example {strategy.__name__}({form})"
    else:
        advice = "make one, for example evoopt.CMAES(mean, sigma)"
    raise ValueError(f"strategy must be a Strategy, got {strategy!r}; {advice}.")


def _read_callbacks(callback: Any) -> list[Callback]:
    callbacks = [] if callback is None else [callback] if callable(callback) else callback
    several = isinstance(callbacks, Sequence) and not isinstance(callbacks, str | bytes)
    for call in callbacks if several else [callback]:
        if not callable(call) or isinstance(call, type):
            raise ValueError(
                f"callback must be a function of the strategy, or a list of such, got {call!r}; for a file "
                'of the history take evoopt.CSVLogger("log.csv").'
            )
    return list(callbacks)


def _result(
    strategy: Strategy, watch: Watch, reasons: Reasons, chosen: tuple[Array, float, int], seconds: float
) -> "Result":
    x, fun, extra = chosen
    names = dict(reasons).keys()
    informed = watch.differed or "target" in names
    success = informed and not FAILURES & names
    status = status_of(reasons)
    flat = () if informed else (("flat", "No two values of the fitness differ, so nothing was learned."),)
    params = {} if strategy.space is None else {"params": strategy.space.decode(x)}
    return make_result(
        x=x,
        **params,
        fun=fun,
        success=success,
        status=status if success or status else OTHER_STATUS,
        message=message_of((*reasons, *flat)),
        history=strategy.history,
        stop=reasons,
        nit=strategy.generation,
        nfev=strategy.evaluations + extra,
        seed=strategy.seed,
        time=seconds,
        validation=watch.validation,
    )


@contextmanager
def _progress_bar(
    shown: bool, strategy: Strategy, max_generations: int | None
) -> Iterator[Callable[[Watch], None]]:
    if not shown:
        yield lambda watch: None
        return
    total = max_generations if max_generations is not None else strategy.max_generations
    with open_bar(total, "generation", strategy.generation) as bar:

        def show(watch: Watch) -> None:
            bar.set_postfix(
                best=f"{strategy.history['best'][-1]:.6g}", so_far=f"{watch.judged.best:.6g}", refresh=False
            )
            bar.update(strategy.generation - bar.n)

        yield show
