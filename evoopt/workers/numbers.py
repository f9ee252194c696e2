"""Row numbers in place of rows: workers hold a copy of the strategy and make the rows themselves.

A job names the numbers of its rows, and the fitness that the strategy learned from last. It has the
fingerprint of its first row, too. A worker whose row differs, because its copy is older or has
another state, gets the present state; if that does not help, it rounds otherwise than the main
process, and gets rows.
"""

import itertools
import logging
import os
import secrets
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from evoopt.failures import Failure
from evoopt.strategies.contract.base import Strategy
from evoopt.types import Array, Ids, Vector
from evoopt.workers.crew import Crew, Job
from evoopt.workers.remote import MISSING, Function, Refusal

ALLOWED = 1  # how often the rows of a worker may differ
_log = logging.getLogger(__name__)
_differed: Counter[str] = Counter()  # how often rows of this worker differed, by the key of a copy


class Learned(NamedTuple):
    """A generation of the strategy, and how a copy gets there from the one before."""

    generation: int
    fitness: Vector | None  # told last, None if it is not known
    asked: int  # row numbers handed out since


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
        self._lock = threading.Lock()  # a worker may have several threads

    def __call__(self, learned: Learned, start: int, stop: int, mark: int, rows: Array | None = None) -> Any:
        """Return the values of rows [start, stop) of a generation; with `rows`, of these."""
        if rows is not None:
            return self._evaluate(rows, learned.generation)
        if _differed[self._key] > ALLOWED:
            return Refusal(_name())
        with self._lock:
            if self._is_stale or not self._follows(learned):
                return MISSING
            ids = self._strategy._ledger.newest[start:stop]
            if mark_of(self._strategy, ids[:1]) != mark:
                self._is_stale = True
                _differed[self._key] += 1
                return MISSING if _differed[self._key] <= ALLOWED else Refusal(_name())
        return self._values(ids, learned.generation)

    def _follows(self, learned: Learned) -> bool:
        """Whether the copy is in this generation, perhaps after learning what was told last."""
        strategy = self._strategy
        if strategy.generation == learned.generation - 1 and learned.fitness is not None:
            strategy.tell(strategy._ledger.newest, learned.fitness)
            strategy.ask_ids(learned.asked)
        return strategy.generation == learned.generation

    def _values(self, ids: Ids, generation: int) -> list[Any]:
        values: list[Any] = []
        for place in range(len(ids)):  # one row at a time, however large it is
            with self._lock:
                row = self._strategy.rows(ids[place : place + 1])
            values += self._evaluate(row, generation)
            if isinstance(values[-1], Failure):
                break
        return values


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
        self._learned = Learned(-1, None, 0)  # the generation that was evaluated last
        self._fitness: Vector | None = None  # of its rows
        self._reported: set[str] = set()  # workers whose rows differ

    def gather(self, ids: Ids) -> tuple[Ids, Vector]:
        """Return the numbers of rows that were just asked for, and their fitness."""
        generation = self._strategy.generation
        follows = generation == self._learned.generation + 1
        self._ids = ids
        self._learned = Learned(generation, self._fitness if follows else None, len(ids))
        self._crew.keep(self._key, self._content, self._with_rows)
        values = itertools.chain.from_iterable(self._crew.in_order(len(ids), self._args))
        self._fitness = self._read(values, self._strategy.n_params)
        return ids, self._fitness

    def _args(self, start: int, stop: int) -> tuple[Any, ...]:
        return self._learned, start, stop, mark_of(self._strategy, self._ids[start : start + 1])

    def _content(self) -> bytes:
        return self._crew.pickled(Copy(self._key, self._strategy, self._evaluate))

    def _with_rows(self, job: Job, worker: str) -> tuple[Any, ...]:
        """Return the arguments of a job for a worker whose rows differ."""
        if worker not in self._reported:
            self._reported.add(worker)
            _log.warning("the rows of worker %s differ from those of this process: it gets rows", worker)
        rows = self._strategy.rows(self._ids[job.place : job.place + job.size])
        return *self._args(job.place, job.place + job.size), rows


def mark_of(strategy: Strategy, ids: Ids) -> int:
    """Return the fingerprint of a row."""
    engine = strategy._engine
    return int(engine.host(engine.fingerprints(engine.given(strategy.rows(ids))))[0])


def _name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"
