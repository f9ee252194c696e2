"""Late rows: evaluations of asynchronous searches, whose rows come back after random delays.

Rows are asked for one by one, each from the newest distribution. The fitness of a row comes back
after a uniform random number of other rows were asked for, at most `delay` popsizes; so half of
that many rows are in flight. As soon as popsize rows are back, they are told in one update. Without
a delay this is the synchronous loop. Searches begin at 0 and end at 1e-8; the optimum is at 1. All
rows that were asked for count. The last columns are the synchronous search whose popsize is popsize
+ rows in flight.
"""

import argparse
import heapq
import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

import evoopt
from benchmarks.harness import jobs, text
from benchmarks.harness.options import count, numbers

Array = NDArray[Any]
TARGET = 1e-8
STRATEGIES = ("CMAES", "SepCMAES", "LMMAES", "XNES", "SNES", "OpenAIES", "PGPE", "GA", "DeepGA")
NOISE = "noise"  # the fitness that says nothing


def _powers(n: int, most: float) -> Array:
    return most * np.arange(n) / (n - 1)


# each takes rows (k, n) minus the optimum
FUNCTIONS: dict[str, Callable[[Array], Array]] = {
    "sphere": lambda x: np.sum(x**2, axis=1),
    "ellipsoid": lambda x: x**2 @ 10 ** _powers(x.shape[1], 6),
    "rosenbrock": lambda x: np.sum(
        100 * ((x[:, :-1] + 1) ** 2 - (x[:, 1:] + 1)) ** 2 + x[:, :-1] ** 2, axis=1
    ),
    "cigar": lambda x: x[:, 0] ** 2 + 1e6 * np.sum(x[:, 1:] ** 2, axis=1),
    "discus": lambda x: 1e6 * x[:, 0] ** 2 + np.sum(x[:, 1:] ** 2, axis=1),
    "different powers": lambda x: np.sum(np.abs(x) ** (2 + _powers(x.shape[1], 4)), axis=1),
    "rastrigin": lambda x: np.sum(x**2 - 10 * np.cos(2 * math.pi * x) + 10, axis=1),
}


class Task(NamedTuple):
    strategy: str
    function: str
    dim: int
    popsize: int
    delay: int  # the longest, in popsizes
    larger: bool  # whether it is synchronous instead, with popsize + rows in flight
    sigma: float
    budget: int


def updates(popsize: int, most: int, rng: Generator) -> Iterator[tuple[int, list[int]]]:
    """Yield for each update the number of rows asked for until then, and the rows it is told.

    Rows are counted in the order in which they are asked for; `most` is the longest delay in rows.
    """
    flight: list[tuple[int, int]] = []  # when a row comes back, and the row
    back: list[int] = []
    for row in itertools.count():
        heapq.heappush(flight, (row + int(rng.integers(most + 1)), row))
        while flight and flight[0][0] <= row:
            back.append(heapq.heappop(flight)[1])
            if len(back) == popsize:
                yield row + 1, sorted(back)
                back = []


def search(
    strategy: evoopt.Strategy, fitness: Callable[[Array], Array], most: int, rng: Generator
) -> Iterator[int]:
    """Search with late rows; yield the number of rows asked for, after each update.

    Rows that are too old for the strategy are left out.
    """
    ids, values, born = np.empty(0, np.uint64), np.empty(0), np.empty(0, int)
    for asked, back in updates(strategy.popsize, most, rng):
        if asked > len(ids):  # rows of one distribution, so it does not matter when they are made
            new = strategy.ask_ids(asked - len(ids))
            ids, values = np.append(ids, new), np.append(values, fitness(strategy.rows(new)))
            born = np.append(born, np.full(len(new), strategy.generation))
        told = np.array(back)
        told = told[strategy.generation - born[told] <= strategy._ledger.memory]
        if len(told) > 1:
            strategy.tell(ids[told], values[told])
        yield asked


