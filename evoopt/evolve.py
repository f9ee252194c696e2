"""The ask/tell loop, written once."""

import inspect
import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from evoopt import arguments
from evoopt.arguments import Array, Ids, Vector
from evoopt.kernels import threads
from evoopt.kernels.cache import announced
from evoopt.strategies.base import Strategy
from evoopt.strategies.checkpoint import state_of
from evoopt.strategies.stopping import reaches

if TYPE_CHECKING:
    from scipy.optimize import OptimizeResult

Task = Callable[..., Any]
Reasons = tuple[tuple[str, str], ...]

LEAST_ROWS = 2  # that a strategy learns from


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
    executor: Executor | None = None,
    chunk_size: int | None = None,
) -> "OptimizeResult":
    """Run a strategy on a task until it stops or a limit is reached.

    The limits are totals of the strategy: running it again goes on where it stopped, and ends at the same
    totals. Ctrl-C ends the run after the `tell` it may be in, and gives what there is.

    Parameters
    ----------
    strategy : Strategy
        Goes on from where it is, and is left where it stops.
    task : callable
        ``task(population, generation) -> fitness (popsize,)``; the second argument may be missing. The
        population is overwritten in the next generation: copy what is to be kept.
    max_generations, max_evaluations : int, optional
        Totals of the strategy. The last generation is cut short rather than exceed `max_evaluations`.
    target : float, optional
        Stop when a fitness at least as good as this was found.
    time_limit : float, optional
        Seconds of this call.
    validation : callable, optional
        A task that judges the strategy's solution after each generation, in the same direction as `task`. The
        result is then the solution that it judged best.
    patience : int, optional
        Stop after so many generations without a better validation (or best fitness, where there is none).
    progress : bool
        Show a progress bar (package tqdm).
    callback : callable or list of them, optional
        ``callback(strategy)`` after each generation; giving True or raising StopIteration stops. A
        `CSVLogger`, for example.
    executor : concurrent.futures.Executor, optional
        Evaluates the rows, one a call; for slow tasks. Task and rows are pickled for other processes. The
        task sees each row alone, so it cannot give rows of a generation episodes of their own, or learn.
    chunk_size : int, optional
        Rows that are made and evaluated at a time, where a whole population would take too much memory; a
        `DeepGA` then never holds more, others make all rows again to learn from them. The results are the
        same, unless what the task gives for a row depends on the others, or on its place among them (a
        `Rollout` with `normalize` or ``new_episodes="row"``).

    Returns
    -------
    scipy.optimize.OptimizeResult
        ``x`` (n_params,): the best row or the strategy's solution, whichever has the better fitness (for
        noisy fitness the solution; with `validation` what that judged best). ``fun``: its fitness, which may
        take one evaluation more; after Ctrl-C, a time limit or the last of `max_evaluations` there is none,
        so that `x` is the best row, or `fun` NaN where `x` is another. ``history``; ``stop``, a tuple of
        (name, message); ``nit`` generations and ``nfev`` evaluations in total; ``time`` in seconds;
        ``validation``, the best judgement or None.

    Raises
    ------
    ValueError
        If the task is to be maximized and the strategy minimizes, or the other way round; if the task is
        noisy and the strategy was not made for it; for limits that are no numbers; for an `executor` and a
        task with a state.
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
    for judge in (task, validation):
        _check_direction(strategy, judge)
    _check_noise(strategy, task)
    _check_executor(executor, task)
    start = time.perf_counter()
    limits = Limits(max_generations, max_evaluations, target, time_limit, patience)
    watch = _Watch(strategy, validation)
    evaluate = _evaluator(task, executor)
    chunk_size = arguments.optional_whole("chunk_size", chunk_size, 1)
    callbacks = [callback] if callable(callback) else list(callback or ())
    if strategy.generation:
        watch.look()
    with _progress_bar(progress, strategy, max_generations) as show:

        def after(strategy: Strategy) -> Any:
            watch.look()
            show(watch)
            return True in [call(strategy) is True for call in callbacks]  # all are called

        reasons = run(strategy, evaluate, limits, after, lambda: watch.waited, chunk_size)
    may_evaluate = not {"interrupted", "time_limit", "max_evaluations"} & dict(reasons).keys()
    with _learning_nothing(task):
        x, fun, extra = _choose(strategy, evaluate if may_evaluate else None, watch)
    return make_result(
        x=x,
        fun=fun,
        history=strategy.history,
        stop=reasons,
        nit=strategy.generation,
        nfev=strategy.evaluations + extra,
        time=time.perf_counter() - start,
        validation=watch.best if validation is not None else None,
    )


@dataclass(frozen=True)
class Limits:
    """When a run ends, besides the strategy's own advice; None is no limit."""

    max_generations: int | None = None
    max_evaluations: int | None = None
    target: float | None = None
    time_limit: float | None = None
    patience: int | None = None
    _start: float = field(default_factory=time.perf_counter)

    def __post_init__(self) -> None:
        for name in ("max_generations", "max_evaluations", "patience"):
            arguments.optional_whole(name, getattr(self, name), 0)
        for name in ("target", "time_limit"):
            if getattr(self, name) is not None:
                arguments.number(name, getattr(self, name))

    def rows(self, strategy: Strategy) -> int:
        """Give how many rows the next generation may have."""
        limits = [n for n in (self.max_evaluations, strategy.max_evaluations) if n is not None]
        return min([strategy.popsize, *(n - strategy.evaluations for n in limits)])

    def reached(self, strategy: Strategy, waited: int) -> Reasons:
        """Give the reasons to end now, as (name, message)."""
        reasons = []
        if self.max_generations is not None and strategy.generation >= self.max_generations:
            reasons.append(("max_generations", f"{strategy.generation} generations were run."))
        left = self.rows(strategy)
        if left < LEAST_ROWS:
            limit = strategy.evaluations + left
            message = f"The limit of evaluations, {limit}, leaves no further generation."
            reasons.append(("max_evaluations", message))
        if self.target is not None and reaches(strategy, self.target):
            reasons.append(("target", f"The fitness {strategy.best.fitness:g} reaches {self.target:g}."))
        elapsed = time.perf_counter() - self._start
        if self.time_limit is not None and elapsed >= self.time_limit:
            reasons.append(("time_limit", f"{elapsed:.1f} seconds have passed."))
        if self.patience is not None and waited >= self.patience:
            reasons.append(("patience", f"Nothing better in {waited} generations."))
        return tuple(reasons)


