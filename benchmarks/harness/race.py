"""Contestants that do the same work, timed in turns in one run."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from benchmarks.harness import machine
from benchmarks.harness.outcome import Limit, Outcome, Timing

MIN_REPEATS = 7
ENOUGH, PATIENCE = 3, 30.0  # turns, and seconds: slower contestants then sit out
TURN = 0.005  # seconds; shorter work is called several times in a turn

Work = Callable[[], Any]


def mean_call(work: Work, calls: int) -> float:
    """Return the mean seconds of a call."""
    start = time.perf_counter()
    for _ in range(calls):
        work()
    return (time.perf_counter() - start) / calls


@dataclass(frozen=True)
class Contestant:
    """One contestant in a case: its name, its work and the packages that it needs.

    Attributes
    ----------
    name : str
        The name in the table.
    prepare : callable
        Returns the work, a callable that is done when it returns. Imports belong here, and
        conversions of data that users would already have in the peer's form.
    packages : tuple of str
        The packages that it needs; it is skipped without them.
    read : callable
        Converts the results of the work to the form that the case compares.
    floor : bool
        Whether it is written by hand for this case alone: it shows the possible speed, but is no
        peer.
    """

    name: str
    prepare: Callable[[], Work]
    packages: tuple[str, ...] = ()
    read: Callable[[Any], Any] = np.asarray
    floor: bool = False


class Rate(NamedTuple):
    """The amount of work of one call, and its unit per second."""

    amount: float
    unit: str


@dataclass(frozen=True)
class Case:
    """The same work for all contestants.

    Attributes
    ----------
    name : str
        The name of the work, with its sizes.
    contestants : sequence of Contestant
        The contestants, evoopt first.
    error : callable
        Returns the error of the result of a contestant's `read`, as `relative_error` does.
    tolerance : float
        The largest error that counts as agreement.
    rate : Rate, optional
        The rate that is shown next to the times.
    limits : sequence of Limit
        Limits of the machine; the reached share of each is shown.
    clock : callable
        Returns the seconds of a call, for some work and a number of calls. It is another function
        than `mean_call` if only parts of the work are timed.
    """

    name: str
    contestants: Sequence[Contestant]
    error: Callable[[Any], float]
    tolerance: float
    rate: Rate | None = None
    limits: Sequence[Limit] = ()
    clock: Callable[[Any, int], float] = mean_call


def relative_error(found: ArrayLike, expected: ArrayLike) -> float:
    """Return the largest difference, relative to the largest number expected.

    The difference is infinite for NaN, infinity or another shape.
    """
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    if found.shape != expected.shape or not np.isfinite(found).all():
        return np.inf
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def race(case: Case, seconds: float, threads: int) -> Outcome:
    """Check every contestant of a case, then time them.

    The first call compiles, and its result is checked. Then the contestants take turns, A B C A B
    C, so that other load of the machine hits all alike, for `seconds` times their number. Very slow
    ones get fewer turns. A peer that fails is reported, and the others go on.
    """
    contestants, skipped = machine.present(case.contestants)
    prepared = _attempts([(c, c.prepare) for c in contestants], skipped)
    machine.set_threads(threads)
    checks = [(c, partial(_error, case, c, work)) for c, work in prepared]
    checked = dict(_attempts(checks, skipped))
    contestants, errors = list(checked), list(checked.values())
    works = [work for c, work in prepared if c in checked]
    times = _take_turns([partial(_turn, case.clock, work) for work in works], seconds * len(works))
    timings = [
        Timing(
            contestant.name,
            {package: metadata.version(package) for package in contestant.packages},
            contestant.floor,
            error,
            error <= case.tolerance,
            seconds_a_call,
            case.rate.amount / float(np.median(seconds_a_call)) if case.rate else None,
        )
        for contestant, error, seconds_a_call in zip(contestants, errors, times, strict=True)
    ]
    unit = case.rate.unit if case.rate else None
    return Outcome(case.name, case.tolerance, unit, timings, skipped, case.limits)


def _error(case: Case, contestant: Contestant, work: Work) -> float:
    return case.error(contestant.read(work()))


def _attempts(
    calls: Sequence[tuple[Contestant, Callable[[], Any]]], failed: list[str]
) -> list[tuple[Contestant, Any]]:
    """Return the results of calls; append sentences about peers, all but the first, that raised."""
    results = []
    for contestant, call in calls:
        try:
            results.append((contestant, call()))
        except Exception as error:
            if contestant is calls[0][0]:
                raise
            failed.append(f"{contestant.name} failed: {type(error).__name__}: {error}".splitlines()[0])
    return results


def _take_turns(turns: Sequence[Callable[[int], float]], seconds: float) -> list[list[float]]:
    """Return the seconds a call of each work, once for each of its turns."""
    calls = [_calls_a_turn(turn) for turn in turns]
    times: list[list[float]] = [[] for _ in turns]
    spent = [0.0 for _ in turns]
    end = time.perf_counter() + seconds
    while max(map(len, times)) < MIN_REPEATS or time.perf_counter() < end:
        waiting = [i for i, taken in enumerate(times) if len(taken) < ENOUGH or spent[i] < PATIENCE]
        if not waiting:
            break
        for i in waiting:
            start = time.perf_counter()
            times[i].append(turns[i](calls[i]))
            spent[i] += time.perf_counter() - start
    return times


def _calls_a_turn(turn: Callable[[int], float]) -> int:
    calls = 1
    while calls * turn(calls) < TURN:
        calls *= 2
    return calls


def _turn(clock: Callable[[Any, int], float], work: Work, calls: int) -> float:
    """Return the seconds a call."""
    wait_for_idle_threads()
    work()  # not timed, because its data is not in the caches yet
    return clock(work, calls)


def wait_for_idle_threads() -> None:
    """Wait until no thread of this process is busy, a second at most.

    Idle workers of OpenMP spin for some milliseconds, workers of OpenBLAS for nearly 100, and would
    take the cores from the next contestant.
    """
    for _ in range(100):
        before = time.process_time()
        time.sleep(0.01)
        if time.process_time() - before < 0.001:
            return
