"""All runs of solvers over the BBOB suite, those of earlier experiments from the cache."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.coco.recorder import Recorder, Run, record
from benchmarks.coco.solvers import SOLVERS, Solver
from benchmarks.harness import jobs
from benchmarks.harness.cache import Cell

WARM_UP = 20  # evaluations for each coordinate


class Problems(NamedTuple):
    """The instances of a function in one dimension, to be solved with one seed."""

    function: int
    dim: int
    seed: int


@dataclass(frozen=True)
class Settings:
    """What is run; `budget` counts evaluations for each coordinate."""

    dims: list[int]
    functions: list[int]
    instances: list[int]
    seeds: list[int]
    budget: int

    def problems(self) -> list[Problems]:
        return [Problems(f, dim, seed) for dim in self.dims for seed in self.seeds for f in self.functions]


Runs = dict[Problems, list[Run]]  # one for each instance


def suite_problem(function: int, dim: int, instance: int) -> tuple[Callable[[Any], float], float]:
    """Give a function of the suite, and its minimum."""
    import cocoex

    problem = cocoex.BareProblem("bbob", function, dim, instance)
    return problem, problem.best_value()


def solve(name: str, problems: Problems, budget: int, instances: list[int]) -> list[Run]:
    """Give a run for each instance; a short one before them takes imports and compilation."""
    _run(name, problems, instances[0], WARM_UP)
    return [_run(name, problems, instance, budget) for instance in instances]


def _run(name: str, problems: Problems, instance: int, budget: int) -> Run:
    function, dim, seed = problems
    fun = Recorder(*suite_problem(function, dim, instance), dim, budget * dim)
    return record(SOLVERS[name].solve, fun, np.random.default_rng([seed, function, instance, dim]))


def collect(solvers: Sequence[Solver], settings: Settings, folder: Path, processes: int) -> dict[str, Runs]:
    """Run what the cache lacks, and give the runs of each solver by its name."""
    cells = {
        (solver.name, problems): _cell(folder, solver, problems, settings.budget)
        for problems in settings.problems()
        for solver in solvers
    }
    _fill(cells, settings, processes)
    results: dict[str, Runs] = {solver.name: {} for solver in solvers}
    for (name, problems), cell in cells.items():
        entries = cell.read()
        results[name][problems] = [Run(**entries[str(instance)]) for instance in settings.instances]
    return results


def _fill(cells: dict[tuple[str, Problems], Cell], settings: Settings, processes: int) -> None:
    tasks, targets = [], []
    for (name, problems), cell in cells.items():
        missing = [i for i in settings.instances if str(i) not in cell.read()]
        if missing:
            tasks.append((name, problems, settings.budget, missing))
            targets.append(cell)
    for n_done, (i, runs) in enumerate(jobs.done(solve, tasks, processes), 1):
        name, problems, _, instances = tasks[i]
        targets[i].add({str(instance): asdict(run) for instance, run in zip(instances, runs, strict=True)})
        seconds = sum(run.wall for run in runs)
        print(f"{n_done}/{len(tasks)}: {name}, {problems}, {seconds:.1f} s", file=sys.stderr, flush=True)


def _cell(folder: Path, solver: Solver, problems: Problems, budget: int) -> Cell:
    key = {"suite": "bbob", "coco-experiment": metadata.version("coco-experiment"), "budget": budget}
    return Cell(folder, {**key, **problems._asdict(), "solver": solver.name, "versions": solver.versions()})
