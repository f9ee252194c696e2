"""Evaluations that CMA-ES needs to reach 1e-8 in one run, with the peers side by side.

Each run starts uniformly in [-4, 4]^d with standard deviation 2, as is usual on BBOB, and with the
default popsize. Start and rotation follow from the run's seed and are the same for all solvers.
Means are over the runs that reach 1e-8, because on Rosenbrock's function some end in a local
optimum instead.
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from benchmarks.coco.counts import Counts
from benchmarks.coco.experiment import complete
from benchmarks.coco.recorder import PRECISION, Recorder, Run, record
from benchmarks.coco.solvers import SIGMA, Solver, search, seed_of, start
from benchmarks.harness import machine, options
from benchmarks.harness.cache import Cell
from benchmarks.harness.options import numbers

Vector = NDArray[Any]
LIMIT = 20_000  # evaluations for each coordinate, more than any run needs
REVISION = 1  # raise it with every change of a function, or the cache returns old results


# ---------------------------------------------------------------- functions, with minimum 0


def _axes(dim: int) -> Vector:
    """Return numbers from 0 to 1, one for each coordinate."""
    return np.arange(dim) / (dim - 1)


def sphere(dim: int, rng: Generator) -> Callable[[Vector], float]:
    return lambda x: float(x @ x)


def ellipsoid(dim: int, rng: Generator) -> Callable[[Vector], float]:
    weights = 1e6 ** _axes(dim)
    return lambda x: float(weights @ (x * x))


def rotated_ellipsoid(dim: int, rng: Generator) -> Callable[[Vector], float]:
    weights = 1e6 ** _axes(dim)
    rotation, triangle = np.linalg.qr(rng.standard_normal((dim, dim)))
    rotation *= np.sign(triangle.diagonal())  # uniform over all rotations and reflections
    return lambda x: float(weights @ (rotation @ x) ** 2)


def rosenbrock(dim: int, rng: Generator) -> Callable[[Vector], float]:
    return lambda x: float((100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum())


def discus(dim: int, rng: Generator) -> Callable[[Vector], float]:
    return lambda x: float(x @ x + (1e6 - 1) * x[0] ** 2)


def cigar(dim: int, rng: Generator) -> Callable[[Vector], float]:
    return lambda x: float(1e6 * (x @ x) - (1e6 - 1) * x[0] ** 2)


def different_powers(dim: int, rng: Generator) -> Callable[[Vector], float]:
    powers = 2 + 4 * _axes(dim)
    return lambda x: float(np.sqrt((np.abs(x) ** powers).sum()))


_FUNCTIONS = (sphere, ellipsoid, rotated_ellipsoid, rosenbrock, discus, cigar, different_powers)
FUNCTIONS = {function.__name__: function for function in _FUNCTIONS}


# ---------------------------------------------------------------- solvers, one run each


def evoopt_cmaes(fun: Recorder, rng: Generator) -> None:
    import evoopt

    search(evoopt.CMAES(start(rng, fun.dim), SIGMA, seed=seed_of(rng)), fun)


def pycma(fun: Recorder, rng: Generator) -> None:
    import cma

    options = {"verbose": -9, "verb_log": 0, "seed": seed_of(rng)}
    search(cma.CMAEvolutionStrategy(start(rng, fun.dim), SIGMA, options), fun)


def cmaes(fun: Recorder, rng: Generator) -> None:
    import cmaes

    strategy = cmaes.CMA(start(rng, fun.dim), SIGMA, seed=seed_of(rng))
    while not strategy.should_stop():
        population = [strategy.ask() for _ in range(strategy.population_size)]
        strategy.tell([(x, fun(x)) for x in population])


_SOLVERS = (
    Solver("evoopt", evoopt_cmaes),
    Solver("pycma", pycma, ("cma",)),
    Solver("cmaes", cmaes, ("cmaes",)),
)
SOLVERS = {solver.name: solver for solver in _SOLVERS}


# ---------------------------------------------------------------- the benchmark


class Task(NamedTuple):
    """The work of one process at a time: runs with many seeds."""

    solver: str
    function: str
    dim: int


def solve(task: Task, seeds: list[int]) -> list[Run]:
    return [_run(task, seed) for seed in seeds]


def _run(task: Task, seed: int) -> Run:
    place = sorted(FUNCTIONS).index(task.function)
    rng = np.random.default_rng([seed, place, task.dim])
    function = FUNCTIONS[task.function](task.dim, rng)
    fun = Recorder(function, 0.0, task.dim, LIMIT * task.dim, np.array([PRECISION]))
    return record(SOLVERS[task.solver].solve, fun, rng)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--solver", action="append", choices=SOLVERS, help="repeat it for several; default all"
    )
    parser.add_argument("--dims", type=numbers(2), default=[5, 10, 20, 40], metavar="5,10,20,40")
    parser.add_argument("--functions", nargs="+", choices=FUNCTIONS, default=[*FUNCTIONS], help="default all")
    parser.add_argument("--seeds", type=numbers(0), default=[*range(1, 52)], metavar="1-51")
    options.add_cache_options(parser)
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table there")


def run(args: argparse.Namespace) -> Iterator[Counts]:
    solvers, skipped = machine.present(SOLVERS[name] for name in args.solver or SOLVERS)
    cells = {
        Task(solver.name, function, dim): _cell(args.cache, solver, function, dim)
        for dim in args.dims
        for function in args.functions
        for solver in solvers
    }
    runs = complete(solve, cells, args.seeds, args.jobs or args.threads)
    names = [solver.name for solver in solvers]
    rows = {
        (function, dim): {name: runs[Task(name, function, dim)] for name in names}
        for function in args.functions
        for dim in args.dims
    }
    counts = Counts(names, rows, skipped)
    if args.markdown:
        args.markdown.write_text(counts.markdown() + "\n")
    yield counts


def _cell(folder: Path, solver: Solver, function: str, dim: int) -> Cell:
    key = {"benchmark": "evaluations", "functions": REVISION, "function": function, "dim": dim}
    return Cell(folder, key | solver.key())
