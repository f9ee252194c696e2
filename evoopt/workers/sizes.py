"""The size of jobs: one job for each worker costs least, several balance rows that differ."""

import math
import time

# Jobs of a worker in a generation, where one is too few. Each worker learns before jobs of row
# numbers, and the messages about a job are longer than they are.
SEVERAL = {"values": 4, "numbers": 2}
EVEN = 1.2  # if no job is slower than the mean by more than this factor, several save little
REMEMBERED = 20  # generations after which the slower way is tried again


class Sizes:
    """The number of rows in a job, by what the jobs of earlier generations took.

    Parameters
    ----------
    several : int
        Jobs of a worker in a generation if one is too few.
    """

    def __init__(self, several: int) -> None:
        self._several, self._jobs_each = several, several
        self._generations = 0
        self._fastest: dict[int, float] = {}  # seconds of a row at best, by the jobs of a worker
        self._forget()

    def _forget(self) -> None:
        self._rows, self._seconds = 0, 0.0
        self._longest = 0.0  # seconds of a job
        self._slowest = 0.0  # seconds of a row, in the job where this is most
        self._begun = self._ended = time.perf_counter()

    def add(self, seconds: float, rows: int) -> None:
        """Take note of a job that is answered, and of the seconds that its rows took."""
        self._rows, self._seconds = self._rows + rows, self._seconds + seconds
        self._longest, self._slowest = max(self._longest, seconds), max(self._slowest, seconds / rows)
        self._ended = time.perf_counter()

    def begin(self, n: int, workers: int) -> int:
        """Return the rows of a job in a generation of `n` rows, which begins now."""
        if self._rows:
            self._remember()
            self._jobs_each = self._several if self._several_pay(n, workers) else 1
        self._forget()
        return max(1, math.ceil(n / (self._jobs_each * workers)))

    def _remember(self) -> None:
        """Take note of the generation that has ended; the first one had to bring the function."""
        self._generations += 1
        if self._generations % REMEMBERED == 0:
            self._fastest.clear()
        if self._generations > 1:
            pace = (self._ended - self._begun) / self._rows
            self._fastest[self._jobs_each] = min(pace, self._fastest.get(self._jobs_each, math.inf))

    def _several_pay(self, n: int, workers: int) -> bool:
        """Whether several jobs take less time, or may do so and were not tried."""
        mean = self._seconds / self._rows
        if self._slowest <= EVEN * mean:
            return False
        one, several = self._fastest.get(1), self._fastest.get(self._several)
        if one is not None:
            return several is None or several < one
        # With one job for each worker a generation waits for the slowest one. It saves at most the
        # seconds that messages took in this generation.
        at_work = max(self._longest, self._seconds / workers)
        return (self._slowest - mean) * n / workers > self._ended - self._begun - at_work
