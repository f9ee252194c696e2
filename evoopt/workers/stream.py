"""Rows in flight: each worker is busy all the time, and finished rows make generations."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from evoopt.failures import Failure
from evoopt.strategies.contract.base import Strategy
from evoopt.types import Ids, Vector
from evoopt.workers.crew import Crew
from evoopt.workers.remote import Each, Function


class Stream:
    """Generations of the rows that are finished first, whatever distribution they were drawn from.

    Parameters
    ----------
    crew : Crew
    function : callable
        ``function(row, generation) -> value``.
    read : callable
        ``read(values, n_params) -> fitness (k,)``, which raises the exception of a `Failure`.
    """

    def __init__(self, crew: Crew, function: Function, read: Callable[[Iterable[Any], int], Vector]) -> None:
        self._crew, self._function, self._read = crew, function, read
        self._in_flight = 0  # rows
        self._finished: dict[int, tuple[int, float]] = {}  # by row number: its generation, and fitness

    def gather(self, strategy: Strategy, popsize: int, left: float) -> tuple[Ids, Vector]:
        """Return the numbers and the fitness of so many finished rows.

        The oldest are first, so that nothing but lateness makes a difference to a generation that
        is evaluated at once. At most `left` rows are in flight or finished.
        """
        self._crew.count_workers()
        self._crew.take(Each(self._function))
        self._forget_old(strategy)
        while len(self._finished) < popsize:
            self._keep_busy(strategy, left)
            job, values = self._crew.receive()
            self._in_flight -= job.size
            if isinstance(values[-1], Failure):
                number = job.place + len(values) - 1
                values[-1].error.add_note(f"The row of number {number} raised this, see `Strategy.rows`.")
            fitness, generation = self._read(values, strategy.n_params), job.args[1]
            for number, value in enumerate(fitness.tolist(), job.place):
                self._finished[number] = generation, value
            self._forget_old(strategy)
        ids = sorted(self._finished)[:popsize]
        return np.array(ids, np.uint64), np.array([self._finished.pop(number)[1] for number in ids])

    def _keep_busy(self, strategy: Strategy, left: float) -> None:
        """Ask for new rows for the workers that have none."""
        while self._crew.has_room:
            chunk = min(self._crew.workers.chunk or 1, strategy.popsize)  # more would be too old
            size = int(min(chunk, self._allowed(strategy, left)))
            if size < 1:
                return
            ids = strategy.ask_ids(size)
            self._crew.send((strategy.rows(ids), strategy.generation), size, int(ids[0]))
            self._in_flight += size

    def _allowed(self, strategy: Strategy, left: float) -> float:
        """Return how many rows may be asked for: not a single one for a last generation."""
        useful = left - (left % strategy.popsize == 1)  # false if left is infinite
        return useful - self._in_flight - len(self._finished)

    def _forget_old(self, strategy: Strategy) -> None:
        """Forget finished rows that the strategy knows no longer; other rows take their place."""
        oldest = strategy.generation - strategy._ledger.memory
        self._finished = {
            number: (born, value) for number, (born, value) in self._finished.items() if born >= oldest
        }
