"""A model of a generation at workers: its seconds and its bytes, in parts that add up.

Symbols: k rows of n numbers (popsize, n_params), W workers, t seconds of an evaluation.
"""

import math
from dataclasses import dataclass, replace

NUMBER = 4  # bytes of a number of a row, float32
FITNESS = 8  # bytes of the fitness of a row
HOPS = 2  # from the main process to Dask's scheduler, and from there to a worker


@dataclass(frozen=True)
class Costs:
    """What the machines and the network take."""

    latency: float  # seconds from the last job that is sent to its answer, besides the work
    job: float  # seconds of the main process and the scheduler for each job
    round_bytes: float  # bytes of the messages of a generation, besides those about its jobs
    job_bytes: float  # bytes of the messages about a job
    heartbeat: float  # bytes a second of a worker that tells that it lives
    byte: float  # seconds of a byte from the main process to a worker
    make: float  # seconds in which a core makes a number of a row
    learn: float  # seconds in which a core makes a number again and learns from it
    main_cores: float  # of the main process
    cores: float  # of all workers together, each of which uses one


@dataclass(frozen=True)
class Load:
    """A generation: what travels, k, n, W and t."""

    rows: str  # "values" or "numbers"; "shards" is a plan: each worker learns n / W coordinates
    popsize: int
    n_params: int
    workers: int
    wait: float


@dataclass(frozen=True)
class Parts:
    """Seconds of a generation by what they are spent on."""

    evaluation: float
    way: float
    update: float

    @property
    def total(self) -> float:
        return self.evaluation + self.way + self.update


def parts(load: Load, costs: Costs) -> Parts:
    """Return the seconds of a generation."""
    evaluation = math.ceil(load.popsize / load.workers) * load.wait
    way = costs.latency + load.workers * costs.job
    numbers = load.popsize * load.n_params
    central = numbers * costs.learn / costs.main_cores
    busy = min(load.workers, costs.cores)  # cores of workers that have work
    if load.rows == "values":
        return Parts(evaluation, way + NUMBER * numbers * costs.byte, central)
    evaluation += numbers * costs.make / busy
    if load.rows == "numbers":
        everywhere = load.workers * numbers * costs.learn / busy  # each worker learns from all rows
        return Parts(evaluation, way, central + everywhere)
    exchange = 2 * NUMBER * load.n_params * costs.byte  # new mean and sigma, passed from worker to worker
    return Parts(evaluation, way + exchange, numbers * costs.learn / busy)


def traffic(load: Load, costs: Costs) -> float:
    """Return the bytes of a generation on all wires together."""
    if load.rows == "values":
        content = HOPS * NUMBER * load.popsize * load.n_params
    else:  # each worker gets the fitness of all rows
        content = HOPS * FITNESS * load.popsize * load.workers
    if load.rows == "shards":
        content += 2 * NUMBER * load.n_params * load.workers
    alive = costs.heartbeat * parts(load, costs).total
    return costs.round_bytes + load.workers * (costs.job_bytes + alive) + content


def most_workers(n_params: int, wait: float, costs: Costs) -> float:
    """Return the number of workers for which a copy learns as long as the worker evaluates.

    A worker evaluates k / W rows in k t / W seconds, and learns from k rows in k n `learn`.
    """
    return wait / (n_params * costs.learn)


def on_machines(costs: Costs, workers: int, main_cores: int, gigabits: float) -> Costs:
    """Return the costs where each worker has a core, with a network of so many Gbit/s."""
    return replace(costs, cores=workers, main_cores=main_cores, byte=8e-9 / gigabits)
