"""Training a 64-32-10 network on digits: seconds a generation, generations to 95% accuracy.

The population of 256 rows learns by cross-entropy on full batches. Seconds a generation are
measured on all 1,797 digits. For the accuracy the searches learn from the training part of
examples/04_digits.py. The accuracy of the solution (the mean; for a genetic algorithm the best row)
on the test part is measured every few generations, and that time does not count. Each search has
the hyperparameters that took it to 95% of the validation part in the fewest generations
(docs/benchmarks/networks.md).
"""

import argparse
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import evoopt
from benchmarks.harness import digits, gpu, machine, text, torch_trainers, trainers
from benchmarks.harness.dense import network
from benchmarks.harness.digits import Samples
from benchmarks.harness.options import numbers
from benchmarks.harness.outcome import Outcome
from benchmarks.harness.race import Case, Contestant, race
from benchmarks.harness.trainers import Trainer
from evoopt import Supervised

POPSIZE = 256
UNITS = (64, 32, 10)
LEARNED = 10  # generations after which the loss must be lower
UNLEARNED = 0.999  # the largest share of the first loss


class Entry(NamedTuple):
    """A contestant: a search of a library with its hyperparameters."""

    name: str
    make: Callable[..., Trainer]
    options: dict[str, Any]
    packages: tuple[str, ...] = ()

    def start(self, samples: Samples, seed: int, popsize: int) -> Trainer:
        return self.make(UNITS, samples, popsize, seed, **self.options)


_EVOSAX, _EVOTORCH = ("evosax", "optax"), ("evotorch",)
_SNES = {"stdev_init": 0.05, "center_learning_rate": 4.0}
_OPENAI = {"sigma": 0.07, "learning_rate": 0.1, "momentum": 0.8}
_PYGAD = {
    "num_parents_mating": 64,
    "parent_selection_type": "tournament",
    "K_tournament": 5,
    "keep_elitism": 5,
    "crossover_type": "uniform",
    "mutation_percent_genes": 1,
    "random_mutation_min_val": -0.5,
    "random_mutation_max_val": 0.5,
}
_ENTRIES = (
    Entry("evoopt SNES", trainers.evoopt_snes, {"sigma": 0.05, "eta_mean": 4.0}),
    Entry("evoopt OpenAIES", trainers.evoopt_openaies, _OPENAI),
    Entry("evoopt PGPE", trainers.evoopt_pgpe, {"sigma": 0.1}),
    Entry("evoopt GA", trainers.evoopt_ga, {"sigma": 0.05, "crossover": "arithmetic", "tournament": 8}),
    Entry("evosax Open_ES", trainers.evosax_open_es, _OPENAI, _EVOSAX),
    Entry("evosax SNES", trainers.evosax_snes, {"sigma": 0.05, "eta_mean": 4.0}, _EVOSAX),
    Entry("EvoTorch SNES, baddbmm", torch_trainers.evotorch_snes, _SNES, _EVOTORCH),
    Entry("EvoTorch SNES, features first", torch_trainers.evotorch_features_first, _SNES, _EVOTORCH),
    Entry("EvoTorch SNES, SupervisedNE", torch_trainers.evotorch_supervised, _SNES, _EVOTORCH),
    Entry("PyGAD torchga", torch_trainers.PyGAD, _PYGAD, ("pygad", "torch")),
)
ENTRIES = {entry.name: entry for entry in _ENTRIES}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--only", choices=("speed", "accuracy"), help="one of the two tables; default both")
    parser.add_argument("--contestants", nargs="+", choices=ENTRIES, default=[*ENTRIES], help="default all")
    parser.add_argument("--seeds", type=numbers(0), default=[1, 2, 3, 4, 5], metavar="1-5")
    parser.add_argument("--accuracy", type=float, default=0.95, help="the target; default 0.95")
    parser.add_argument("--every", type=int, default=5, help="generations between two looks; default 5")
    parser.add_argument("--limit", type=float, default=120.0, help="seconds of a run at most; default 120")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table of the accuracy there")


def run(args: argparse.Namespace) -> Iterator["Outcome | Reached"]:
    entries = [ENTRIES[name] for name in args.contestants]
    if args.only != "accuracy":
        yield race(case(entries, POPSIZE), args.seconds, args.threads)
    if args.only != "speed":
        reached = _reach(entries, args)
        if args.markdown:
            args.markdown.write_text(text.markdown(reached.rows()) + "\n")
        yield reached


