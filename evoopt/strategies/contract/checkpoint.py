"""Loading strategies, and what tasks have learned, from the files that `saving` writes."""

import json
import os
from typing import Any

from numpy.typing import NDArray

from evoopt.calls import called
from evoopt.npz import damaged, read_npz
from evoopt.strategies.contract.base import Strategy
from evoopt.strategies.contract.decoding import Decoder, UnknownClassError
from evoopt.strategies.contract.fields import Scope, check
from evoopt.strategies.contract.registry import REGISTRY
from evoopt.strategies.contract.saving import FORMAT, SKELETON, state_of

READABLE = (4, FORMAT)  # format 4 has no lists of numbers as arrays
_KIND = "A checkpoint of a strategy"
# what may be raised while a damaged file is read: there is no JSON, an array is missing, a list is a dict
DAMAGE = (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError)


@called
def load(path: str | os.PathLike[str], task: object = None) -> Strategy:
    """Load a strategy that `Strategy.save` saved; it continues bit for bit where that one was.

    Its `history` has at most the first 10 and the last 100,000 generations.

    Parameters
    ----------
    path : str or path
        Only arrays and JSON are read: nothing in the file is executed.
    task : callable, optional
        Made as the one that was saved with the strategy: it gets what that had learned. Without it only the
        strategy is loaded.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is damaged: not the bytes that were written, or arrays and numbers that do not fit each other.
        If its format is one that is no longer read, or its class is not registered; if the state of the
        task is not in it, or is that of another kind of task.

    Notes
    -----
    Loading takes at most a few times the memory of the file. A population has to fit into memory here, too.
    Further attributes of a strategy of your own are taken as they are.

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
    strategy, state = _read(path)
    if task is not None:
        _give_state(task, state, path)
    return strategy


def _give_state(task: Any, state: dict[str, Any], path: str | os.PathLike[str]) -> None:
    if state_of(task) and not state:
        raise ValueError(
            f'"{path}" must hold the state of a task, but it was saved without one; save it '
            "with save(path, task=task), or load it without a task, which then learns anew."
        )
    if state and not hasattr(task, "load_state"):
        raise ValueError(
            f'task must have load_state(), for the state of a task in "{path}", got {task!r}; load it '
            "without a task, or with one like the task that it was saved with."
        )
    if state:
        try:
            task.load_state(state)
        except ValueError:
            raise
        except DAMAGE as error:
            raise damaged("The state of a task", path, repr(error)) from error


def _read(path: str | os.PathLike[str]) -> tuple[Strategy, dict[str, Any]]:
    """Return the strategy in a file, and what a task had learned."""
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


def _of_another_format(path: str | os.PathLike[str], found: int) -> ValueError:
    if found > FORMAT:
        advice = "load it with a newer version of evoopt"
    else:
        advice = "load it with the version of evoopt that wrote it, and begin a new search from its mean"
    return ValueError(
        f'A checkpoint of format {FORMAT} was expected, but "{path}" has format {found}; {advice}.'
    )


def decode(header: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> tuple[Strategy, dict[str, Any]]:
    """Return the strategy and the state of a task in a file; raise one of `DAMAGE` if a part does not fit."""
    decoder = Decoder(arrays)
    strategy, state = decoder.decode(header["strategy"]), decoder.decode(header["task"])
    decoder.require_all_used()
    name = type(strategy).__name__
    if type(strategy) is not REGISTRY.get(name):
        raise TypeError(f"a {name} is no strategy")
    if type(state) is not dict:
        raise TypeError(f"the state of a task is {state!r}")
    check(strategy, name, Scope(strategy))
    return strategy, state
