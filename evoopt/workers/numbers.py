"""Row numbers in place of rows: workers hold a copy of the strategy and make the rows themselves.

A job names the numbers of its rows, and has the fingerprint of the first one. The fitness that the
strategy learned from last travels with one job for each worker; a worker whose copy is older says
so, and gets more. A worker whose row differs gets the present state; if that does not help, it
rounds otherwise than the main process, and gets rows.
"""

import itertools
import logging
import secrets
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from evoopt.failures import Failure
from evoopt.strategies.contract.base import Strategy
from evoopt.types import Array, Ids, Vector
from evoopt.workers.crew import Crew, Job
from evoopt.workers.remote import Answer, Function, Missing, Refusal, worker_name

ALLOWED = 1  # how often the rows of a worker may differ
REMEMBERED = 32  # generations that a copy can make up for; an older one gets the state
_log = logging.getLogger(__name__)
_differed: Counter[str] = Counter()  # how often rows of this worker differed, by the key of a copy


class Learned(NamedTuple):
    """A generation of the strategy, and how a copy gets there from earlier ones."""

    generation: int
    history: tuple[tuple[Vector, int], ...]  # fitness that was told, and row numbers handed out then


class Copy:
    """A worker's copy of a strategy, as a function of row numbers.

    Parameters
    ----------
    key : str
    strategy : Strategy
        Whose row numbers of this generation have been handed out.
    evaluate : callable
        ``evaluate(rows, generation) -> list of values``.
    """

    def __init__(self, key: str, strategy: Strategy, evaluate: Function) -> None:
        self._key, self._strategy, self._evaluate = key, strategy, evaluate
        self._is_stale = False

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._strategy._warned = True  # the main process says it
        self._lock = threading.Lock()  # a worker may have several threads

    def __repr__(self) -> str:
        return f"{self._strategy!r} and {self._evaluate!r}"

    def __call__(self, learned: Learned, start: int, stop: int, mark: int, rows: Array | None = None) -> Any:
        """Return the values of rows [start, stop) of a generation; with `rows`, of these."""
        if rows is not None:
            return self._evaluate(rows, learned.generation)
        if _differed[self._key] > ALLOWED:
            return Refusal(worker_name())
        with self._lock:
            if self._is_stale:
                return Missing(worker_name())
            if not self._follows(learned):
                return Refusal(worker_name(), self._strategy.generation)
            ids = self._strategy._ledger.newest[start:stop]
            if mark_of(self._strategy, ids[:1]) != mark:
                self._is_stale = True
                _differed[self._key] += 1
                return (Missing if _differed[self._key] <= ALLOWED else Refusal)(worker_name())
        return self._values(ids, learned.generation)

    def _follows(self, learned: Learned) -> bool:
        """Whether the copy is in this generation, perhaps after learning what was told since."""
        strategy = self._strategy
        missing = learned.generation - strategy.generation
        if 0 < missing <= len(learned.history):
            for fitness, asked in learned.history[-missing:]:
                strategy.tell(strategy._ledger.newest, fitness)
                strategy.ask_ids(asked)
        return strategy.generation == learned.generation

    def _values(self, ids: Ids, generation: int) -> Answer:
        """Return the values of rows, and seconds without those of learning."""
        start, values = time.perf_counter(), list[Any]()
        for place in range(len(ids)):  # one row at a time, however large it is
            with self._lock:
                row = self._strategy.rows(ids[place : place + 1])
            values += self._evaluate(row, generation)
            if isinstance(values[-1], Failure):
                break
        return Answer(values, time.perf_counter() - start)


class ByNumbers:
    """The fitness of rows that workers make themselves.

    Parameters
    ----------
    crew : Crew
    strategy : Strategy
    evaluate : callable
        As for `Copy`.
    read : callable
        ``read(values, n_params) -> fitness (k,)``, which raises the exception of a `Failure`.
    """

    def __init__(
        self,
        crew: Crew,
        strategy: Strategy,
        evaluate: Function,
        read: Callable[[Iterable[Any], int], Vector],
    ) -> None:
        self._crew, self._strategy, self._evaluate, self._read = crew, strategy, evaluate, read
        self._key = secrets.token_hex(8)
        self._ids: Ids = np.empty(0, np.uint64)
        self._fitness: Vector | None = None  # of the generation that was evaluated last
        self._history: deque[tuple[Vector, int]] = deque(maxlen=REMEMBERED)
        self._informed = 0  # jobs of this generation with the fitness of the last one
        self._reported: set[str] = set()  # workers whose rows differ

    def gather(self, ids: Ids) -> tuple[Ids, Vector]:
        """Return the numbers of rows that were just asked for, and their fitness."""
        self._ids, self._informed = ids, 0
        if self._fitness is not None:
            self._history.append((self._fitness, len(ids)))
        self._crew.keep(self._key, self._content, self._instead)
        values = itertools.chain.from_iterable(self._crew.in_order(len(ids), self._args))
        self._fitness = self._read(values, self._strategy.n_params)
        return ids, self._fitness

    def map(self, rows: Array, generation: int) -> Iterator[Any]:
        """Yield the value of each of some rows, by the task that the workers have already."""
        self._crew.keep(self._key, self._content, self._instead)
        learned = Learned(generation, ())
        jobs = self._crew.in_order(len(rows), lambda start, stop: (learned, start, stop, 0, rows[start:stop]))
        return itertools.chain.from_iterable(jobs)

    def _args(self, start: int, stop: int) -> tuple[Any, ...]:
        self._informed += 1
        learned = self._learned(1 if self._informed <= self._crew.slots else 0)
        return learned, start, stop, mark_of(self._strategy, self._ids[start : start + 1])

    def _learned(self, generations: int) -> Learned:
        """Return the present generation, with what was learned in so many generations before."""
        return Learned(self._strategy.generation, tuple(self._history)[len(self._history) - generations :])

    def _content(self) -> bytes:
        return self._crew.pickled(Copy(self._key, self._strategy, self._evaluate), "strategy and task")

    def _instead(self, job: Job, refusal: Refusal) -> tuple[Any, ...] | None:
        """Return other arguments of a job, for a worker whose copy is older, or whose rows differ.

        None stands for the present state, for a copy that is too old.
        """
        if refusal.generation is None:
            self._report(refusal.worker)
            return self._with_rows(job)
        missing = self._strategy.generation - refusal.generation
        if not 0 < missing <= len(self._history):
            return None
        return self._learned(missing), *job.args[1:]

    def _report(self, worker: str) -> None:
        if worker not in self._reported:
            self._reported.add(worker)
            _log.warning("the rows of worker %s differ from those of this process: it gets rows", worker)

    def _with_rows(self, job: Job) -> tuple[Any, ...]:
        rows = self._strategy.rows(self._ids[job.place : job.place + job.size])
        return *self._args(job.place, job.place + job.size), rows


def mark_of(strategy: Strategy, ids: Ids) -> int:
    """Return the fingerprint of a row."""
    engine = strategy._engine
    return int(engine.host(engine.fingerprints(engine.given(strategy.rows(ids))))[0])
