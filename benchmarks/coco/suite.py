"""The suites of COCO, and the runs of solvers on them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.coco import mixed_solvers, solvers
from benchmarks.coco.domain import Domain
from benchmarks.coco.experiment import complete
from benchmarks.coco.mixint import mixint_problem
from benchmarks.coco.recorder import Recorder, Run, record
from benchmarks.coco.solvers import Solver
from benchmarks.harness.cache import Cell

WARM_UP = 20  # evaluations for each coordinate
SOLVERS = {"bbob": solvers.SOLVERS, "bbob-mixint": mixed_solvers.SOLVERS}


class Problems(NamedTuple):
    """The instances of a function in one dimension, to be solved with one seed."""

    function: int
    dim: int
    seed: int


Runs = dict[Problems, list[Run]]  # one for each instance


@dataclass(frozen=True)
class Settings:
    """The settings of an experiment; `budget` counts evaluations for each coordinate."""

    dims: list[int]
    functions: list[int]
    instances: list[int]
    seeds: list[int]
    budget: int
    suite: str = "bbob"

    def problems(self) -> list[Problems]:
        return [Problems(f, dim, seed) for dim in self.dims for seed in self.seeds for f in self.functions]


class Task(NamedTuple):
    """The work of one process at a time."""

    solver: str
    function: int
    dim: int
    seed: int
    budget: int
    suite: str


def suite_problem(
    suite: str, function: int, dim: int, instance: int
) -> tuple[Callable[[Any], float], float, Domain | None]:
    """Return a function of a suite, its minimum, and the domain of a mixed one."""
    import cocoex

    if suite == "bbob-mixint":
        return mixint_problem(function, dim, instance)
    problem = cocoex.BareProblem("bbob", function, dim, instance)
    return problem, problem.best_value(), None


def suite_version() -> str:
    return metadata.version("coco-experiment")


def solve(task: Task, instances: list[int]) -> list[Run]:
    """Return a run for each instance, after a short run for imports and compilation."""
    _run(task._replace(budget=WARM_UP), instances[0])
    return [_run(task, instance) for instance in instances]


def _run(task: Task, instance: int) -> Run:
    problem, minimum, domain = suite_problem(task.suite, task.function, task.dim, instance)
    rng = np.random.default_rng([task.seed, task.function, instance, task.dim])
    fun = Recorder(problem, minimum, task.dim, task.budget * task.dim, domain=domain)
    return record(SOLVERS[task.suite][task.solver].solve, fun, rng)


def collect(solvers: Sequence[Solver], settings: Settings, folder: Path, processes: int) -> dict[str, Runs]:
    """Make the runs that the cache lacks; return the runs of each solver by its name."""
    cells = {
        Task(solver.name, *problems, settings.budget, settings.suite): _cell(
            folder, solver, problems, settings
        )
        for problems in settings.problems()
        for solver in solvers
    }
    results: dict[str, Runs] = {solver.name: {} for solver in solvers}
    for task, runs in complete(solve, cells, settings.instances, processes).items():
        results[task.solver][Problems(task.function, task.dim, task.seed)] = runs
    return results


def _cell(folder: Path, solver: Solver, problems: Problems, settings: Settings) -> Cell:
    key = {
        "suite": settings.suite,
        "coco-experiment": suite_version(),
        "budget": settings.budget,
    }
    return Cell(folder, key | problems._asdict() | solver.key())
