"""Workers of an executor: the share of their time that is used, and the bytes that travel.

The objective waits instead of computing, so workers may be more than cores. A share is the time
that the evaluations need, divided by the workers' time: 100 % is the ideal speed-up.
"""

import argparse
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from benchmarks.harness import clusters, machine, text, wire
from benchmarks.harness.wire import Measured, Setting
from evoopt import CMAES, Objective, Strategy, Workers, evolve
from evoopt.types import Array

D = 10
WORKERS, POPSIZE, WAIT = 4, 64, 0.02  # seconds of a row
CREWS, MEAN = (4, 16), 0.075  # workers, and the mean seconds of a row whose durations differ
FIRST = 3  # generations that are not timed: the kernels are compiled, and the workers are known
ROWS, N_PARAMS = 256, 1_000_000
STRATEGIES = ("SNES", "OpenAIES")


class Share(NamedTuple):
    """A contestant's seconds of a generation, and the share of the workers' time that it used."""

    name: str
    seconds: float
    share: float


@dataclass(frozen=True)
class Shares:
    """An outcome: shares of the workers' time."""

    name: str
    shares: list[Share]
    skipped: Sequence[str] = ()
    agrees: bool = True  # nothing to disagree about

    def table(self) -> str:
        rows = [["", "ms/generation", "share"]]
        rows += [[name, f"{1e3 * seconds:.1f}", f"{share:.1%}"] for name, seconds, share in self.shares]
        return "\n".join([self.name, text.aligned(rows), *self.skipped])

    def as_dict(self) -> dict[str, Any]:
        shares = [share._asdict() for share in self.shares]
        return {"name": self.name, "contestants": shares, "skipped": [*self.skipped]}


@dataclass(frozen=True)
class Traffic:
    """An outcome: bytes, memory and seconds of runs that must end in the same bits."""

    name: str
    runs: dict[str, Measured]

    @property
    def agrees(self) -> bool:
        return len({run.digest for run in self.runs.values()}) == 1

    def table(self) -> str:
        rows = [["", "kB/generation", "start MB", "s/generation", "main MB", "worker MB", "bits"]]
        for name, run in self.runs.items():
            sizes = run.bytes / 1e3, run.start / 1e6, run.seconds, run.main_peak / 1e6, run.worker_peak / 1e6
            rows.append([name, *(f"{size:,.4g}" for size in sizes), run.digest[:8]])
        return f"{self.name}\n{text.aligned(rows)}" + ("" if self.agrees else "\nWRONG: the bits differ")

    def as_dict(self) -> dict[str, Any]:
        return {"name": self.name, "runs": {name: asdict(run) for name, run in self.runs.items()}}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=[*PARTS], help="default all")


def run(args: argparse.Namespace) -> Iterator[Shares | Traffic]:
    for part in args.parts:
        yield from PARTS[part](args)


# ---------------------------------------------------------------- rows that take equally long


def speedup(args: argparse.Namespace) -> Iterator[Shares]:
    """Time generations whose rows all wait equally long."""
    generations = FIRST + max(2, round(args.seconds * WORKERS / (POPSIZE * WAIT)))
    shares: list[Share] = []

    def add(name: str, run: Callable[..., None], *with_what: Any) -> None:
        points: list[float] = []
        run(*with_what, generations, lambda *_: points.append(time.perf_counter()))
        seconds = (points[-1] - points[FIRST - 1]) / (generations - FIRST)
        shares.append(Share(name, seconds, POPSIZE * WAIT / WORKERS / seconds))

    skipped = []
    if machine.installed(clusters.PACKAGE):
        with clusters.dask(WORKERS) as client:
            add("evoopt evolve, Dask", _evolved, client.get_executor())
            if machine.PARTICIPANTS.peers:
                add("ask and tell, Dask client.map", _by_hand, _dask_map(client))
                if machine.takes_part("cmaes"):
                    add("cmaes, Dask client.map", _by_cmaes, _dask_map(client))
    else:
        skipped.append(f"Dask is skipped: no {clusters.PACKAGE} here ({machine.INSTALL}).")
    with ProcessPoolExecutor(WORKERS) as pool:
        add("evoopt evolve, process pool", _evolved, pool)
        if machine.PARTICIPANTS.peers:
            add("ask and tell, pool.map", _by_hand, pool.map)
            if machine.takes_part("cmaes"):
                add("cmaes, pool.map", _by_cmaes, pool.map)
    yield Shares(f"workers: {WORKERS} processes, {POPSIZE} rows that wait {WAIT:g} s", shares, skipped)


