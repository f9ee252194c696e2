"""A strategy on a task: the loop with validation, callbacks, a progress bar, and the better of two ends."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from evoopt import arguments
from evoopt.arguments import Array, Vector
from evoopt.evaluation import Evaluation, Task, check, learning_nothing
from evoopt.loop import INTERRUPTED, Limits, better, run, stopped_by
from evoopt.outcome import OTHER_STATUS, Reasons, keeping, make_result, message_of, status_of
from evoopt.strategies.base import Strategy

if TYPE_CHECKING:
    from scipy.optimize import OptimizeResult

Callback = Callable[[Strategy], Any]
# without evaluations left, or time, x is taken as it is
_NO_MORE = {"interrupted", "exception", "time_limit", "max_evaluations"}


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
    strategy = _read_strategy(strategy, task)
    check(strategy, task, validation, executor)
    start = time.perf_counter()
    limits = Limits(max_generations, max_evaluations, target, time_limit, patience)
    chunk_size = arguments.optional_whole("chunk_size", chunk_size, 1)
    callbacks, progress = _read_callbacks(callback), arguments.flag("progress", progress)
    evaluation = Evaluation("task", task, executor)
    watch = _Watch(strategy, validation)

    def evaluate(population: Array, generation: int) -> Any:
        fitness = evaluation(population, generation)
        watch.compare(fitness)
        return fitness

    def finish(reasons: Reasons) -> "OptimizeResult":
        evaluates = not _NO_MORE & dict(reasons).keys()
        with learning_nothing(task):
            chosen = _choose(strategy, evaluation if evaluates else None, watch)
        return _result(strategy, watch, reasons, chosen, time.perf_counter() - start)

    def go_on(show: Callable[[_Watch], None]) -> Reasons:
        def after(strategy: Strategy) -> bool:
            watch.look()
            show(watch)
            stopped = [stopped_by(call, strategy) for call in callbacks]  # all are called
            return any(stopped)

        if strategy.generation:
            watch.look()
        return run(strategy, evaluate, limits, after, lambda: watch.waited, chunk_size)

    with keeping(finish):
        try:
            with _progress_bar(progress, strategy, max_generations) as show:
                reasons = go_on(show)
            return finish(reasons)
        except KeyboardInterrupt:
            return finish((INTERRUPTED,))


def _read_strategy(strategy: Any, task: Any) -> Strategy:
    if isinstance(strategy, Strategy):
        return strategy
    if isinstance(task, Strategy):
        advice = "the strategy comes first, then the task: evoopt.evolve(strategy, task)"
    elif isinstance(strategy, type) and issubclass(strategy, Strategy):
        advice = f"make one of the class, for example {strategy.__name__}(mean, sigma)"
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
    strategy: Strategy, watch: "_Watch", reasons: Reasons, chosen: tuple[Array, float, int], seconds: float
) -> "OptimizeResult":
    x, fun, extra = chosen
    names = dict(reasons).keys()
    informed = watch.differed or "target" in names
    success = informed and not {"interrupted", "exception"} & names
    status = status_of(reasons)
    flat = () if informed else (("flat", "No two values of the fitness differ, so nothing was learned."),)
    return make_result(
        x=x,
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


class _Watch:
    """What the run has seen so far: whether values differ, the best judgement, and how long it has stood.

    Parameters
    ----------
    strategy : Strategy
    validation : callable or None
    """

    def __init__(self, strategy: Strategy, validation: Task | None) -> None:
        self._strategy, self._task = strategy, validation
        self._judge = None if validation is None else Evaluation("validation", validation)
        self.best, self.waited = math.nan, 0
        self.x: Array | None = None  # which the validation judged best
        self._values: set[float] = set()  # finite fitness that was seen; two of it will do
        for name in ("best", "median"):
            self._add(np.array(strategy.history[name]))

    @property
    def differed(self) -> bool:
        """Whether there were two different values, without which nothing can be learned."""
        return len(self._values) > 1

    @property
    def validation(self) -> float | None:
        """The best judgement of the validation, None where there is none."""
        return None if self._judge is None else self.best

    def compare(self, fitness: Any) -> None:
        """Look for different values in the fitness of a generation."""
        if not self.differed:  # as a rule after the first generation
            self._add(arguments.fitness_vector(self._strategy._io.host(fitness), len(fitness)))

    def _add(self, values: Vector) -> None:
        self._values.update(np.unique(values[np.isfinite(values)])[:2].tolist())

    def look(self) -> None:
        """Judge the generation that was told last."""
        strategy = self._strategy
        if self._judge is None:
            judged = strategy.history["best"][-1]
        else:
            solution = strategy.solution
            with learning_nothing(self._task):
                judged = self._judge.of_one(solution, strategy.generation)
        if better(strategy, judged, self.best):
            self.best, self.waited = judged, 0
            if self._judge is not None:
                self.x = solution.copy()
        else:
            self.waited += 1


def _choose(strategy: Strategy, evaluation: Evaluation | None, watch: _Watch) -> tuple[Array, float, int]:
    """Return the vector to use, its fitness, and the number of evaluations that finding out took."""
    x = strategy.solution if watch.x is None else watch.x
    best_x, best_fitness = strategy.best.x, strategy.best.fitness
    if best_x is not None and np.array_equal(x, best_x) and not strategy.noisy:  # noise: a lucky number
        return best_x, best_fitness, 0
    fun = math.nan if evaluation is None else evaluation.of_one(x, strategy.generation)
    extra = int(evaluation is not None)
    best_counts = watch.x is None and not strategy.noisy
    if best_x is not None and best_counts and better(strategy, best_fitness, fun):
        return best_x, best_fitness, extra
    return x, fun, extra


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
    with tqdm(total=total, initial=strategy.generation, unit="generation") as bar:

        def show(watch: _Watch) -> None:
            bar.set_postfix(
                best=f"{strategy.history['best'][-1]:.6g}", so_far=f"{watch.best:.6g}", refresh=False
            )
            bar.update(strategy.generation - bar.n)

        yield show