def run(
    strategy: Strategy,
    evaluate: Callable[[Array, int], Any],
    limits: Limits,
    after: Callable[[Strategy], Any],
    waited: Callable[[], int] = lambda: 0,
    chunk_size: int | None = None,
) -> Reasons:
    """Ask, evaluate and tell until there is a reason to stop; gives the reasons."""
    rows: Array | None = None
    try:
        while not (reasons := _unique(strategy.stop() + limits.reached(strategy, waited()))):
            ids = strategy.ask_ids(limits.rows(strategy))
            if chunk_size is None or chunk_size >= len(ids):
                if rows is not None and len(rows) < len(ids):  # the first run of a restart with more rows
                    rows = None
                told = strategy.rows(ids, out=None if rows is None else rows[: len(ids)])
                rows = told if rows is None else rows
                fitness = evaluate(told, strategy.generation)
            else:
                told, fitness = ids, _in_chunks(strategy, evaluate, ids, chunk_size)
            with _interrupts_wait():
                strategy.tell(told, fitness)
            if after(strategy) is True:
                return (("callback", "The callback stopped the run."),)
    except StopIteration:
        return (("callback", "The callback stopped the run."),)
    except KeyboardInterrupt:
        return (("interrupted", "The run was interrupted from the keyboard."),)
    return reasons


def _in_chunks(strategy: Strategy, evaluate: Callable[[Array, int], Any], ids: Ids, size: int) -> Vector:
    """Give the fitness of the rows `ids`, of which so many are made at a time."""
    fitness = np.empty(len(ids))
    population: Array | None = None
    for start in range(0, len(ids), size):
        chunk = ids[start : start + size]
        population = strategy.rows(chunk, out=None if population is None else population[: len(chunk)])
        values = evaluate(population, strategy.generation)
        fitness[start : start + len(chunk)] = arguments.fitness_vector(values, len(chunk))
    return fitness


@contextmanager
def _interrupts_wait() -> Iterator[None]:
    """Let Ctrl-C wait for the end of the block, so that it leaves no half-made update."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the main thread's
        return
    came: list[Any] = []
    before = signal.signal(signal.SIGINT, lambda *arguments: came.append(arguments))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if came and callable(before):
        before(*came[0])


def make_result(**fields: Any) -> "OptimizeResult":
    """Make the result; scipy.optimize would be a third of the time that importing evoopt takes."""
    from evoopt.result import Result  # noqa: PLC0415

    return Result(**fields)


def better(strategy: Strategy, fitness: float, than: float) -> bool:
    """Whether a fitness beats another in the strategy's direction; everything beats NaN."""
    if math.isnan(than) or math.isnan(fitness):
        return not math.isnan(fitness)
    return fitness > than if strategy.maximize else fitness < than


def _unique(reasons: Reasons) -> Reasons:
    """Keep one reason of each name: a limit can be the strategy's and the run's."""
    return tuple(dict(reasons).items())