waiting = partial(wire.waiting, wait=WAIT)


def _evolved(executor: Executor, generations: int, note: Callable[..., None]) -> None:
    es = CMAES(np.zeros(D), 0.5, popsize=POPSIZE, seed=1)
    evolve(es, Objective(waiting), executor=executor, max_generations=generations, callback=note)


def _by_hand(map_: Callable[..., Any], generations: int, note: Callable[..., None]) -> None:
    es = CMAES(np.zeros(D), 0.5, popsize=POPSIZE, seed=1)
    for _ in range(generations):
        rows = es.ask()
        es.tell(rows, [*map_(waiting, rows)])
        note()


def _by_cmaes(map_: Callable[..., Any], generations: int, note: Callable[..., None]) -> None:
    import cmaes

    es = cmaes.CMA(np.zeros(D), 0.5, population_size=POPSIZE, seed=1)
    for _ in range(generations):
        rows = [es.ask() for _ in range(POPSIZE)]
        es.tell([*zip(rows, map_(waiting, rows), strict=True)])
        note()


def _dask_map(client: Any) -> Callable[..., Any]:
    def map_(function: Callable[..., float], rows: Sequence[Array]) -> Any:
        return client.gather(client.map(function, [*rows], pure=False))

    return map_


# ---------------------------------------------------------------- rows that take differently long


class Durations:
    """An objective of threads that waits log-normally long, sd 1, and adds up its seconds."""

    def __init__(self, seed: int) -> None:
        self._rng, self._lock = np.random.default_rng(seed), threading.Lock()
        self.total = 0.0

    def __call__(self, row: Array) -> float:
        with self._lock:
            seconds = float(self._rng.lognormal(math.log(MEAN) - 0.5, 1.0))
        time.sleep(seconds)
        with self._lock:
            self.total += seconds
        return float((row**2).sum())


def capacity(args: argparse.Namespace) -> Iterator[Shares]:
    """Time generations of as many rows as workers, which wait differently long."""
    for workers in CREWS:
        shares = []
        for name, asynchronous in (("asynchronous", True), ("synchronous", False)):
            with ThreadPoolExecutor(workers) as pool:
                options = Workers(pool, asynchronous=asynchronous)
                shares.append(_share(f"evoopt {name}", options, workers, args.seconds))
        title = f"{workers} threads, popsize {workers}, log-normal seconds (mean {MEAN:g}, sd 1)"
        yield Shares(f"workers: {title}", shares)


def _share(name: str, crew: Workers, workers: int, seconds: float) -> Share:
    durations, points = Durations(1), []

    def note(es: Strategy) -> bool:
        points.append((time.perf_counter(), durations.total))
        return len(points) > FIRST + 1 and points[-1][0] > points[FIRST][0] + 10 * seconds

    evolve(
        CMAES(np.zeros(D), 0.5, popsize=workers, seed=1), Objective(durations), executor=crew, callback=note
    )
    (start, before), (end, after) = points[FIRST], points[-1]
    share = (after - before) / (workers * (end - start))
    return Share(name, (end - start) / (len(points) - 1 - FIRST), share)


# ---------------------------------------------------------------- bytes on the sockets


def traffic(args: argparse.Namespace) -> Iterator[Traffic]:
    """Count the bytes of generations of long rows, and compare the bits with one process."""
    if not machine.installed(clusters.PACKAGE):
        return
    for strategy in STRATEGIES:
        setting = Setting("numbers", WORKERS, N_PARAMS, ROWS, strategy)
        ways = {
            "row numbers": setting,
            "one process": Setting("here", 1, N_PARAMS, ROWS, strategy),
        }
        runs = {name: wire.measured(way) for name, way in ways.items()}
        yield Traffic(f"workers: {strategy}, {N_PARAMS:,} parameters, popsize {ROWS}, Dask", runs)
    few = {rows: Setting(rows, WORKERS, N_PARAMS, ROWS, generations=5) for rows in ("values", "numbers")}
    runs = {f"row {name}": wire.measured(way) for name, way in few.items()}
    yield Traffic(f"workers: SNES, {N_PARAMS:,} parameters, popsize {ROWS}, Dask, 5 generations", runs)


PARTS = {"speedup": speedup, "capacity": capacity, "traffic": traffic}