def popsize_of(task: Task) -> int:
    """Return the popsize; some strategies need an even one."""
    return task.popsize + 2 * (task.popsize * task.delay // 4) if task.larger else task.popsize


def made(task: Task, popsize: int | None, seed: int) -> evoopt.Strategy:
    options = {"sigma_decay": 0.99} if task.strategy == "OpenAIES" else {}
    cls, mean = getattr(evoopt, task.strategy), np.zeros(task.dim)
    strategy: evoopt.Strategy = cls(mean, sigma=task.sigma, popsize=popsize, seed=seed, **options)
    return strategy


def solve(task: Task, seed: int) -> float:
    """Return the rows asked for until the target, or inf; for noise the logarithm of sigma."""
    strategy, rng = made(task, popsize_of(task), seed), np.random.default_rng(seed)
    most = 0 if task.larger else task.delay * task.popsize
    function = FUNCTIONS.get(task.function)

    def fitness(rows: Array) -> Array:
        return rng.random(len(rows)) if function is None else function(rows - 1.0)

    for asked in search(strategy, fitness, most, rng):
        if function is not None and strategy.best.fitness <= TARGET:
            return asked
        if asked >= task.budget:
            break
    sigma = strategy.history["sigma"]
    return math.log(sigma[-1] / sigma[0]) if function is None else math.inf


@dataclass(frozen=True)
class Counts:
    """Evaluations of the seeds of each task, or for noise the change of log sigma."""

    name: str
    found: dict[Task, list[float]]
    agrees: bool = True  # a slow search is not wrong

    def _cells(self, task: Task) -> tuple[str, float]:
        found = np.array(self.found[task])
        solved = found[np.isfinite(found)]
        return f"{len(solved)}/{len(found)}", float(np.median(solved)) if len(solved) else math.nan

    def rows(self) -> list[list[str]]:
        head = ["function", "d", "delay", "solved", "evaluations", "/ synchronous"]
        rows = [[*head, "solved", "with popsize + in flight"]]
        for task in self.found:
            if task.larger or task.function == NOISE:
                continue
            (solved, evaluations), (_, plain) = self._cells(task), self._cells(task._replace(delay=0))
            cells = [task.function, str(task.dim), str(task.delay), solved, f"{evaluations:,.0f}"]
            if task.delay:
                solved, larger = self._cells(task._replace(larger=True))
                cells += [f"{evaluations / plain:.2f}", solved, f"{larger:,.0f}"]
            rows.append([cell.replace("nan", "") for cell in cells + [""] * (8 - len(cells))])
        return rows

    def rows_of_noise(self) -> list[list[str]]:
        rows = [["noise", "d", "delay", "updates", "log sigma, median", "lower", "upper quartile"]]
        for task, found in self.found.items():
            if task.function == NOISE:
                quartiles = [f"{value:+.2f}" for value in np.quantile(found, (0.5, 0.25, 0.75))]
                done = f"{task.budget // task.popsize:,}"
                rows.append([NOISE, str(task.dim), f"{task.delay:g}", done, *quartiles])
        return rows

    def tables(self) -> list[list[list[str]]]:
        return [rows for rows in (self.rows(), self.rows_of_noise()) if len(rows) > 1]

    def table(self) -> str:
        return "\n\n".join([f"asynchronous: {self.name}", *map(text.aligned, self.tables())])

    def as_dict(self) -> dict[str, Any]:
        cases = [
            task._asdict() | {"found": [value if math.isfinite(value) else None for value in found]}
            for task, found in self.found.items()
        ]
        return {"name": f"asynchronous: {self.name}", "cases": cases}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--strategies", nargs="+", choices=STRATEGIES, default=["CMAES"])
    first = ["sphere", "ellipsoid", "rosenbrock", NOISE]
    parser.add_argument("--functions", nargs="+", choices=[*FUNCTIONS, NOISE], default=first)
    parser.add_argument("--dims", type=numbers(2), default=[10, 20], metavar="10,20")
    parser.add_argument("--delays", type=numbers(1), default=[1, 4], metavar="1,4", help="in popsizes")
    parser.add_argument("--popsize", type=count, help="default that of the strategy")
    parser.add_argument("--sigma", type=float, default=0.5, help="default 0.5")
    parser.add_argument("--budget", type=count, default=60_000, help="evaluations; default 60,000")
    parser.add_argument("--updates", type=count, default=500, help="updates by pure noise; default 500")
    parser.add_argument("--seeds", type=numbers(0), default=[*range(51)], metavar="0-50")
    parser.add_argument("--jobs", type=int, help="processes of one thread each; default as --threads")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables there")


def tasks(args: argparse.Namespace, strategy: str) -> Iterator[Task]:
    for function, dim in itertools.product(args.functions, args.dims):
        first = Task(strategy, function, dim, 0, 0, False, args.sigma, args.budget)
        first = first._replace(popsize=made(first, args.popsize, 0).popsize)
        if function == NOISE:
            first = first._replace(budget=args.updates * first.popsize)
        yield first
        for delay in args.delays:
            yield first._replace(delay=delay)
            if function != NOISE:
                yield first._replace(delay=delay, larger=True)


def run(args: argparse.Namespace) -> Iterator[Counts]:
    outcomes = []
    for strategy in args.strategies:
        found: dict[Task, list[float]] = {task: [] for task in tasks(args, strategy)}
        runs = [(task, seed) for task in found for seed in args.seeds]
        for i, value in jobs.done(solve, runs, args.jobs or args.threads):
            found[runs[i][0]].append(value)
        outcomes.append(Counts(strategy, found))
        yield outcomes[-1]
    if args.markdown:
        parts = [text.markdown(rows) for outcome in outcomes for rows in outcome.tables()]
        args.markdown.write_text("\n\n".join(parts) + "\n")
