"""Bytes and seconds of a generation for 1 to 16 workers, beside a model, and its word on 1,000.

The model's constants are measured apart from the points that it is held against. Workers are
processes of Dask on this machine; the objective waits, so they may be more than cores.
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import clusters, machine, text, wire
from benchmarks.harness.scale_model import NUMBER, Costs, Load, most_workers, on_machines, parts, traffic
from benchmarks.harness.wire import Measured, Setting
from evoopt import SNES, threads

POPSIZE, N_PARAMS, WAIT, GENERATIONS = 64, 100_000, 0.02, 13
WORKERS = (1, 2, 4, 8, 16)
WAYS = ("values", "numbers")
FEW = 2  # workers of the runs that measure constants
SHORT, LONG = 10, 1_000_000  # their parameters, to measure messages, and bytes
# what the model is asked: workers of one core, a main process with more, and a network
LARGE = {"workers": 1_000, "main_cores": 32, "gigabits": 10}
LARGE_POPSIZE = 1_000
LARGE_PARAMS, LARGE_WAITS = (10**6, 10**7, 10**8), (1.0, 60.0)


@dataclass(frozen=True)
class Table:
    """An outcome: rows of text, and the same as data."""

    name: str
    rows: list[list[str]]
    data: Any
    agrees: bool = True  # nothing to disagree about

    def table(self) -> str:
        return f"{self.name}\n{text.aligned(self.rows)}"

    def as_dict(self) -> dict[str, Any]:
        return {"name": self.name, "data": self.data}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables there")


def run(args: argparse.Namespace) -> Iterator[Table]:
    if not machine.installed(clusters.PACKAGE):
        print(f"This benchmark needs {clusters.PACKAGE} ({machine.INSTALL}).")
        return
    tables = []
    for table in _tables(args.threads):
        tables.append(table)
        yield table
    if args.markdown:
        args.markdown.write_text("\n\n".join(text.markdown(table.rows) for table in tables) + "\n")


def _tables(cores: int) -> Iterator[Table]:
    costs = measured_costs(cores)
    yield constants(costs)
    loads = [Load(way, POPSIZE, N_PARAMS, workers, WAIT) for way in WAYS for workers in WORKERS]
    yield points({load: wire.measured(_setting(load)) for load in loads}, costs)
    yield projection(costs)


def _setting(load: Load) -> Setting:
    return Setting(
        load.rows, load.workers, load.n_params, load.popsize, wait=load.wait, generations=GENERATIONS
    )


# ---------------------------------------------------------------- constants


def measured_costs(cores: int) -> Costs:
    """Measure the constants in runs with few workers, apart from the points.

    Short rows that do not wait cost messages alone, in one job for each worker or in one for each
    row. Long rows cost bytes.
    """
    load = Load("values", POPSIZE, SHORT, FEW, 0.0)
    plain, many = (wire.measured(replace(_setting(load), chunk=chunk)) for chunk in (POPSIZE // FEW, 1))
    more = POPSIZE - FEW  # jobs
    job = max(0.0, (many.seconds - plain.seconds) / more)
    alive = (plain.idle + many.idle) / 2 / FEW
    make, learn = _cost_of_numbers()
    costs = Costs(
        latency=max(0.0, plain.seconds - FEW * job),
        job=job,
        round_bytes=0.0,
        job_bytes=(many.bytes - plain.bytes - alive * FEW * (many.seconds - plain.seconds)) / more,
        heartbeat=alive,
        byte=0.0,
        make=make,
        learn=learn,
        main_cores=cores,
        cores=cores,
    )
    costs = replace(costs, round_bytes=max(0.0, plain.bytes - traffic(load, costs)))
    load = Load("values", POPSIZE // 4, LONG, FEW, 0.0)
    left = wire.measured(_setting(load)).seconds - parts(load, costs).total
    return replace(costs, byte=max(0.0, left / (NUMBER * load.popsize * load.n_params)))


def _cost_of_numbers() -> tuple[float, float]:
    """Return the seconds in which a core makes a number of a row, and learns from one."""
    before = threads.get_num_threads()
    threads.set_num_threads(1)
    es = SNES(np.zeros(N_PARAMS, np.float32), 0.1, popsize=POPSIZE, seed=1)
    times = []
    for _ in range(7):
        ids = es.ask_ids()
        start = time.perf_counter()
        for i in range(POPSIZE):
            es.rows(ids[i : i + 1])
        made = time.perf_counter()
        es.tell(ids, np.arange(POPSIZE))
        times.append((made - start, time.perf_counter() - made))
    threads.set_num_threads(before)
    make, learn = np.median(times[2:], axis=0) / (POPSIZE * N_PARAMS)
    return float(make), float(learn)


def constants(costs: Costs) -> Table:
    rows = [
        ["constant", "value", "unit"],
        ["latency", f"{1e3 * costs.latency:.2f}", "ms for each generation"],
        ["job", f"{1e3 * costs.job:.2f}", "ms for each job"],
        ["round_bytes", f"{costs.round_bytes / 1e3:.1f}", "kB for each generation"],
        ["job_bytes", f"{costs.job_bytes / 1e3:.1f}", "kB for each job"],
        ["heartbeat", f"{costs.heartbeat / 1e3:.1f}", "kB/s for each worker"],
        ["byte", f"{1e9 * costs.byte:.2f}", "ns for each byte"],
        ["make", f"{1e9 * costs.make:.2f}", "ns of a core for each number"],
        ["learn", f"{1e9 * costs.learn:.2f}", "ns of a core for each number"],
    ]
    return Table("scale: constants of the model", rows, asdict(costs))


# ---------------------------------------------------------------- the model and the points


def points(found: dict[Load, Measured], costs: Costs) -> Table:
    """Return what was measured beside the model, with the relative error of the model."""
    head = ["rows", "workers", "s", "s, model", "error", "kB", "kB, model", "error", "speed-up"]
    rows, data = [head], []
    for load, run in found.items():
        seconds, amount = parts(load, costs).total, traffic(load, costs)
        cells = _beside(run.seconds, seconds, 1.0) + _beside(run.bytes, amount, 1e-3)
        rows.append([load.rows, str(load.workers), *cells, f"{POPSIZE * WAIT / run.seconds:.1f}"])
        data.append({"load": asdict(load), "run": asdict(run), "seconds": seconds, "bytes": amount})
    title = f"{N_PARAMS:,} parameters, popsize {POPSIZE}, {1e3 * WAIT:g} ms a row"
    return Table(f"scale: a generation of {title}", rows, data)


def _beside(measured: float, model: float, unit: float) -> list[str]:
    return [f"{unit * measured:,.3g}", f"{unit * model:,.3g}", f"{model / measured - 1:+.0%}"]


def projection(costs: Costs) -> Table:
    """Return the model's seconds of a generation for many workers and long rows."""
    workers = LARGE["workers"]
    large = on_machines(costs, **LARGE)
    rows, data = [["n_params", "t", "rows", "evaluation", "way", "update", "total", "W"]], []
    for n_params in LARGE_PARAMS:
        for wait in LARGE_WAITS:
            for way in (*WAYS, "shards"):
                load = Load(way, LARGE_POPSIZE, n_params, workers, wait)
                found = parts(load, large)
                seconds = found.evaluation, found.way, found.update, found.total
                most = most_workers(n_params, wait, large) if way == "numbers" else None
                cells = [f"{n_params:,}", f"{wait:g}", way, *(f"{part:,.3g}" for part in seconds)]
                rows.append([*cells, "" if most is None else f"{most:,.0f}"])
                data.append({"load": asdict(load), "parts": asdict(found), "most_workers": most})
    return Table(f"scale: {workers:,} workers, popsize {LARGE_POPSIZE:,}, seconds by the model", rows, data)
