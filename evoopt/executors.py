"""Rows over an executor, with what the function raises coming out as it is."""

import pickle
import traceback
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any


@dataclass
class _Raised:
    """An exception on its way from a worker; its constructor may want other arguments than ``args``."""

    error: BaseException

    def __reduce__(self) -> tuple[Any, ...]:
        error = self.error
        text = "".join(traceback.format_exception(error))
        return _raised_again, (type(error), error.args, vars(error), text)


def _raised_again(
    cls: type[BaseException], args: tuple[Any, ...], state: dict[str, Any], text: str
) -> _Raised:
    try:
        error = cls(*args)
    except TypeError:
        error = cls.__new__(cls, *args)
    vars(error).update(state)
    error.add_note(f"In a worker process:\n{text}")
    return _Raised(error)


def _evaluate(function: Callable[[Any], Any], rows: Any) -> list[Any] | _Raised:
    try:
        return [function(row) for row in rows]
    except BaseException as error:  # Ctrl-C too is the caller's
        return _Raised(error)


def map_rows(executor: Executor, function: Callable[[Any], Any], rows: Any, size: int) -> list[Any]:
    """Call a function with each of `rows`, `size` of them in one job; return the values in order.

    Raises
    ------
    BaseException
        What the function raises, StopIteration too, with the traceback of a worker process as a note. The
        jobs that have not begun are cancelled.
    """
    jobs = [executor.submit(_evaluate, function, rows[i : i + size]) for i in range(0, len(rows), size)]
    values: list[Any] = []
    try:
        for job in jobs:
            answer = job.result()
            if isinstance(answer, _Raised):
                raise answer.error
            values += answer
    except BrokenExecutor as error:
        error.add_note(
            'A script that starts processes must do so under if __name__ == "__main__", and what a process '
            "wrote to stderr before it ended tells more."
        )
        raise
    finally:
        for job in jobs:
            job.cancel()
    return values


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
