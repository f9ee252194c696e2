"""The size of jobs by what the last generation took, on a clock of the test's own."""

import gc
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from evoopt import Workers
from evoopt.workers import sizes
from evoopt.workers.crew import Crew
from evoopt.workers.sizes import Sizes

N, WORKERS, SEVERAL = 64, 4, 4


class Clock:
    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        return self.now


def after(monkeypatch, seconds, elapsed):
    """Return the rows of a job after a generation of 16 jobs of these seconds each."""
    monkeypatch.setattr(sizes, "time", clock := Clock())
    found = Sizes(SEVERAL)
    rows = found.begin(N, WORKERS)
    assert rows == N // (SEVERAL * WORKERS)  # nothing is known at first
    clock.now = elapsed
    for each in seconds:
        found.add(each, rows)
    return found.begin(N, WORKERS)


EVEN, UNEVEN = [0.4] * 16, [0.4] * 15 + [0.8]  # seconds of 16 jobs; four workers need 1.6 or 1.7


@pytest.mark.parametrize(
    ("seconds", "elapsed", "expected"),
    [
        (EVEN, 1.6, 16),  # nobody is slower, so several jobs save nothing
        (EVEN, 2.0, 16),
        # one worker could lose (0.2 - 0.10625) x 16 = 1.5 seconds
        (UNEVEN, 1.7, 4),  # the way takes no time
        (UNEVEN, 1.7 + 16 * 0.12, 4),  # 12 more jobs take 1.44 seconds
        (UNEVEN, 1.7 + 16 * 0.13, 16),  # and here 1.56
        (UNEVEN, 1.0, 4),  # workers that came later
    ],
)
def test_several_jobs_where_they_take_less_time(seconds, elapsed, expected, monkeypatch):
    assert after(monkeypatch, seconds, elapsed) == expected


@pytest.mark.parametrize(
    ("n", "workers", "expected"), [(3, 4, 1), (4, 4, 1), (5, 2, 1), (1, 1, 1), (33, 4, 2)]
)
def test_few_rows_make_a_job_each(n, workers, expected):
    assert Sizes(SEVERAL).begin(n, workers) == expected


def test_only_the_last_generation_counts(monkeypatch):
    monkeypatch.setattr(sizes, "time", clock := Clock())
    found = Sizes(SEVERAL)
    for seconds in (UNEVEN, EVEN):
        rows = found.begin(N, WORKERS)
        clock.now += 1.7
        for each in seconds:
            found.add(each, rows)
    assert found.begin(N, WORKERS) == 16


class Watched(ThreadPoolExecutor):
    """A thread, and how many futures of earlier jobs were alive when each job came."""

    def __init__(self):
        super().__init__(1)
        self.futures, self.alive = [], []

    def submit(self, function, *args):
        self.alive.append(sum(future() is not None for future in self.futures))
        future = super().submit(function, *args)
        self.futures.append(weakref.ref(future))
        return future


def test_futures_go_after_the_next_jobs_are_sent():
    with Watched() as executor:
        crew = Crew(Workers(executor, chunk=1), "task")
        for _ in range(3):
            assert [*crew.map(float, np.arange(2.0))] == [0, 1]
        gc.collect()
    assert executor.alive == [0, 1, 2, 3, 2, 3]
