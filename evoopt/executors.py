"""Rows evaluated by an executor; exceptions of the function are raised unchanged."""

import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any

from evoopt.failures import Failure, attempt
from evoopt.types import Array


def _evaluate(function: Callable[[Any], Any], rows: Array) -> list[Any]:
    """Return the value of each row; the list ends with the first `Failure`."""
    values: list[Any] = []
    for row in rows:
        values.append(attempt(function, row))
        if isinstance(values[-1], Failure):
            break
    return values


def map_rows(executor: Executor, function: Callable[[Any], Any], rows: Array, size: int) -> list[Any]:
    """Call a function with each of `rows`, `size` of them in one job; return the values in order.

    Raises
    ------
    BaseException
        Any exception of the function, StopIteration too, with the traceback of a worker process as
        a note. The jobs that have not begun are cancelled.
    """
    jobs = [executor.submit(_evaluate, function, rows[i : i + size]) for i in range(0, len(rows), size)]
    values: list[Any] = []
    try:
        with explaining_broken_pools():
            for job in jobs:
                values += job.result()
                if isinstance(values[-1], Failure):
                    raise values[-1].error
    finally:
        for job in jobs:
            job.cancel()
    return values


@contextmanager
def explaining_broken_pools() -> Iterator[None]:
    """Add a note with advice to the error of a pool that lost a process in the block."""
    try:
        yield
    except BrokenExecutor as error:
        error.add_note(
            'A script that starts processes must do so under if __name__ == "__main__", and what a process '
            "wrote to stderr before it ended tells more."
        )
        raise


def require_picklable(name: str, function: Callable[..., Any], executor: Executor) -> None:
    """Raise ValueError if an executor of processes cannot be given the function."""
    if not isinstance(executor, ProcessPoolExecutor):
        return
    try:
        pickle.dumps(function)
    except Exception as error:
        raise ValueError(
            f"{name} must be picklable for an executor of processes, got {function!r}: {error}; define it by "
            "def at the top of a module, not as a lambda or inside another function, or take threads."
        ) from error
