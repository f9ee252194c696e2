"""The ask/tell loop, written once."""

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from evoopt import arguments
from evoopt.outcome import Reasons
from evoopt.strategies.contract.base import Strategy
from evoopt.strategies.contract.stopping import reaches
from evoopt.types import Array, Ids, Vector

Evaluate = Callable[[Array, int], Any]  # (population, generation) -> fitness

LEAST_ROWS = 2  # that a strategy learns from
INTERRUPTED = ("interrupted", "The run was interrupted from the keyboard.")


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
        if self.target is not None:
            arguments.number("target", self.target)
        if self.time_limit is not None:
            arguments.within("time_limit", self.time_limit, 0, math.inf)

    def rows(self, strategy: Strategy) -> int:
        """Return how many rows the next generation may have."""
        limits = [n for n in (self.max_evaluations, strategy.max_evaluations) if n is not None]
        return min([strategy.popsize, *(n - strategy.evaluations for n in limits)])

    def reached(self, strategy: Strategy, waited: int) -> Reasons:
        """Return the reasons to end now, as (name, message)."""
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
    evaluate: Evaluate,
    limits: Limits,
    after: Callable[[Strategy], Any],
    waited: Callable[[], int] = lambda: 0,
    chunk_size: int | None = None,
) -> Reasons:
    """Ask, evaluate and tell until there is a reason to stop, or `after` is true; return the reasons."""
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
            if after(strategy):
                return (("callback", "The callback stopped the run."),)
    except KeyboardInterrupt:
        return (INTERRUPTED,)
    return reasons


def stopped_by(callback: Callable[..., Any], *args: object) -> bool:
    """Call a callback; return whether it stops the run, by StopIteration or by the answer True.

    The number 1 and the True of other libraries count as True. Whatever else comes back goes on: None, text,
    an array of several elements.
    """
    try:
        answer = callback(*args)
    except StopIteration:
        return True
    if getattr(answer, "shape", None) in ((), (1,)):  # a scalar of NumPy, or an array of one element
        answer = answer.item()
    return isinstance(answer, int) and answer == 1


def _in_chunks(strategy: Strategy, evaluate: Evaluate, ids: Ids, size: int) -> Vector:
    """Return the fitness of the rows `ids`, of which so many are made at a time."""
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
    before = signal.signal(signal.SIGINT, lambda *args: came.append(args))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if came and callable(before):
        before(*came[0])


def _unique(reasons: Reasons) -> Reasons:
    """Keep one reason of each name: a limit can be the strategy's and the run's."""
    return tuple(dict(reasons).items())
