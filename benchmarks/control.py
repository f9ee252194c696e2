"""CartPole swing-up by a 5-64-64-1 network: scores over generations and over seconds.

The score is the mean return, at most 1000, of the solution (the mean) over 100 episodes that
training never saw. evoopt's environment judges all contestants, and that time does not count.
Contestants take turns, seed by seed, and compile before the first seed. The same algorithm has the
same hyperparameters in both libraries.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import evoopt
from benchmarks.harness import machine, swingup, text
from benchmarks.harness.options import count, numbers
from benchmarks.harness.swingup import ENVIRONMENTS, Setting, Start

JUDGED = 100  # episodes
JUDGE_SEED = 10_000  # no training uses its episodes
WARM_UP = 2  # generations that compile


class Entry(NamedTuple):
    """A contestant: a strategy of a library with its hyperparameters."""

    name: str
    make: Callable[..., Start]
    options: dict[str, Any]
    packages: tuple[str, ...] = ()

    def prepare(self, setting: Setting) -> Start:
        return self.make(setting=setting, **self.options)


_ADAM = {"sigma": 0.1, "learning_rate": 0.05}
_ENTRIES = (
    Entry("evoopt PGPE", partial(swingup.evoopt_strategy, evoopt.PGPE), {"optimizer": "adam", **_ADAM}),
    Entry("evoopt OpenAIES", partial(swingup.evoopt_strategy, evoopt.OpenAIES), _ADAM),
    Entry("evoopt SNES", partial(swingup.evoopt_strategy, evoopt.SNES), {"sigma": 1.0}),
    Entry("evoopt SepCMAES", partial(swingup.evoopt_strategy, evoopt.SepCMAES), {"sigma": 0.1}),
    Entry("evosax PGPE", swingup.evosax_pgpe, _ADAM, ("evosax", "optax")),
    Entry("evosax Open_ES", swingup.evosax_open_es, _ADAM, ("evosax", "optax")),
)
ENTRIES = {entry.name: entry for entry in _ENTRIES}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--levels", nargs="+", choices=ENVIRONMENTS, default=[*ENVIRONMENTS])
    parser.add_argument("--contestants", nargs="+", choices=ENTRIES, default=[*ENTRIES], help="default all")
    parser.add_argument("--generations", type=count, default=200, help="default 200")
    parser.add_argument("--every", type=count, default=50, help="generations between two scores; default 50")
    parser.add_argument("--seeds", type=numbers(0), default=[1], metavar="1-5", help="default 1")
    parser.add_argument("--popsize", type=count, default=64, help="default 64")
    parser.add_argument("--episodes", type=count, default=16, help="episodes of a row; default 16")
    parser.add_argument("--quick", action="store_true", help="two generations of a few steps, to see it work")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables there")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the scores there, as PNG")


class Point(NamedTuple):
    generations: int
    seconds: float
    score: float


@dataclass(frozen=True)
class Scores:
    """An outcome: the points of each seed of each contestant."""

    level: str
    runs: dict[str, list[list[Point]]]
    skipped: list[str]
    agrees: bool = True  # a slow learner is not wrong

    def medians(self, name: str) -> list[Point]:
        """Return the medians over the seeds."""
        return [Point(int(g), s, score) for g, s, score in np.median(self.runs[name], axis=0).tolist()]

    def rows(self) -> list[list[str]]:
        rows = [["", "generations", "seconds", "score", "from", "to"]]
        for name, runs in self.runs.items():
            for point, points in zip(self.medians(name), zip(*runs, strict=True), strict=True):
                scores = [each.score for each in points]
                cells = [f"{score:.0f}" for score in (point.score, min(scores), max(scores))]
                rows.append([name, f"{point.generations:,}", f"{point.seconds:.3g}", *cells])
        return rows

    def table(self) -> str:
        title = f"control: swing-up, {self.level}, medians of the seeds"
        return "\n".join([title, text.aligned(self.rows()), *self.skipped])

    def as_dict(self) -> dict[str, Any]:
        runs = {
            name: [[point._asdict() for point in run] for run in runs] for name, runs in self.runs.items()
        }
        return {"name": f"control: {self.level}", "runs": runs, "skipped": self.skipped}


def run(args: argparse.Namespace) -> Iterator[Scores]:
    if args.quick:
        args.generations, args.every, args.popsize, args.episodes = 2, 1, 8, 2
    outcomes = []
    for level in args.levels:
        steps = 20 if args.quick else ENVIRONMENTS[level].max_steps
        setting = Setting(level, args.popsize, args.episodes, steps, args.threads)
        outcomes.append(_scores(setting, args))
        yield outcomes[-1]
    if args.markdown:
        tables = [f"{outcome.level}\n\n{text.markdown(outcome.rows())}" for outcome in outcomes]
        args.markdown.write_text("\n\n".join(tables) + "\n")
    if args.plot:
        _plot(outcomes, args.plot)


def _scores(setting: Setting, args: argparse.Namespace) -> Scores:
    entries, skipped = machine.present([ENTRIES[name] for name in args.contestants])
    starts = {entry.name: entry.prepare(setting) for entry in entries}
    machine.set_threads(args.threads)
    for start in starts.values():
        start(0).run(WARM_UP)
    runs: dict[str, list[list[Point]]] = {name: [] for name in starts}
    for seed in args.seeds:
        for name, start in starts.items():
            runs[name].append(train(start, setting, seed, args.generations, args.every))
    return Scores(setting.level, runs, skipped)


def train(start: Start, setting: Setting, seed: int, generations: int, every: int) -> list[Point]:
    judge = setting.task(seed)
    trainer, seconds, points = start(seed), 0.0, []
    while trainer.generation < generations:
        n = min(every, generations - trainer.generation)
        seconds += n * trainer.run(n)
        score = judge.evaluate(trainer.solution(), JUDGED, seed=JUDGE_SEED)["return"]
        points.append(Point(trainer.generation, seconds, score))
    return points


def _plot(outcomes: list[Scores], path: Path) -> None:
    """Draw a row for each level: the medians over generations, and over seconds."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4 * len(outcomes)), layout="constrained")
    axes = figure.subplots(len(outcomes), 2, squeeze=False, sharey="row")
    for outcome, row in zip(outcomes, axes, strict=True):
        for name in outcome.runs:
            generations, seconds, scores = zip(*outcome.medians(name), strict=True)
            row[0].plot(generations, scores, label=name)
            row[1].plot(seconds, scores, label=name)
        row[0].set(xlabel="generations", ylabel=f"mean return, {outcome.level}")
        row[1].set(xlabel="seconds", xscale="log")
    axes[0, 0].legend()
    figure.savefig(path, format="png")
