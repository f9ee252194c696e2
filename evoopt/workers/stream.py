"""Rows in flight: each worker is busy all the time, and finished rows make generations."""

import logging
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from evoopt.strategies.contract.base import Strategy
from evoopt.strategies.contract.stopping import LEAST_ROWS
from evoopt.types import Array, Ids, Vector
from evoopt.workers.crew import Crew
from evoopt.workers.remote import Each, Function

_NOTE = "The row of number {} raised this, see `Strategy.rows`."
_log = logging.getLogger(__name__)


class Finished(NamedTuple):
    """A row that was evaluated, but not told yet, and the generation that it was asked for in."""

    row: Array
    generation: int
    fitness: float


class Stream:
    """Generations of the rows that are finished first, whatever distribution they were drawn from.

    Parameters
    ----------
    crew : Crew
    function : callable
        ``function(row, generation) -> value``.
    read : callable
        ``read(values, n_params, first, note) -> fitness (k,)``, which raises the exception of a
        `Failure`, with the note of its row's number, from `first` on.
    """

    def __init__(
        self, crew: Crew, function: Function, read: Callable[[Iterable[Any], int, int, str], Vector]
    ) -> None:
        self._crew, self._function, self._read = crew, function, read
        self._in_flight = 0  # rows
        self._finished: dict[int, Finished] = {}  # by the number of a row
        self._warned = False  # that workers have no row

    def gather(self, strategy: Strategy, left: float) -> tuple[Ids, Vector]:
        """Return the numbers and the fitness of a generation of finished rows.

        The oldest are first, so that nothing but lateness makes a difference to a generation that
        is evaluated at once. At most `left` rows are in flight, finished, or counted as too old.
        These may leave no generation; then there are no numbers.
        """
        self._crew.count_workers()
        self._crew.take(Each(self._function))
        limit = strategy.evaluations + left
        self._count_old(strategy)
        while len(self._finished) < (wanted := self._wanted(strategy, limit)):
            self._keep_busy(strategy, limit)
            self._receive(strategy)
            self._count_old(strategy)
        if wanted < LEAST_ROWS:
            self._count(strategy, [*self._finished])
        ids = sorted(self._finished)[:wanted]
        return np.array(ids, np.uint64), np.array([self._finished.pop(number).fitness for number in ids])

    @property
    def _waiting(self) -> int:
        """The rows that are not told yet."""
        return self._in_flight + len(self._finished)

    def _wanted(self, strategy: Strategy, limit: float) -> int:
        """Return the rows of this generation; the last one has all that were asked for."""
        left = limit - strategy.evaluations
        last = max(_useful(strategy, limit), self._waiting)
        return int(strategy.popsize if left > strategy.popsize + 1 else last)

    def _receive(self, strategy: Strategy) -> None:
        """Wait for the next job, and read the fitness of its rows."""
        job, values = self._crew.receive()
        self._in_flight -= job.size
        rows, generation = job.args
        for i, fitness in enumerate(self._read(values, strategy.n_params, job.place, _NOTE).tolist()):
            self._finished[job.place + i] = Finished(rows[i], generation, fitness)

    def _keep_busy(self, strategy: Strategy, limit: float) -> None:
        """Ask for new rows for the workers that have none."""
        while self._crew.has_room:
            chunk = min(self._crew.workers.chunk or 1, strategy.popsize)  # more would be too old
            known = (strategy._ledger.memory + 1) * strategy.popsize  # of rows that take equally long
            size = int(min(chunk, known - self._waiting, _useful(strategy, limit) - self._waiting))
            if self._crew.slots > known:
                self._warn_of_idle_workers(strategy.popsize, known)
            if size < 1:
                return
            ids = strategy.ask_ids(size)
            self._crew.send((strategy.rows(ids), strategy.generation), size, int(ids[0]))
            self._in_flight += size

    def _warn_of_idle_workers(self, popsize: int, known: int) -> None:
        if not self._warned:
            self._warned = True
            _log.warning(
                "some of %d workers have no row: with popsize=%d no more than %d rows may wait to be told, "
                "or they would be too old to learn from; take a larger popsize",
                *(self._crew.slots, popsize, known),
            )

    def _count_old(self, strategy: Strategy) -> None:
        """Count finished rows that are too old to be told."""
        oldest = strategy.generation - strategy._ledger.memory
        self._count(strategy, [i for i, each in self._finished.items() if each.generation < oldest])

    def _count(self, strategy: Strategy, numbers: list[int]) -> None:
        """Count finished rows as evaluations, of which one may be the best; nothing is learned."""
        rows = [self._finished[number] for number in numbers]
        if rows:
            strategy._count(np.array([each.row for each in rows]), np.array([each.fitness for each in rows]))
        for number in numbers:
            del self._finished[number]


def _useful(strategy: Strategy, limit: float) -> float:
    """Return how many more rows may be evaluated: not a single one for a last generation."""
    left = limit - strategy.evaluations
    return left - (left % strategy.popsize == 1)  # false if left is infinite
