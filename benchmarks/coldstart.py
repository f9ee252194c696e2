"""The first generation of a new process, with an empty disk cache and with a full one.

Each run is a process of its own, which prints the seconds of its imports and of ask, evaluation and
tell. The machine should be idle, because each process has only one first generation.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from typing import NamedTuple

from benchmarks.harness import machine
from benchmarks.harness.jobs import BLAS
from benchmarks.harness.outcome import Outcome, Timing

RUNS = 5
POPSIZE, D, SIGMA = 10, 10, 0.5  # CMA-ES
ROWS = 256  # SNES on the digits

PROGRAM = """
import time
start = time.perf_counter()
{imports}
imported = time.perf_counter()
{data}
begun = time.perf_counter()
{generation}
print(imported - start, time.perf_counter() - begun)
"""


class Program(NamedTuple):
    """The first generation of a library, as three parts of a Python program."""

    name: str
    imports: str
    generation: str
    packages: tuple[str, ...] = ()
    data: str = ""
    cached: bool = False  # whether earlier runs have compiled its kernels


ES = Program(
    "evoopt CMAES",
    "import numpy as np, evoopt",
    f"es = evoopt.CMAES(np.ones({D}), {SIGMA}, popsize={POPSIZE}, seed=1)\n"
    "rows = es.ask()\nes.tell(rows, (rows**2).sum(axis=1))",
)
PYCMA = Program(
    "pycma",
    "import numpy as np, cma",
    f"es = cma.CMAEvolutionStrategy(np.ones({D}), {SIGMA}, "
    f"{{'popsize': {POPSIZE}, 'seed': 1, 'verbose': -9}})\n"
    "rows = es.ask()\nes.tell(rows, [float((x**2).sum()) for x in rows])",
    ("cma",),
)
CMAES = Program(
    "cmaes CMA",
    "import numpy as np, cmaes",
    f"es = cmaes.CMA(np.ones({D}), {SIGMA}, population_size={POPSIZE}, seed=1)\n"
    f"rows = [es.ask() for _ in range({POPSIZE})]\nes.tell([(x, float((x**2).sum())) for x in rows])",
    ("cmaes",),
)
DIGITS = Program(
    "evoopt SNES and Supervised",
    "import numpy as np, evoopt",
    "net = evoopt.Network([evoopt.Dense(32, 'tanh'), evoopt.Dense(10)], input_shape=(64,))\n"
    "task = evoopt.Supervised(net, images, labels, loss='cross_entropy')\n"
    f"es = evoopt.SNES(net.init(seed=0), sigma=0.1, popsize={ROWS}, seed=1)\n"
    "rows = es.ask()\nes.tell(rows, task(rows, 0))",
    data="rng = np.random.default_rng(0)\n"
    "images, labels = rng.normal(size=(1437, 64)).astype('f'), rng.integers(0, 10, 1437)",
)
CASES = {
    f"CMA-ES, {D} parameters, popsize {POPSIZE}": (ES, PYCMA, CMAES),
    f"digits, dense 64-32-10, 1437 samples, popsize {ROWS}": (DIGITS,),
}


def run(args: argparse.Namespace) -> Iterator[Outcome]:
    for name, programs in CASES.items():
        yield from measured(name, programs, args.threads)


def measured(name: str, programs: Sequence[Program], threads: int) -> Iterator[Outcome]:
    """Measure the first generation alone, and with the imports before it."""
    evoopt, *peers = programs
    here, skipped = machine.present(peers)
    contestants = [evoopt, evoopt._replace(name=f"{evoopt.name}, cached", cached=True), *here]
    runs: dict[str, list[tuple[float, float]]] = {one.name: [] for one in contestants}
    for _ in range(RUNS):
        with tempfile.TemporaryDirectory() as cache:
            for one in contestants:
                runs[one.name].append(seconds(one, cache, threads))
    for title, times in (
        ("first generation", {who: [generation for _, generation in found] for who, found in runs.items()}),
        ("imports and first generation", {who: [sum(each) for each in found] for who, found in runs.items()}),
    ):
        timings = [_timing(one, times) for one in contestants]
        yield Outcome(f"coldstart: {title} of {name}", 0.0, None, timings, skipped)


def seconds(program: Program, cache: str, threads: int) -> tuple[float, float]:
    """Run a program in a new process that caches kernels in `cache`; return its two times."""
    limits = {**dict.fromkeys(BLAS, str(threads)), "NUMBA_CACHE_DIR": cache}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(**program._asdict())],
        env={**os.environ, **limits},
        capture_output=True,
        text=True,
        check=True,
    )
    imports, generation = map(float, done.stdout.split())
    return imports, generation


def _timing(program: Program, times: Mapping[str, list[float]]) -> Timing:
    versions = {package: metadata.version(package) for package in program.packages}
    return Timing(program.name, versions, False, 0.0, True, times[program.name], None)
