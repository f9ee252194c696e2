"""A run of `evolve` with workers of Dask, alone on a loopback device whose bytes are counted.

``measured(setting)`` starts this module as a program in a network namespace of its own.
"""

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from benchmarks.harness import clusters
from evoopt import Objective, Strategy, Workers, evolve
from evoopt.types import Array

UNCOUNTED = 3  # generations at the start, which bring the strategy to the workers
LIMIT = 1800  # seconds of a run
IDLE = 3.0  # seconds in which workers without jobs are listened to


@dataclass(frozen=True)
class Setting:
    """A run: what travels, how many workers wait how long for each row of the strategy."""

    rows: str  # "values" or "numbers"; "here" is one process, without a cluster
    workers: int
    n_params: int
    popsize: int = 256
    strategy: str = "SNES"
    wait: float = 0.0  # seconds of a row
    generations: int = 10
    chunk: int | None = None  # rows in a job


@dataclass(frozen=True)
class Measured:
    """What a generation cost: means after the first `UNCOUNTED`, and peaks of the whole run."""

    bytes: float
    seconds: float
    start: int  # bytes of the first generations
    main_peak: int  # bytes of memory, as the next
    worker_peak: int
    idle: float  # bytes a second without jobs
    digest: str  # of the solution and the history


def waiting(row: Array, wait: float) -> float:
    """Return the fitness of a row after some seconds."""
    time.sleep(wait)
    return float(((row[:1000] - 1) ** 2).sum())


def measured(setting: Setting) -> Measured:
    """Run a setting in a network namespace of its own.

    Raises
    ------
    RuntimeError
        If the run fails, for example because namespaces are not allowed.
    """
    program = f"ip link set lo up && exec {sys.executable} -m {__name__} '{json.dumps(asdict(setting))}'"
    done = subprocess.run(
        ["unshare", "--map-root-user", "--net", "sh", "-c", program],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{setting} failed:\n{done.stderr[-2000:]}")
    return Measured(**json.loads(done.stdout.splitlines()[-1]))


def run(setting: Setting) -> Measured:
    """Run a setting in this process, whose namespace has no other traffic."""
    if setting.rows == "here":
        return _evolve(setting, {"chunk_size": 16}, int)
    with clusters.dask(setting.workers) as client:
        workers = Workers(client.get_executor(), rows=setting.rows, chunk=setting.chunk)
        found = _evolve(setting, {"executor": workers}, clusters.loopback_bytes)
        peaks = client.run(clusters.peak_memory).values()
        before = clusters.loopback_bytes()
        time.sleep(IDLE)
        idle = (clusters.loopback_bytes() - before) / IDLE
        return replace(found, worker_peak=max(peaks), idle=idle)


def _evolve(setting: Setting, options: dict[str, Any], count: Callable[[], int]) -> Measured:
    es = _strategy(setting)
    task = Objective(partial(waiting, wait=setting.wait))
    points = [(time.perf_counter(), count())]

    def note(es: Strategy) -> None:
        points.append((time.perf_counter(), count()))

    evolve(es, task, max_generations=setting.generations, callback=note, **options)
    (_, begun), (start, first), (end, last) = points[0], points[UNCOUNTED], points[setting.generations]
    counted = setting.generations - UNCOUNTED
    digest = hashlib.sha256(es.solution.tobytes() + json.dumps(es.history).encode()).hexdigest()
    return Measured(
        (last - first) / counted,
        (end - start) / counted,
        first - begun,
        clusters.peak_memory(),
        0,
        0.0,
        digest,
    )


def _strategy(setting: Setting) -> Strategy:
    import evoopt

    mean = np.zeros(setting.n_params, np.float32)
    es: Strategy = getattr(evoopt, setting.strategy)(mean, 0.1, popsize=setting.popsize, seed=1)
    return es


if __name__ == "__main__":
    print(json.dumps(asdict(run(Setting(**json.loads(sys.argv[1]))))), flush=True)
    os._exit(0)  # Dask's threads may take seconds to end
