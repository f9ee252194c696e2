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
EVEN, UNEVEN = [0.4] * 16, [0.4] * 15 + [0.8]  # seconds of 16 jobs
LOST = (0.2 - 6.8 / 64) * 16  # seconds of the slowest worker, against the mean


class Clock:
    """A clock that tells what the test says."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        return self.now

    def generation(self, found, seconds, elapsed):
        """Answer jobs that took these seconds, after a time; return the rows of the next one."""
        self.now += elapsed
        for each in seconds:
            found.add(each, N // len(seconds))
        return found.begin(N, WORKERS)


@pytest.fixture
def clock(monkeypatch):
    monkeypatch.setattr(sizes, "time", clock := Clock())
    return clock


@pytest.mark.parametrize(
    ("seconds", "elapsed", "expected"),
    [
        (EVEN, 1.6, 16),  # nobody is slower, so several jobs save nothing
        (EVEN, 9.0, 16),
        (UNEVEN, 1.7, 4),  # the way takes no time
        (UNEVEN, 1.7 + 0.9 * LOST, 4),
        (UNEVEN, 1.7 + 1.1 * LOST, 16),  # one job for each worker could be faster
        (UNEVEN, 1.0, 4),  # workers that came later
        ([0.0] * 16, 1.0, 16),
    ],
)
def test_several_jobs_where_rows_differ(clock, seconds, elapsed, expected):
    found = Sizes(SEVERAL)
    assert found.begin(N, WORKERS) == 4  # nothing is known at first
    assert clock.generation(found, seconds, elapsed) == expected


@pytest.mark.parametrize(("one", "expected"), [(3.0, 4), (2.0, 16)])
def test_the_faster_way_is_taken(clock, one, expected):
    """Seconds of the way tell little, because those of long rows are the same for fewer jobs."""
    found = Sizes(SEVERAL)
    generations = {4: (UNEVEN, 2.5), 16: ([1.0, 1.0, 1.0, 2.0], one)}  # by the rows of a job
    found.begin(N, WORKERS)
    taken = [clock.generation(found, UNEVEN, 60.0)]  # which brings the function to the workers
    for _ in range(60):
        taken.append(clock.generation(found, *generations[taken[-1]]))
    assert set(taken) == {4, 16}  # both were tried
    assert taken.count(expected) >= 54


@pytest.mark.parametrize(
    ("n", "workers", "expected"), [(0, 4, 1), (3, 4, 1), (5, 2, 1), (1, 1, 1), (33, 4, 3), (127, 16, 2)]
)
def test_few_rows_make_a_job_each(n, workers, expected):
    assert Sizes(SEVERAL).begin(n, workers) == expected


def test_only_the_last_generation_tells_whether_rows_differ(clock):
    found = Sizes(SEVERAL)
    found.begin(N, WORKERS)
    assert clock.generation(found, UNEVEN, 1.7) == 4
    assert clock.generation(found, EVEN, 1.7) == 16
    assert found.begin(0, WORKERS) == 1


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
