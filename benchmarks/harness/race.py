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
ENOUGH, PATIENCE = 3, 30.0  # after so many turns who took more seconds than this sits out
TURN = 0.005  # seconds; shorter work is called several times in a turn

Work = Callable[[], Any]


def mean_call(work: Work, calls: int) -> float:
    """Give the seconds a call."""
    start = time.perf_counter()
    for _ in range(calls):
        work()
    return (time.perf_counter() - start) / calls


@dataclass(frozen=True)
class Contestant:
    """Somebody who can do the work of a case.

    Attributes
    ----------
    name : str
        As the table shows it.
    prepare : callable
        Gives the work: a callable that is done when it returns. Imports, and conversions of what would
        already be in the peer's form, belong here.
    packages : tuple of str
        What it needs installed; without them it is skipped.
    read : callable
        Gives what the work returned in the form that the case compares.
    floor : bool
        Written by hand for this case alone: it shows what is possible, but is nobody's peer.
    """

    name: str
    prepare: Callable[[], Work]
    packages: tuple[str, ...] = ()
    read: Callable[[Any], Any] = np.asarray
    floor: bool = False


class Rate(NamedTuple):
    """How much work one call does, and the unit that this makes per second."""

    amount: float
    unit: str


@dataclass(frozen=True)
class Case:
    """The same work for all.

    Attributes
    ----------
    name : str
        What the work is, with its sizes.
    contestants : sequence of Contestant
        evoopt first.
    error : callable
        Gives the error of what a contestant's `read` gave, as `relative_error` does.
    tolerance : float
        The largest error that counts as agreement.
    rate : Rate, optional
        To be shown next to the times.
    limits : sequence of Limit
        Of the machine: what share of each is reached is shown.
    clock : callable
        Gives the seconds of a call from a work and a number of calls: other than `mean_call` where only parts
        of the work are to be timed.
    """

    name: str
    contestants: Sequence[Contestant]
    error: Callable[[Any], float]
    tolerance: float
    rate: Rate | None = None
    limits: Sequence[Limit] = ()
    clock: Callable[[Any, int], float] = mean_call


def relative_error(found: ArrayLike, expected: ArrayLike) -> float:
    """Give the largest difference, relative to the largest number expected.

    It is infinite for NaN, infinity or another shape.
    """
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    if found.shape != expected.shape or not np.isfinite(found).all():
        return np.inf
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def race(case: Case, seconds: float, threads: int) -> Outcome:
    """Check every contestant of a case, then time them.

    The first call, which compiles, gives the result that is checked. After it the contestants take turns,
    A B C A B C, so that what else the machine does hits all alike, for `seconds` times their number.
    Very slow ones get fewer turns. A peer that fails is reported, and the others go on.
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
    """Give what calls give, and sentences about peers, who are all but the first, that raised."""
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
    """Give the seconds a call of each work, once for each of its turns."""
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
    """Give the seconds a call."""
    wait_for_idle_threads()
    work()  # not timed: its data is not in the caches yet
    return clock(work, calls)


def wait_for_idle_threads() -> None:
    """Wait until no thread of this process is busy, a second at most.

    Idle workers of OpenMP spin for some milliseconds, those of OpenBLAS for nearly 100, and would take the
    cores from the next contestant.
    """
    for _ in range(100):
        before = time.process_time()
        time.sleep(0.01)
        if time.process_time() - before < 0.001:
            return