class _Watch:
    """What the run has seen so far: the best validation, and for how long nothing was better."""

    def __init__(self, strategy: Strategy, validation: Task | None) -> None:
        self._strategy, self._validation = strategy, validation
        self._validate = None if validation is None else _evaluator(validation, None)
        self.best, self.waited = math.nan, 0
        self.x: Array | None = None  # what the validation judged best

    def look(self) -> None:
        strategy = self._strategy
        if self._validate is None:
            judged = strategy.history["best"][-1]
        else:
            solution = strategy.solution
            with _learning_nothing(self._validation):
                judged = float(self._validate(solution[None], strategy.generation)[0])
        if better(strategy, judged, self.best):
            self.best, self.waited = judged, 0
            if self._validate is not None:
                self.x = solution.copy()
        else:
            self.waited += 1


def _choose(
    strategy: Strategy, evaluate: Callable[[Array, int], Any] | None, watch: _Watch
) -> tuple[Array, float, int]:
    """Give the vector to use, its fitness, and the number of evaluations that finding out took."""
    x = strategy.solution if watch.x is None else watch.x
    best_x, best_fitness = strategy.best.x, strategy.best.fitness
    if best_x is not None and np.array_equal(x, best_x):
        return best_x, best_fitness, 0
    fun = math.nan if evaluate is None else float(evaluate(x[None], strategy.generation)[0])
    extra = int(evaluate is not None)
    best_counts = watch.x is None and not strategy.noisy
    if best_x is not None and best_counts and better(strategy, best_fitness, fun):
        return best_x, best_fitness, extra
    return x, fun, extra


def _check_direction(strategy: Strategy, task: Task | None) -> None:
    if getattr(task, "maximize", strategy.maximize) != strategy.maximize:
        words = {True: "maximized", False: "minimized"}
        raise ValueError(
            f"The task is to be {words[not strategy.maximize]}, but the strategy was made with "
            f"maximize={strategy.maximize}; make it with maximize={not strategy.maximize}."
        )


def _check_noise(strategy: Strategy, task: Task) -> None:
    if getattr(task, "noisy", False) and not strategy.noisy:
        raise ValueError(
            "The fitness of the task changes from generation to generation, but the strategy was made with "
            "noisy=False and would keep the luckiest row; make it with noisy=True."
        )


def _check_executor(executor: Executor | None, task: Task) -> None:
    if executor is not None and state_of(task):
        raise ValueError(
            "An executor evaluates rows by copies of the task, but this one has a state: what copies learn "
            "of their rows would be lost. Leave executor out, or make the task so that it learns nothing."
        )


@contextmanager
def _learning_nothing(task: Any) -> Iterator[None]:
    """Leave a task's state as it was: what it judges in the block is no part of a generation."""
    state = state_of(task)
    try:
        yield
    finally:
        if state:
            task.load_state(state)


def _evaluator(task: Task, executor: Executor | None) -> Callable[[Array, int], Any]:
    """Give ``evaluate(population, generation) -> fitness`` of a task that may take the generation or not."""
    if not callable(task):
        raise ValueError(f"A task is a function of a population, but {task!r} came.")
    takes_generation = _takes_generation(task)

    def evaluate(population: Array, generation: int) -> Any:
        call = partial(task, generation=generation) if takes_generation else task
        if executor is None:
            return call(population)
        # each worker gets the task a few times a generation, not once for each row
        rows_at_once = max(1, len(population) // (4 * threads.get_num_threads()))
        parts = executor.map(call, population[:, None], chunksize=rows_at_once)
        return np.concatenate([np.atleast_1d(part) for part in parts])

    return evaluate


def _takes_generation(task: Task) -> bool:
    try:
        parameters = inspect.signature(task).parameters
    except (TypeError, ValueError):  # some builtins tell nothing of their parameters
        return False
    return "generation" in parameters


@contextmanager
def _progress_bar(
    shown: bool, strategy: Strategy, max_generations: int | None
) -> Iterator[Callable[[_Watch], None]]:
    if not shown:
        yield lambda watch: None
        return
    try:
        from tqdm.auto import tqdm  # noqa: PLC0415  (an optional extra)
    except ImportError as error:
        raise ImportError(
            "progress=True needs the package tqdm, which is not installed: pip install evoopt[progress]"
        ) from error
    total = max_generations if max_generations is not None else strategy.max_generations
    say = partial(tqdm.write, file=sys.stderr)
    with tqdm(total=total, initial=strategy.generation, unit="generation") as bar, announced(say):

        def show(watch: _Watch) -> None:
            bar.set_postfix(
                best=f"{strategy.history['best'][-1]:.6g}", so_far=f"{watch.best:.6g}", refresh=False
            )
            bar.update(strategy.generation - bar.n)

        yield show
