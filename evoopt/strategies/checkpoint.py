"""A strategy as one ``.npz`` file: its arrays, and a JSON skeleton that says where each belongs.

What a task learns goes with it: any object that has ``state()``, plain data, and ``load_state(state)``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from evoopt.files import read_npz, write_npz
from evoopt.params import ParamSpec
from evoopt.strategies.registry import PLAIN_DATA, REGISTRY

if TYPE_CHECKING:
    from evoopt.strategies.base import Strategy

FORMAT = 5
READABLE = (4, FORMAT)  # format 4 has no lists of numbers as arrays
_SKELETON = "strategy.json"
_TABLES: dict[str, Mapping[str, type]] = {"strategy": REGISTRY, "object": PLAIN_DATA}  # by the kind of entry
# what reading a file that was changed may raise: no JSON, an array that is missing, a list for a dict
_DAMAGE = (ValueError, LookupError, TypeError, AttributeError, StopIteration, RecursionError)


class _UnknownClassError(Exception):
    """The name of a class that is not registered."""


def state_of(task: Any) -> dict[str, Any]:
    """Give what a task has learned, empty where it learns nothing."""
    state: dict[str, Any] = task.state() if hasattr(task, "load_state") else {}
    return state


def save(path: str | os.PathLike[str], strategy: Strategy, task: Any = None) -> None:
    """Write a strategy, and what a task has learned, to exactly `path`, all or nothing."""
    arrays: dict[str, NDArray[Any]] = {}
    encode = _Encoder(arrays).encode
    content = {"format": FORMAT, "strategy": encode(strategy), "task": encode(state_of(task))}
    arrays[_SKELETON] = np.frombuffer(json.dumps(content).encode(), np.uint8)
    write_npz(path, arrays)


def load(path: str | os.PathLike[str], task: Any = None) -> Strategy:
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
        If it is not a checkpoint of this format, or of a class that is not registered; if the state of the
        task is not in it, or is that of another kind of task.

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
            f'A checkpoint with the state of a task was expected, but "{path}" was saved without; save it '
            "with save(path, task=task), or load it without a task, which then learns anew."
        )
    if state and not hasattr(task, "load_state"):
        raise ValueError(
            f'A task with load_state() was expected, for the state of one in "{path}", but {task!r} came; '
            "load it without a task, or with one like that it was saved with."
        )
    if state:
        task.load_state(state)


def _read(path: str | os.PathLike[str]) -> tuple[Strategy, dict[str, Any]]:
    """Read a strategy and what a task had learned."""
    arrays = read_npz(path)
    if _SKELETON not in arrays:
        raise ValueError(
            f'A checkpoint of a strategy was expected, but "{path}" has no entry "{_SKELETON}"; parameters '
            "of a network are read by load_params."
        )
    try:
        header = json.loads(arrays[_SKELETON].tobytes())
        if header["format"] in READABLE:
            decode = _Decoder(arrays).decode
            strategy: Strategy = decode(header["strategy"])
            if type(strategy) is not REGISTRY.get(type(strategy).__name__):
                raise TypeError(f"a {type(strategy).__name__} is no strategy")
            return strategy, dict(decode(header["task"]))
    except _UnknownClassError as error:
        raise ValueError(
            f'A registered strategy was expected in "{path}", but it holds a {error}; import the module '
            f"that defines {error} and decorates it with register, then load again."
        ) from error
    except _DAMAGE as error:
        raise ValueError(
            f'A checkpoint of a strategy was expected, but "{path}" is damaged: {error!r}; take another copy.'
        ) from error
    raise ValueError(
        f'A checkpoint of format {FORMAT} was expected, but "{path}" has format {header["format"]}; '
        "load it with the version of evoopt that wrote it."
    )


class _Encoder:
    """Plain data -> JSON; arrays go aside, each once, and objects too, however often the state has them."""

    def __init__(self, arrays: dict[str, NDArray[Any]]) -> None:
        self._arrays = arrays
        self._names: dict[int, str] = {}
        self._objects: dict[int, int] = {}

    def encode(self, value: Any) -> Any:
        if value is None or type(value) in (bool, int, float, str):
            return value
        if type(value) is list:
            if set(map(type, value)) in ({int}, {float}) and (numbers := np.array(value)).dtype.kind in "if":
                return {"list": self._store(numbers)}
            return [self.encode(item) for item in value]
        if type(value) is tuple:
            return {"tuple": [self.encode(item) for item in value]}
        if type(value) is dict:
            return {"dict": [[self.encode(key), self.encode(item)] for key, item in value.items()]}
        if isinstance(value, np.dtype):
            return {"dtype": value.str}
        if isinstance(value, np.generic):
            return {"scalar": self._store(value)}
        if hasattr(value, "__cuda_array_interface__"):
            # it goes back to the device when it is next computed with
            return self.encode(np.asarray(value))
        if type(value) is np.ndarray and value.dtype.kind in "biufV" and not value.dtype.hasobject:
            return {"array": self._store(value)}
        if isinstance(value, ParamSpec):
            return {"spec": value.to_json(), "frozen": self.encode(value.frozen)}
        name = type(value).__name__
        for kind, table in _TABLES.items():
            if type(value) is table.get(name):
                return self._object(kind, name, value)
        raise ValueError(
            f"A checkpoint holds numbers, text, arrays and containers of these, but a {name} came; keep it "
            "out of the attributes of the strategy, or register its class."
        )

    def _object(self, kind: str, name: str, value: Any) -> Any:
        if id(value) in self._objects:
            return {"again": self._objects[id(value)]}
        self._objects[id(value)] = number = len(self._objects)
        state = value._saved_state() if kind == "strategy" else value.__getstate__()
        return {kind: name, "number": number, "state": self.encode(state)}

    def _store(self, value: Any) -> str:
        name = self._names.setdefault(id(value), f"array_{len(self._names)}")
        self._arrays[name] = value
        return name


class _Decoder:
    """What `_Encoder` wrote -> plain data."""

    def __init__(self, arrays: dict[str, NDArray[Any]]) -> None:
        self._arrays = arrays
        self._objects: dict[int, Any] = {}

    def decode(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self.decode(item) for item in value]
        if not isinstance(value, dict):
            return value
        kind, content = next(iter(value.items()))
        if kind == "tuple":
            return tuple(self.decode(item) for item in content)
        if kind == "dict":
            return {self.decode(key): self.decode(item) for key, item in content}
        if kind == "dtype":
            return np.dtype(content)
        if kind == "list":
            return self._arrays[content].tolist()
        if kind in ("scalar", "array"):
            array = self._arrays[content]
            return array[()] if kind == "scalar" else array
        if kind == "spec":
            return ParamSpec.from_json(content, self.decode(value["frozen"]))
        if kind == "again":
            return self._objects[content]
        return self._object(_TABLES[kind], content, value["number"], value["state"])

    def _object(self, table: Mapping[str, type], name: str, number: int, state: Any) -> Any:
        cls = table.get(name)
        if cls is None:
            raise _UnknownClassError(name)
        result: Any = object.__new__(cls)
        self._objects[number] = result
        result.__dict__.update(self.decode(state))
        return result
