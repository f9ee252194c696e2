"""Exceptions of a user's function as values, so that neither `map` nor a process changes them on the way.

`map` takes a StopIteration for the end of the rows, `pool.map` makes a RuntimeError of it, and a process pool
breaks where an exception cannot be pickled.
"""

import pickle
import traceback
from collections.abc import Callable
from typing import Any


class Failure:
    """A value that a function does not have, since it raised `error`."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __reduce__(self) -> tuple[type, tuple[BaseException]]:
        return Failure, (_portable(self.error),)


class RaisedError(Exception):
    """A user's function raised `error`: this class carries it through code that would take it for its own."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(error)
        self.error = error


def attempt(function: Callable[..., Any], *args: Any) -> Any:
    """Call a function; gives a `Failure` for whatever it raises, but for Ctrl-C."""
    try:
        return function(*args)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return Failure(error)


def _portable(error: BaseException) -> BaseException:
    """Return an exception as another process can have it, with a note of where it was raised."""
    where = "".join(traceback.format_exception(error))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # whatever its own methods raise
        return RuntimeError(f"The function raised an exception that cannot be pickled.\n{where}")
    error.add_note(f"It was raised in another process:\n{where}")
    return error
