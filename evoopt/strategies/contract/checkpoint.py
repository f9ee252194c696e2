"""Loading of strategies, and of the state of tasks, from the files that `saving` writes."""

import json
import os
from typing import Any, NamedTuple

from numpy.typing import NDArray

from evoopt import arguments
from evoopt.calls import called
from evoopt.npz import damaged, read_npz
from evoopt.strategies.contract.base import Strategy
from evoopt.strategies.contract.decoding import Decoder, UnknownClassError
from evoopt.strategies.contract.fields import Scope, check
from evoopt.strategies.contract.registry import PLAIN_DATA, REGISTRY
from evoopt.strategies.contract.saving import FORMAT, SKELETON, learns

READABLE = (4, FORMAT)  # format 4 has no lists of numbers as arrays
MINIMIZE = b"evoopt minimize, format "  # the first bytes of a checkpoint of `minimize`
_KIND = "A checkpoint of a strategy"
# Errors of damaged files: there is no JSON, an array is missing, a list is a dict.
DAMAGE = (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError)


class Checkpoint(NamedTuple):
    """The content of a file: a strategy; the state of a task and the record of a run, or None."""

    strategy: Strategy
    state: dict[str, Any] | None
    record: Any


@called
def load(path: str | os.PathLike[str], task: object = None) -> Strategy:
    """Load a strategy that `Strategy.save` saved; it continues bit for bit.

    Its `history` has at most the first 10 and the last 100,000 generations.

    Parameters
    ----------
    path : str or path
        The file. Only arrays and JSON are read: nothing in it is executed.
    task : callable, optional
        A task made like the one that was saved with the strategy; it gets the saved state. Without
        it only the strategy is loaded.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    ValueError
        If the file is damaged: its bytes have changed, or its arrays and numbers do not fit each
        other. If its format is not supported, or its class is not registered. If it has no state
        for `task`, or the state of another kind of task.

    Notes
    -----
    Loading takes at most a few times the file's size in memory. A population has to fit into the
    memory of this machine, too. Further attributes of your own strategy are not checked.

    Examples
    --------
    >>> import tempfile
    >>> import evoopt
    >>> es = evoopt.SNES([1.0, 2.0], sigma=0.5, seed=1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     es.save(f"{folder}/run.npz")
    ...     again = evoopt.load(f"{folder}/run.npz")
    >>> bool((again.ask() == es.ask()).all())
    True
    """
    found = read(path)
    if task is not None:
        give_state(task, found.state, path)
    return found.strategy


def give_state(task: Any, state: dict[str, Any] | None, path: str | os.PathLike[str]) -> None:
    """Let a task load its state from a file; raise ValueError if it is another task's."""
    if learns(task) and state is None:
        raise ValueError(
            f'"{path}" must hold the state of a task, but it was saved without one; save it '
            "with save(path, task=task), or load it without a task, which then learns anew."
        )
    if state and not hasattr(task, "load_state"):
        raise ValueError(
            f'task must have load_state(), for the state of a task in "{path}", got {task!r}; load it '
            "without a task, or with one like the task that it was saved with."
        )
    if state is not None and hasattr(task, "load_state"):
        try:
            task.load_state(state)
        except ValueError as error:
            raise ValueError(f'The state of a task in "{path}" does not fit: {error}') from error
        except DAMAGE as error:
            raise damaged("The state of a task", path, repr(error)) from error


def read(path: str | os.PathLike[str]) -> Checkpoint:
    """Return the content of a file; see `load` for the errors."""
    _require_no_evaluations(path)
    arrays = read_npz(path, _KIND)
    if SKELETON not in arrays:
        raise ValueError(
            f'{_KIND} was expected, but "{path}" has no entry "{SKELETON}"; parameters of a network are '
            "read by load_params."
        )
    try:
        header = json.loads(arrays.pop(SKELETON).tobytes())
        found = header["format"]
        if type(found) is not int or found < 1:
            raise TypeError(f"its format is {found!r}")
        if found in READABLE:
            return decode(header, arrays)
    except UnknownClassError as error:
        raise ValueError(
            f'A registered strategy was expected in "{path}", but it holds a {error}; import the module '
            f"that defines {error} and decorates it with register, then load again."
        ) from error
    except DAMAGE as error:
        raise damaged(_KIND, path, error if isinstance(error, ValueError) else repr(error)) from error
    raise _of_another_format(path, found)


def _require_no_evaluations(path: str | os.PathLike[str]) -> None:
    with open(arguments.path("path", path), "rb") as file:
        if file.read(len(MINIMIZE)) == MINIMIZE:
            raise ValueError(
                f'{_KIND} was expected, but "{path}" has evaluations of minimize; pass it as a checkpoint to '
                "minimize, or take another path."
            )


def _of_another_format(path: str | os.PathLike[str], found: int) -> ValueError:
    if found > FORMAT:
        advice = "load it with a newer version of evoopt"
    else:
        advice = "load it with the version of evoopt that wrote it, and begin a new search from its mean"
    return ValueError(
        f'A checkpoint of format {FORMAT} was expected, but "{path}" has format {found}; {advice}.'
    )


def decode(header: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Checkpoint:
    """Return the content of a file; raise one of `DAMAGE` for a misfit."""
    decoder = Decoder(arrays)
    strategy, state = decoder.decode(header["strategy"]), decoder.decode(header["task"])
    record = decoder.decode(header.get("run"))
    decoder.require_all_used()
    name = type(strategy).__name__
    if type(strategy) is not REGISTRY.get(name):
        raise TypeError(f"a {name} is no strategy")
    if state is not None and type(state) is not dict:
        raise TypeError(f"the state of a task is {state!r}")
    check(strategy, name, Scope(strategy))
    if record is not None:
        if type(record) not in PLAIN_DATA.values():
            raise TypeError(f"the record of a run is {record!r}")
        check(record, "run", Scope(strategy))
    return Checkpoint(strategy, state, record)