# ---------------------------------------------------------------- seconds a generation


def case(entries: list[Entry], popsize: int) -> Case:
    samples = digits.load()
    task = Supervised(network(UNITS), *samples)
    contestants = [
        Contestant(
            entry.name, partial(entry.start, samples, 1, popsize), entry.packages, partial(_unlearned, task)
        )
        for entry in entries
    ]
    title = f"neuro: a generation, {popsize:,} x {'-'.join(map(str, UNITS))} x {len(samples[0])} digits"
    return Case(title, contestants, float, UNLEARNED, clock=Trainer.run)


def _unlearned(task: Supervised, trainer: Trainer) -> float:
    """Return the share of the first mean's loss that is left after some generations."""
    trainer.run(LEARNED)
    first, last = task(np.stack([task.net.init(1), trainer.solution()]))
    return float(last / first)


# ---------------------------------------------------------------- generations to an accuracy


class Run(NamedTuple):
    """The end of a run: generations, their seconds without compilation, and the accuracy."""

    generations: int
    seconds: float
    accuracy: float


def train(entry: Entry, seed: int, accuracy: float, every: int, limit: float) -> Run:
    training, _, test = digits.split()
    judge = Supervised(network(UNITS), *training)
    trainer = entry.start(training, seed, POPSIZE)
    seconds, found = [], 0.0  # seconds a generation
    end = time.perf_counter() + limit
    while found < accuracy and time.perf_counter() < end:
        seconds.append(trainer.run(every))
        found = judge.evaluate(trainer.solution(), *test)["accuracy"]
    return Run(trainer.generation, trainer.generation * float(np.median(seconds)), found)


@dataclass(frozen=True)
class Reached:
    """An outcome: the runs of each contestant."""

    accuracy: float
    runs: dict[str, list[Run]]
    skipped: list[str]
    agrees: bool = True  # a slow search is not wrong

    def rows(self) -> list[list[str]]:
        """Return medians; a run that did not reach the accuracy counts as endless."""
        rows = [["", "generations", "from", "to", "seconds", "runs that got there", "accuracy at the end"]]
        for name, runs in self.runs.items():
            there = [run for run in runs if run.accuracy >= self.accuracy]
            generations = [run.generations if run in there else math.inf for run in runs]
            seconds = [run.seconds if run in there else math.inf for run in runs]
            numbers = [np.median(generations), min(generations), max(generations), np.median(seconds)]
            cells = [f"{number:.3g}" if math.isfinite(number) else "" for number in numbers]
            last = f"{np.median([run.accuracy for run in runs]):.3f}"
            rows.append([name, *cells, f"{len(there)} of {len(runs)}", last])
        return rows

    def table(self) -> str:
        title = f"neuro: to an accuracy of {self.accuracy:.0%} on the test part, medians"
        return "\n".join([title, text.aligned(self.rows()), *self.skipped])

    def as_dict(self) -> dict[str, Any]:
        cases = {name: [run._asdict() for run in runs] for name, runs in self.runs.items()}
        return {"name": "neuro: accuracy", "accuracy": self.accuracy, "runs": cases, "skipped": self.skipped}


def _reach(entries: list[Entry], args: argparse.Namespace) -> Reached:
    here, skipped = machine.present(entries)
    machine.set_threads(args.threads)
    runs = {
        entry.name: [train(entry, seed, args.accuracy, args.every, args.limit) for seed in args.seeds]
        for entry in here
    }
    return Reached(args.accuracy, runs, skipped)


def run_on_device(args: argparse.Namespace) -> Iterator[Outcome | gpu.Limits]:
    entries = {name: ENTRIES[name] for name in ("evosax SNES", "evosax Open_ES")}
    jax = [entry._replace(make=partial(gpu.jax_on_gpu, entry.make)) for entry in entries.values()]
    on_device = [
        Entry("evoopt SNES", partial(gpu.trainer, evoopt.SNES), ENTRIES["evoopt SNES"].options),
        Entry("evoopt OpenAIES", partial(gpu.trainer, evoopt.OpenAIES), _OPENAI),
        *jax,
        Entry("EvoTorch SNES, baddbmm", gpu.evotorch_snes, _SNES, _EVOTORCH),
    ]
    for popsize in (POPSIZE, 4096):
        yield race(case(on_device, popsize), args.seconds, args.threads)
