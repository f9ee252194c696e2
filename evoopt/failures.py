"""Exceptions of a user's function as values, so that neither `map` nor a process changes them.

`map` takes a StopIteration for the end of the rows, `pool.map` makes a RuntimeError of it, and a
process pool breaks where an exception cannot be made again from its pickle.
"""

import pickle
import sys
import traceback
from collections.abc import Callable, Generator
from inspect import ismemberdescriptor
from typing import Any

Way = tuple[Callable[..., "Failure"], tuple[Any, ...]]  # a function that makes one, its arguments


class Failure:
    """The outcome of a call that raised `error`; a pickle of it adds the traceback as a note."""

    def __init__(self, error: BaseException) -> None:
        self.error = error
        self._text = ""  # of the traceback, once it is a note

    def __reduce__(self) -> tuple[Callable[..., "Failure"], tuple[bytes | None, str]]:
        error = self.error
        if not self._text:  # some executors make several pickles
            self._text = "".join(traceback.format_exception(error))
            error.add_note(f"Raised in another process:\n{self._text}")
        pickles = []
        for parts in (_whole, _reduced, _state, _notes):
            try:
                content = _pickled(parts(error))
                is_alike = _seen(_made(content).error) == _seen(error)
            except Exception:  # whatever the methods of the user's class raise
                continue
            if is_alike:
                return _received, (content, self._text)
            pickles.append(content)
        return _received, (pickles[0] if pickles else None, self._text)


def _pickled(way: Way) -> bytes:
    try:
        return pickle.dumps(way)
    except Exception:
        cloudpickle: Any = sys.modules.get("cloudpickle")  # at workers of Dask
        if cloudpickle is None:
            raise
        content: bytes = cloudpickle.dumps(way)  # with its class, for example one of the main script
        return content


def _made(content: bytes) -> Failure:
    make, args = pickle.loads(content)
    found: Failure = make(*args)
    return found


def _received(content: bytes | None, text: str) -> Failure:
    """Make a failure from its pickle; `text` is the traceback."""
    fault = "cannot be pickled"
    if content is not None:
        try:
            return _made(content)
        except Exception as error:  # the module of its class may be missing here
            fault = f"cannot be made here: {error!r}"
    return Failure(RuntimeError(f"The function raised an exception that {fault}.\n{text}"))


# The ways to make an exception again. A plain pickle may lose attributes: tblib, which Dask imports
# and which changes how exceptions are pickled, loses the code of SystemExit; a class whose
# `__reduce__` returns no state loses the notes.


def _whole(error: BaseException) -> Way:
    return Failure, (error,)


def _reduced(error: BaseException) -> Way:
    reduced: Any = error.__reduce_ex__(pickle.DEFAULT_PROTOCOL)
    made, args, *state = reduced
    return _rebuilt, (made, args, {**(state[0] if state else {}), "__notes__": error.__notes__})


def _state(error: BaseException) -> Way:
    return _of_class(error, vars(error))


def _notes(error: BaseException) -> Way:
    return _of_class(error, {"__notes__": error.__notes__})


def _of_class(error: BaseException, state: dict[str, Any]) -> Way:
    return _rebuilt, (_bare, (type(error), *error.args), state)


def _rebuilt(make: Callable[..., BaseException], args: tuple[Any, ...], state: dict[str, Any]) -> Failure:
    error = make(*args)
    vars(error).update(state)
    return Failure(error)


def _bare(cls: type[BaseException], *args: object) -> BaseException:
    """Make an exception whose constructor takes other arguments than its ``args``."""
    return cls.__new__(cls, *args)


def _seen(error: BaseException) -> tuple[Any, ...]:
    """Return what a user sees of an exception, also of attributes that are not in its `vars`."""
    descriptors = [vars(cls) for cls in type(error).__mro__ if cls is not BaseException]
    names = [name for found in descriptors for name, value in found.items() if ismemberdescriptor(value)]
    members = [repr(getattr(error, name, None)) for name in names]
    return type(error), str(error), repr(error.args), members, repr(vars(error))


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
