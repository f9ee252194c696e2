"""Exceptions of a user's function as values, so that neither `map` nor a process changes them.

`map` takes a StopIteration for the end of the rows, `pool.map` makes a RuntimeError of it, and a
process pool breaks where an exception cannot be made again from its pickle.
"""

import pickle
import traceback
from collections.abc import Callable, Generator
from typing import Any

Way = tuple[Callable[..., "Failure"], tuple[Any, ...]]  # a function that makes one, its arguments


class Failure:
    """The outcome of a call that raised `error`; a pickle of it adds the traceback as a note."""

    def __init__(self, error: BaseException) -> None:
        self.error = error
        self._text = ""  # of the traceback, once it is a note

    def __reduce__(self) -> Way:
        error = self.error
        if not self._text:  # some executors make several pickles
            self._text = "".join(traceback.format_exception(error))
            error.add_note(f"Raised in another process:\n{self._text}")
        for parts in (_reduced, _state, _notes):
            try:
                way = parts(error)
                make, args = pickle.loads(pickle.dumps(way))
                make(*args)
            except Exception:  # whatever the methods of the user's class raise
                continue
            return way
        unlike = RuntimeError(f"The function raised an exception that cannot be pickled.\n{self._text}")
        return _made, _reduced(unlike)[1]


# The ways to make an exception again. A pickle of the exception itself would be the work of
# whoever has told `copyreg` to do it: tblib, which Dask imports, forgets the code of SystemExit.


def _reduced(error: BaseException) -> Way:
    return _made, error.__reduce__()  # type: ignore[return-value]  # (class, args[, state])


def _state(error: BaseException) -> Way:
    return _rebuilt, (type(error), error.args, vars(error))


def _notes(error: BaseException) -> Way:
    return _rebuilt, (type(error), error.args, {"__notes__": error.__notes__})


def _made(
    make: Callable[..., BaseException], args: tuple[Any, ...], state: dict[str, Any] | None = None
) -> Failure:
    error = make(*args)
    error.__setstate__(state)
    return Failure(error)


def _rebuilt(cls: type[BaseException], args: tuple[Any, ...], state: dict[str, Any]) -> Failure:
    """Make an exception whose constructor takes other arguments than its ``args``."""
    error = cls.__new__(cls, *args)
    vars(error).update(state)
    return Failure(error)


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
