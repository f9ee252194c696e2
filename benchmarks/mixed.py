"""Searches in spaces of reals, integers and choices, with the peers side by side.

Three parts: evaluations to 1e-10 on functions with 5, 10 and 20 variables of each kind; the suite
bbob-mixint of COCO, as `bbob` does it; and the time of ask and tell. evoopt's searches are compared
with each peer, paired over problems and seeds. Runs are cached, times are not.
"""

import argparse
import math
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.coco import mixed_solvers, verdicts
from benchmarks.coco.counts import Counts
from benchmarks.coco.experiment import complete
from benchmarks.coco.mixed_functions import FUNCTIONS, problem
from benchmarks.coco.mixed_solvers import CATCMAWM, METHODS, PYCMA, SOLVERS
from benchmarks.coco.recorder import Recorder, Run, record
from benchmarks.coco.report import Comparison
from benchmarks.coco.solvers import Solver
from benchmarks.coco.suite import Settings, collect
from benchmarks.coco.verdicts import Verdicts
from benchmarks.harness import machine, options
from benchmarks.harness.cache import Cell
from benchmarks.harness.options import numbers
from benchmarks.harness.outcome import Outcome
from benchmarks.harness.race import Case, Contestant, race
from benchmarks.harness.search import Array, Loop, Search, mean_generation

LIMIT = 10_000  # evaluations for each variable, as in the papers
TARGET = 1e-10
LARGE, MOST_SEEDS = 20, 11  # variables of each kind, and the seeds that so many have at most
REVISION = 1  # raise it with every change of a function, or the cache returns old results
TIMED = "SphereIntOneMax"  # it has all three kinds
UNSOLVED = 0.99  # the largest share of the fitness after the first generations

Table = Counts | Verdicts | Comparison | Outcome


class Task(NamedTuple):
    """The work of one process at a time: runs with many seeds."""

    solver: str
    function: str
    size: int


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=[*PARTS], help="default all")
    parser.add_argument(
        "--methods", nargs="+", choices=METHODS, help="default cmaes for functions, ipop for the suite"
    )
    parser.add_argument("--functions", nargs="+", choices=FUNCTIONS, default=[*FUNCTIONS], help="default all")
    parser.add_argument(
        "--sizes", type=numbers(2), default=[5, 10, 20], metavar="5,10,20", help="variables of each kind"
    )
    parser.add_argument(
        "--seeds",
        type=numbers(0),
        default=[*range(1, 52)],
        metavar="1-51",
        help=f"from {LARGE} variables of each kind on the first {MOST_SEEDS} of them",
    )
    parser.add_argument("--suite-functions", type=numbers(1, 24), default=[*range(1, 25)], metavar="1-24")
    parser.add_argument("--dims", type=numbers(5, 160), default=[5, 10, 20], metavar="5,10,20")
    parser.add_argument("--instances", type=numbers(1, 15), default=[*range(1, 6)], metavar="1-5")
    parser.add_argument("--suite-seeds", type=numbers(0), default=[1], metavar="1,2")
    parser.add_argument(
        "--budget", type=int, default=300, help="evaluations for each coordinate of the suite"
    )
    options.add_cache_options(parser)
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables of runs there")


def run(args: argparse.Namespace) -> Iterator[Table]:
    tables = []
    for part in args.parts:
        for table in PARTS[part](args):
            if isinstance(table, Counts | Verdicts):
                tables.append(table.markdown())
            yield table
    if args.markdown:
        args.markdown.write_text("\n\n".join(tables) + "\n")


# ---------------------------------------------------------------- functions


