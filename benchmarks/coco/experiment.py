"""Runs from the cache, or made now if the cache lacks them."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, TypeVar

from benchmarks.coco.recorder import Run
from benchmarks.harness import jobs
from benchmarks.harness.cache import Cell

Task = TypeVar("Task", bound=tuple[Any, ...])


def complete(
    solve: Callable[[Task, list[int]], list[Run]],
    cells: Mapping[Task, Cell],
    wanted: Sequence[int],
    processes: int,
) -> dict[Task, list[Run]]:
    """Return the runs with the numbers `wanted` of each task.

    ``solve(task, numbers)``, a top-level function, makes runs that the task's cell lacks, and the
    cell keeps them.
    """
    lacking = [(task, _lacking(cell, wanted)) for task, cell in cells.items()]
    tasks = [(task, numbers) for task, numbers in lacking if numbers]
    for n_done, (i, runs) in enumerate(jobs.done(solve, tasks, processes), 1):
        task, numbers = tasks[i]
        cells[task].add({str(n): asdict(run) for n, run in zip(numbers, runs, strict=True)})
        seconds = sum(run.wall for run in runs)
        print(f"{n_done} of {len(tasks)}: {task}, {seconds:.1f} s", file=sys.stderr, flush=True)
    return {task: _runs(cell, wanted) for task, cell in cells.items()}


def _lacking(cell: Cell, wanted: Sequence[int]) -> list[int]:
    entries = cell.read()
    return [n for n in wanted if str(n) not in entries]


def _runs(cell: Cell, wanted: Sequence[int]) -> list[Run]:
    entries = cell.read()
    return [Run(**entries[str(n)]) for n in wanted]
