"""CMA-ES on noisy fitness, with the peers side by side: values after some evaluations.

The value is the noise-free one at the mean of the search, as the median over seeds. Marks count
evaluations for each coordinate. Each run starts uniformly in [-4, 4]^d with standard deviation 2
and the default popsize. Noise is Gaussian: added with a standard deviation, or in percent of the
value. A run ends when the value is 1e-8; then the table shows, in brackets, the median of the
evaluations until then.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from benchmarks.coco.solvers import SIGMA, seed_of, start
from benchmarks.evaluations import FUNCTIONS
from benchmarks.harness import jobs, machine, text
from benchmarks.harness.options import numbers

Vector = NDArray[Any]
Progress = Iterator[Vector]  # the mean, after each generation
PRECISION = 1e-8
MARKS = (100, 1000, 10_000)  # evaluations for each coordinate


class Noisy:
    """A noisy function that counts evaluations; `level` is a standard deviation or a percentage."""

    def __init__(self, function: Callable[[Vector], float], dim: int, level: str, rng: Generator) -> None:
        self.function, self.dim, self.rng, self.evaluations = function, dim, rng, 0
        self.relative = level.endswith("%")
        self.deviation = float(level.rstrip("%")) / (100 if self.relative else 1)

    def __call__(self, x: Vector) -> float:
        self.evaluations += 1
        value, noise = self.function(x), self.deviation * self.rng.standard_normal()
        return value * (1 + noise) if self.relative else value + noise


# ---------------------------------------------------------------- solvers


def evoopt_cmaes(noisy: bool, fun: Noisy, rng: Generator) -> Progress:
    import evoopt

    strategy = evoopt.CMAES(start(rng, fun.dim), SIGMA, noisy=noisy, seed=seed_of(rng))
    while True:
        population = strategy.ask()
        strategy.tell(population, [fun(x) for x in population])
        yield strategy.mean


def cmaes(fun: Noisy, rng: Generator) -> Progress:
    import cmaes

    strategy = cmaes.CMA(start(rng, fun.dim), SIGMA, seed=seed_of(rng), lr_adapt=True)
    while True:
        population = [strategy.ask() for _ in range(strategy.population_size)]
        strategy.tell([(x, fun(x)) for x in population])
        yield strategy.mean


def pycma(fun: Noisy, rng: Generator) -> Progress:
    """Search with re-evaluations, as the docstring of pycma's NoiseHandler shows."""
    import cma

    options = {"verbose": -9, "verb_log": 0, "seed": seed_of(rng)}
    strategy = cma.CMAEvolutionStrategy(start(rng, fun.dim), SIGMA, options)
    handler = cma.NoiseHandler(fun.dim, maxevals=[1, 1, 30])
    while True:
        population, fitness = strategy.ask_and_eval(fun, evaluations=handler.evaluations)
        strategy.tell(population, fitness)
        strategy.sigma *= handler(population, fitness, fun, strategy.ask)
        yield strategy.mean


class Solver(NamedTuple):
    name: str
    solve: Callable[[Noisy, Generator], Progress]
    packages: tuple[str, ...] = ()


def _plain(fun: Noisy, rng: Generator) -> Progress:
    return evoopt_cmaes(False, fun, rng)


def _adapted(fun: Noisy, rng: Generator) -> Progress:
    return evoopt_cmaes(True, fun, rng)


_SOLVERS = (
    Solver("noisy=False", _plain),
    Solver("noisy=True", _adapted),
    Solver("cmaes lr_adapt", cmaes, ("cmaes",)),
    Solver("pycma NoiseHandler", pycma, ("cma",)),
)
SOLVERS = {solver.name: solver for solver in _SOLVERS}


# ---------------------------------------------------------------- the benchmark


class Task(NamedTuple):
    function: str
    level: str
    dim: int
    solver: str


def solve(task: Task, seed: int, marks: tuple[int, ...]) -> list[float]:
    """Run once; return the value at each mark, then evaluations to the precision or inf."""
    rng = np.random.default_rng([seed, task.dim])
    fun = Noisy(FUNCTIONS[task.function](task.dim, rng), task.dim, task.level, rng)
    values: list[float] = []
    for mean in SOLVERS[task.solver].solve(fun, rng):
        value = fun.function(mean)
        if value <= PRECISION:
            return [*values, *[value] * (len(marks) - len(values)), fun.evaluations]
        while len(values) < len(marks) and fun.evaluations >= marks[len(values)] * task.dim:
            values.append(value)
        if len(values) == len(marks):
            break
    return [*values, np.inf]


@dataclass(frozen=True)
class Medians:
    """Medians over seeds for each task: values at the marks, evaluations to the precision."""

    marks: tuple[int, ...]
    medians: dict[Task, list[float]]
    skipped: list[str]
    agrees: bool = True  # nothing to disagree about

    def rows(self) -> list[list[str]]:
        rows = [["function", "noise", "d", "solver", *[f"{mark:,} d" for mark in self.marks]]]
        for task, (*values, evaluations) in self.medians.items():
            cells = ["" if value <= PRECISION else f"{value:.2g}" for value in values]
            if np.isfinite(evaluations):
                cells[cells.index("")] = f"({evaluations:,.0f})"
            rows.append([task.function.replace("_", " "), task.level, str(task.dim), task.solver, *cells])
        return rows

    def table(self) -> str:
        title = "noise-free value at the mean, or in brackets the evaluations to 1e-8; medians"
        return "\n".join([title, text.aligned(self.rows()), *self.skipped])

    def as_dict(self) -> dict[str, Any]:
        cases = []
        for task, (*values, evaluations) in self.medians.items():
            needed = evaluations if np.isfinite(evaluations) else None
            cases.append(task._asdict() | {"values": values, "evaluations": needed})
        return {"name": "noisy", "marks": self.marks, "cases": cases, "skipped": self.skipped}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--solver", action="append", choices=SOLVERS, help="repeat it; default all")
    parser.add_argument("--dims", type=numbers(2), default=[5, 10, 20], metavar="5,10,20")
    parser.add_argument("--functions", nargs="+", choices=FUNCTIONS, default=["sphere", "ellipsoid"])
    levels = ["0.01", "1", "30%"]
    parser.add_argument("--noise", nargs="+", default=levels, metavar="LEVEL", help="0 for none")
    parser.add_argument("--seeds", type=numbers(0), default=[*range(1, 12)], metavar="1-11")
    parser.add_argument("--jobs", type=int, help="processes of one thread each; default as --threads")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table there")


def run(args: argparse.Namespace) -> Iterator[Medians]:
    solvers, skipped = machine.present(SOLVERS[name] for name in args.solver or SOLVERS)
    tasks = [
        Task(function, level, dim, solver.name)
        for function in args.functions
        for level in args.noise
        for dim in args.dims
        for solver in solvers
    ]
    runs = [(task, seed, MARKS) for task in tasks for seed in args.seeds]
    found: dict[Task, list[list[float]]] = {task: [] for task in tasks}
    for i, values in jobs.done(solve, runs, args.jobs or args.threads):
        found[runs[i][0]].append(values)
    medians = {task: np.median(values, axis=0).tolist() for task, values in found.items()}
    result = Medians(MARKS, medians, skipped)
    if args.markdown:
        args.markdown.write_text(text.markdown(result.rows()) + "\n")
    yield result
