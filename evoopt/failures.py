"""Exceptions of a user's function as values, so that neither `map` nor a process changes them.

`map` takes a StopIteration for the end of the rows, `pool.map` makes a RuntimeError of it, and a
process pool breaks where an exception cannot be made again from its pickle.
"""

import pickle
import traceback
from collections.abc import Callable, Generator
from typing import Any


class Failure:
    """The outcome of a call that raised `error`; a pickle of it adds the traceback as a note."""

    def __init__(self, error: BaseException) -> None:
        self.error = error
        self._text = ""  # of the traceback, once it is a note

    def __reduce__(self) -> tuple[Callable[..., "Failure"], tuple[Any, ...]]:
        error = self.error
        if not self._text:  # some executors make several pickles
            self._text = "".join(traceback.format_exception(error))
            error.add_note(f"Raised in another process:\n{self._text}")
        text = self._text
        ways: list[tuple[Callable[..., Failure], tuple[Any, ...]]] = [(Failure, (error,))]
        for state in (vars(error), {"__notes__": error.__notes__}):  # others may not be picklable
            ways.append((_rebuilt, (type(error), error.args, state)))
        for way in ways:
            try:
                pickle.loads(pickle.dumps(way))
            except Exception:  # whatever the methods of the user's class raise
                continue
            return way
        return Failure, (RuntimeError(f"The function raised an exception that cannot be pickled.\n{text}"),)


RowValue = tuple[int, float | Failure]  # the number of a row, and its value
RowValues = Generator[list[RowValue], None, None]  # yielded as they become known


def attempt(function: Callable[..., Any], *args: object) -> Any:
    """Call a function; return its value, or a `Failure` for whatever it raises."""
    try:
        return function(*args)
    except BaseException as error:
        return Failure(error)


def known(value: Any) -> Any:
    """Return a value; raise the exception of a `Failure`."""
    if isinstance(value, Failure):
        raise value.error
    return value


def _rebuilt(cls: type[BaseException], args: tuple[Any, ...], state: dict[str, Any]) -> Failure:
    """Make an exception whose constructor takes other arguments than its ``args``."""
    error = cls.__new__(cls, *args)
    vars(error).update(state)
    return Failure(error)