def on_functions(args: argparse.Namespace) -> Iterator[Counts | Verdicts]:
    solvers, skipped = machine.present([*_chosen(args, "cmaes"), CATCMAWM])
    runs: dict[Task, list[Run]] = {}
    for small in (True, False):
        seeds = args.seeds if small else args.seeds[:MOST_SEEDS]
        cells = {
            Task(solver.name, function, size): _cell(args.cache, solver, function, size)
            for size in args.sizes
            for function in args.functions
            for solver in solvers
            if (size < LARGE) == small
        }
        runs |= complete(solve, cells, seeds, args.jobs or args.threads)
    names = [solver.name for solver in solvers]
    rows = {
        (function, size): {name: runs[Task(name, function, size)] for name in names}
        for function in args.functions
        for size in args.sizes
    }
    yield Counts(names, rows, skipped, reference=CATCMAWM.name, target="1e-10", size="each")
    found = [
        verdict
        for name, peer in _pairs(solvers)
        for verdict in verdicts.on_runs(name, peer, _paired(rows.values(), name, peer))
    ]
    yield Verdicts("mixed functions", found)


def solve(task: Task, seeds: list[int]) -> list[Run]:
    return [_run(task, seed) for seed in seeds]


def _run(task: Task, seed: int) -> Run:
    function, domain = problem(task.function, task.size)
    n = len(domain.space)
    rng = np.random.default_rng([seed, sorted(FUNCTIONS).index(task.function), task.size])
    fun = Recorder(function, 0.0, n, LIMIT * n, np.array([TARGET]), domain)
    return record(SOLVERS[task.solver].solve, fun, rng)


def _cell(folder: Path, solver: Solver, function: str, size: int) -> Cell:
    key = {"benchmark": "mixed", "functions": REVISION, "function": function, "size": size}
    return Cell(folder, key | solver.key())


def _chosen(args: argparse.Namespace, default: str) -> list[Solver]:
    return [METHODS[name] for name in args.methods or [default]]


def _pairs(solvers: list[Solver]) -> Iterator[tuple[str, str]]:
    """Yield the names of each solver of evoopt with each peer."""
    for solver in solvers:
        yield from ((solver.name, peer.name) for peer in solvers if peer.packages and not solver.packages)


def _paired(cases: Any, name: str, peer: str) -> list[tuple[Run, Run]]:
    return [pair for case in cases for pair in zip(case[name], case[peer], strict=True)]


# ---------------------------------------------------------------- the suite


def on_suite(args: argparse.Namespace) -> Iterator[Comparison | Verdicts]:
    if not machine.installed("cocoex"):
        raise SystemExit(f"bbob-mixint needs the package coco-experiment, not here ({machine.INSTALL}).")
    solvers, skipped = machine.present([*_chosen(args, "ipop"), PYCMA, CATCMAWM])
    functions, seeds = args.suite_functions, args.suite_seeds
    settings = Settings(args.dims, functions, args.instances, seeds, args.budget, "bbob-mixint")
    comparison = Comparison(
        settings, collect(solvers, settings, args.cache, args.jobs or args.threads), skipped
    )
    yield comparison
    found = [verdicts.on_areas(name, peer, comparison) for name, peer in _pairs(solvers)]
    yield Verdicts("bbob-mixint", found)


# ---------------------------------------------------------------- the time of ask and tell


def on_time(args: argparse.Namespace) -> Iterator[Outcome]:
    for size in args.sizes:
        yield race(case(size), args.seconds, args.threads)


def case(size: int) -> Case:
    """Return generations with the default popsize of both libraries."""
    function, domain = problem(TIMED, size)
    n = len(domain.space)
    popsize = 4 + int(3 * math.log(n))

    def fitness(rows: Array) -> Array:
        return np.array([function(row) for row in rows])

    def prepare(start: Callable[[int], Loop]) -> Search:
        return Search(start, popsize, n, fitness=fitness)

    starts = [
        partial(loop, domain, popsize) for loop in (mixed_solvers.evoopt_loop, mixed_solvers.cmaes_loop)
    ]
    contestants = [
        Contestant("evoopt CMAES", partial(prepare, starts[0]), read=Search.unsolved),
        Contestant("cmaes CatCMAwM", partial(prepare, starts[1]), ("cmaes",), Search.unsolved),
    ]
    title = f"mixed: {size} reals, {size} integers, {size} choices, popsize {popsize}"
    return Case(title, contestants, float, UNSOLVED, clock=mean_generation)


PARTS: dict[str, Callable[[argparse.Namespace], Iterator[Table]]] = {
    "functions": on_functions,
    "suite": on_suite,
    "time": on_time,
}
