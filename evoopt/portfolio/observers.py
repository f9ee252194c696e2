"""Observers of the evaluations of `minimize`: the log and the progress bar."""

import csv
import math
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from io import FileIO
from types import SimpleNamespace

from evoopt.arrays import shown
from evoopt.portfolio.budget import Observer
from evoopt.portfolio.journal import Journal
from evoopt.portfolio.start import Start
from evoopt.progress import open_bar
from evoopt.strategies.contract.told import better
from evoopt.types import Vector


def check_log(log: str | os.PathLike[str] | None, journal: Journal | None) -> None:
    """Raise ValueError if a log exists, unless a journal goes on."""
    if log is not None and os.path.exists(log) and not (journal and journal.replays):
        raise ValueError(
            f'log must be the path of a new file, got "{os.fspath(log)}", which exists; take another path, '
            "or remove the file."
        )


@contextmanager
def observing(
    log: str | os.PathLike[str] | None,
    progress: bool,
    start: Start,
    total: float,
    journal: Journal | None = None,
) -> Iterator[list[Observer]]:
    """Provide the observers that the options ask for, of at most `total` evaluations.

    Values that a journal has from earlier calls are observed again, and a log goes on.
    """
    with ExitStack() as stack:
        observers: list[Observer] = []
        if log is not None:
            observers.append(stack.enter_context(_log(log, start, journal)))
        if progress:
            observers.append(stack.enter_context(_bar(total)))
        yield observers


@contextmanager
def _log(path: str | os.PathLike[str], start: Start, journal: Journal | None) -> Iterator[Observer]:
    """Write each evaluation into a CSV file, a line as soon as it is known."""
    replays = journal is not None and journal.replays
    with open(path, "a+b" if replays else "x+b", buffering=0) as file:
        file.seek(0)

        def put(line: str) -> None:
            if not (journal and journal.replays and _has(file, line.encode())):
                file.truncate()
                file.write(line.encode())

        writer = csv.writer(SimpleNamespace(write=put), lineterminator="\n")
        writer.writerow(["evaluation", "fun", *start.names])

        def write(evaluation: int, x: Vector, value: float) -> None:
            writer.writerow([evaluation, value, *x.tolist()])

        yield write


def _has(file: FileIO, line: bytes) -> bool:
    """Whether a file goes on with a line, which is skipped then.

    The last line may be another one: it may be incomplete, or the last evaluation of a noisy
    search, whose point depends on the limits.
    """
    place = file.tell()
    found = file.read(len(line))
    if found == line:
        return True
    file.seek(place)
    if file.read().count(b"\n") > 1 or not (place or line.startswith(found)):
        raise ValueError(
            f'log must be the file of the same search, or a new one, but "{file.name}" has {shown(found)} in '
            f"place of {shown(line)}; take another path."
        )
    file.seek(place)
    return False


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
