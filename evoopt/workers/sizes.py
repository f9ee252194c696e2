"""The size of jobs: one job for each worker costs least, several balance rows that differ."""

import math
import time

# Jobs of a worker in a generation where several pay. Those of row numbers are learned from by each
# worker, and the messages about a job are longer than they are.
SEVERAL = {"values": 4, "numbers": 2}


class Sizes:
    """The number of rows in a job, by what the jobs of the last generation took.

    Parameters
    ----------
    several : int
        Jobs of a worker in a generation if one is too few.
    """

    def __init__(self, several: int) -> None:
        self._several = several
        self._forget()

    def _forget(self) -> None:
        self._jobs, self._rows, self._seconds = 0, 0, 0.0
        self._longest = 0.0  # seconds of a job
        self._slowest = 0.0  # seconds of a row, in the job where this is most
        self._begun = self._ended = time.perf_counter()

    def add(self, seconds: float, rows: int) -> None:
        """Take note of a job that is answered, and of the seconds that its rows took."""
        self._jobs, self._rows, self._seconds = self._jobs + 1, self._rows + rows, self._seconds + seconds
        self._longest, self._slowest = max(self._longest, seconds), max(self._slowest, seconds / rows)
        self._ended = time.perf_counter()

    def begin(self, n: int, workers: int) -> int:
        """Return the rows of a job in a generation of `n` rows, which begins now."""
        several = self._several if self._several_pay(n, workers) else 1
        self._forget()
        return max(1, n // (several * workers)) if several > 1 else math.ceil(n / workers)

    def _several_pay(self, n: int, workers: int) -> bool:
        """Whether the slowest worker would lose more time than further jobs cost."""
        if not self._jobs:
            return True
        lost = (self._slowest - self._seconds / self._rows) * n / workers
        at_work = max(self._longest, self._seconds / workers)
        way = max(0.0, self._ended - self._begun - at_work) / self._jobs
        return lost > way * (self._several - 1) * workers
