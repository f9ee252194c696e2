"""Growth of the cost of a fitness evaluation with popsize, samples and parameters.

The fitness is the cross-entropy of a dense network with tanh in its hidden layer. One number grows
over two decades, the others stay. The growth is the exponent p of seconds ~ n^p between neighbours
and over all; 1 is linear.
"""

import argparse
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.harness import dense, machine, text
from benchmarks.harness.race import Case, Contestant, race
from evoopt import Supervised

INPUTS, CLASSES = 64, 10


class Size(NamedTuple):
    popsize: int = 64
    samples: int = 1024
    hidden: int = 32

    @property
    def parameters(self) -> int:
        return dense.network((INPUTS, self.hidden, CLASSES)).spec.size


SIZES = {
    "popsize": [Size(popsize=n) for n in (20, 63, 200, 632, 2000)],
    "samples": [Size(samples=n) for n in (200, 632, 2000, 6325, 20_000)],
    "parameters": [Size(popsize=16, hidden=n) for n in (64, 202, 640, 2024, 6400)],  # 4,810 to 480,010
}


class Point(NamedTuple):
    """A size and its seconds."""

    size: Size
    seconds: float


@dataclass(frozen=True)
class Growth:
    """An outcome: the points of one number that grows."""

    what: str
    points: list[Point]
    agrees: bool = True  # nothing to disagree about

    def exponent(self, first: Point, last: Point) -> float:
        amounts = getattr(last.size, self.what) / getattr(first.size, self.what)
        return math.log(last.seconds / first.seconds) / math.log(amounts)

    def rows(self) -> list[list[str]]:
        rows = [["popsize", "samples", "parameters", "ms", "growth"]]
        growths = [self.exponent(*neighbours) for neighbours in pairwise(self.points)]
        for point, growth in zip(self.points, ["", *(f"{growth:.2f}" for growth in growths)], strict=True):
            sizes = [f"{n:,}" for n in (point.size.popsize, point.size.samples, point.size.parameters)]
            rows.append([*sizes, f"{1e3 * point.seconds:.3g}", growth])
        return [*rows, ["all", "", "", "", f"{self.exponent(self.points[0], self.points[-1]):.2f}"]]

    def table(self) -> str:
        return f"scaling: {self.what}, float32\n{text.aligned(self.rows())}"

    def as_dict(self) -> dict[str, Any]:
        points = [
            point.size._asdict() | {"parameters": point.size.parameters, "seconds": point.seconds}
            for point in self.points
        ]
        whole = self.exponent(self.points[0], self.points[-1])
        return {"name": f"scaling: {self.what}", "points": points, "exponent": whole}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--grow", nargs="+", choices=SIZES, default=[*SIZES], help="what grows; default all")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables there")


def run(args: argparse.Namespace) -> Iterator[Growth]:
    machine.set_threads(args.threads)
    growths = []
    for what in args.grow:
        points = [Point(size, _seconds(size, args.seconds, args.threads)) for size in SIZES[what]]
        growths.append(Growth(what, points))
        yield growths[-1]
    if args.markdown:
        tables = [text.markdown(growth.rows()) for growth in growths]
        args.markdown.write_text("\n\n".join(tables) + "\n")


def _seconds(size: Size, seconds: float, threads: int) -> float:
    """Time a call by the fastest turn, because other processes may take the cores for a while."""
    rng = np.random.default_rng(1)
    inputs = rng.standard_normal((size.samples, INPUTS), np.float32)
    labels = rng.integers(0, CLASSES, size.samples)
    problem = dense.Problem.of((INPUTS, size.hidden, CLASSES), size.popsize, inputs)
    task = Supervised(problem.net, inputs, labels)
    work = Contestant("evoopt Supervised", lambda: partial(task, problem.population))
    case = Case("scaling", [work], lambda found: 0.0 if np.isfinite(found).all() else np.inf, 0.0)
    (timing,) = race(case, seconds, threads).timings
    return min(timing.times)
