"""Observers of the evaluations of `minimize`: the log and the progress bar."""

import csv
import math
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from evoopt.portfolio.budget import Observer
from evoopt.portfolio.start import Start
from evoopt.progress import open_bar
from evoopt.strategies.contract.told import better
from evoopt.types import Vector


@contextmanager
def observing(
    log: str | os.PathLike[str] | None, progress: bool, start: Start, total: float
) -> Iterator[list[Observer]]:
    """Provide the observers that the options ask for, of at most `total` evaluations."""
    with ExitStack() as stack:
        observers: list[Observer] = []
        if log is not None:
            observers.append(stack.enter_context(_log(log, start)))
        if progress:
            observers.append(stack.enter_context(_bar(total)))
        yield observers


@contextmanager
def _log(path: str | os.PathLike[str], start: Start) -> Iterator[Observer]:
    """Write each evaluation into a new CSV file, a line as soon as it is known."""
    if os.path.exists(path):
        raise ValueError(
            f'log must be the path of a new file, got "{os.fspath(path)}", which exists; take another path, '
            "or remove the file."
        )
    with open(path, "x", encoding="utf-8", newline="", buffering=1) as file:  # line by line
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["evaluation", "fun", *start.names])

        def write(evaluation: int, x: Vector, value: float) -> None:
            writer.writerow([evaluation, value, *x.tolist()])

        yield write


@contextmanager
def _bar(total: float) -> Iterator[Observer]:
    """Show a progress bar of evaluations, with the best value so far."""
    with open_bar(None if total == math.inf else int(total), "evaluation") as bar:
        best = math.nan

        def show(evaluation: int, x: Vector, value: float) -> None:
            nonlocal best
            if better(value, best, maximize=False):
                best = value
                bar.set_postfix(best=f"{best:.6g}", refresh=False)
            bar.update()

        yield show
