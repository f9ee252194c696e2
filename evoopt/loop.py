"""The ask/tell loop, written once."""

import math
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from evoopt import arguments
from evoopt.outcome import Reasons
from evoopt.strategies.contract import stopping
from evoopt.strategies.contract.base import Strategy
from evoopt.types import Array, Ids, Vector

Evaluate = Callable[[Array, int, int], Any]  # (rows, generation, place of the first row) -> fitness
# (strategy, limits) -> a generation: what is told, rows or their numbers, and its fitness
Gather = Callable[[Strategy, "Limits"], tuple[Array | Ids, Any]]

INTERRUPTED = ("interrupted", "the run was interrupted from the keyboard")


@dataclass
class Limits:
    """When a run ends, besides the strategy's own advice; None is no limit."""

    max_generations: int | None = None
    max_evaluations: int | None = None
    target: float | None = None
    time_limit: float | None = None
    patience: int | None = None
    _deadline: stopping.Deadline = field(init=False)

    def __post_init__(self) -> None:
        for name in ("max_generations", "max_evaluations", "patience"):
            arguments.optional_whole(name, getattr(self, name), 0)
        if self.target is not None:
            arguments.number("target", self.target)
        if self.time_limit is not None:
            arguments.within("time_limit", self.time_limit, 0, math.inf)
        self._deadline = stopping.Deadline(self.time_limit)

    def rows(self, strategy: Strategy) -> int:
        """Return how many rows the next generation may have."""
        return int(min(strategy.popsize, self.left(strategy)))

    def left(self, strategy: Strategy) -> float:
        """Return how many evaluations are left."""
        return self._evaluations(strategy) - strategy.evaluations

    def reached(self, strategy: Strategy, waited: int) -> Reasons:
        """Return the reasons to end now, as (name, message)."""
        limits = self.target, self._evaluations(strategy), self.max_generations
        reasons = stopping.limits(strategy, *limits, stopping.LEAST_ROWS) + self._deadline.reached()
        if self.patience is not None and waited >= self.patience:
            reasons.append(("patience", f"nothing was better in {waited} generations"))
        return tuple(reasons)

    def _evaluations(self, strategy: Strategy) -> float:
        """Return the smaller limit of evaluations, the run's or the strategy's."""
        limits = self.max_evaluations, strategy.max_evaluations
        return min(math.inf if limit is None else limit for limit in limits)


def run(
    strategy: Strategy,
    gather: Gather,
    limits: Limits,
    after: Callable[[Strategy], Any],
    waited: Callable[[], int] = lambda: 0,
) -> Reasons:
    """Gather fitness and tell it until there are reasons to stop; return them."""
    try:
        while not (reasons := _unique(strategy.stop() + limits.reached(strategy, waited()))):
            told, fitness = gather(strategy, limits)
            if not len(told):  # late rows were too old to be told, and took the place of a last generation
                continue
            with _interrupts_wait():
                strategy.tell(told, fitness)
            if after(strategy):
                return (("callback", "the callback stopped the run"),)
    except KeyboardInterrupt:
        return (INTERRUPTED,)
    return reasons


def stopped_by(callback: Callable[..., Any], *args: object) -> bool:
    """Call a callback; return whether it stops the run, by StopIteration or by the answer True.

    The number 1 and the True of other libraries count as True. Any other answer goes on: None,
    text, an array of several elements.
    """
    try:
        answer = callback(*args)
    except StopIteration:
        return True
    if getattr(answer, "shape", None) in ((), (1,)):  # a scalar of NumPy, or an array of one element
        answer = answer.item()
    return isinstance(answer, int) and answer == 1


class Populations:
    """Generations as whole populations, asked for and evaluated; the array is used again.

    Parameters
    ----------
    evaluate : callable
        ``evaluate(rows, generation, first) -> fitness`` of rows from the place `first` on.
    chunk_size : int, optional
        Rows that are made at a time.
    """

    def __init__(self, evaluate: Evaluate, chunk_size: int | None = None) -> None:
        self._evaluate, self._chunk_size = evaluate, chunk_size
        self._rows: Array | None = None

    def __call__(self, strategy: Strategy, limits: Limits) -> tuple[Array | Ids, Any]:
        """Ask for a generation and evaluate it."""
        ids = strategy.ask_ids(limits.rows(strategy))
        if self._chunk_size is not None and self._chunk_size < len(ids):
            return ids, _in_chunks(strategy, self._evaluate, ids, self._chunk_size)
        rows = self._rows
        if rows is not None and len(rows) < len(ids):  # the first run of a restart with more rows
            rows = None
        told = strategy.rows(ids, out=None if rows is None else rows[: len(ids)])
        self._rows = told if rows is None else rows
        return told, self._evaluate(told, strategy.generation, 0)


def _in_chunks(strategy: Strategy, evaluate: Evaluate, ids: Ids, size: int) -> Vector:
    """Return the fitness of the rows `ids`, of which so many are made at a time."""
    fitness = np.empty(len(ids))
    population: Array | None = None
    for start in range(0, len(ids), size):
        chunk = ids[start : start + size]
        population = strategy.rows(chunk, out=None if population is None else population[: len(chunk)])
        values = evaluate(population, strategy.generation, start)
        fitness[start : start + len(chunk)] = arguments.fitness_vector(values, len(chunk))
    return fitness


@contextmanager
def _interrupts_wait() -> Iterator[None]:
    """Make Ctrl-C wait for the end of the block, so that it leaves no half-made update."""
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGINT) is None:
        yield  # signals are the main thread's; a handler of a program around Python cannot be restored
        return
    signals: list[Any] = []
    before = signal.signal(signal.SIGINT, lambda *args: signals.append(args))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if signals and callable(before):
        before(*signals[0])


def _unique(reasons: Reasons) -> Reasons:
    """Keep one reason of each name: a limit can be the strategy's and the run's."""
    return tuple(dict(reasons).items())
