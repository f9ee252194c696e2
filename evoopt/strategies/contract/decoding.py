"""Decoding of checkpoints, from JSON and arrays back to objects, without trust in the file."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evoopt.params import ParamSpec
from evoopt.spaces.space import Space
from evoopt.strategies.contract.registry import TABLES

_DTYPE = re.compile(r"[<>|=][biufV][0-9]{1,3}")  # numpy's text for a dtype


class UnknownClassError(Exception):
    """The error for the name of a class that is not registered."""


class Decoder:
    """A decoder of JSON, and of arrays by name, to plain data and objects.

    A value is plain, a list of values, or a JSON object whose keys name its kind. Anything else
    raises ValueError, TypeError, LookupError or RecursionError.
    """

    def __init__(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        self._arrays = arrays
        self._unused = set(arrays)
        self._objects: dict[int, Any] = {}
        self._readers: dict[tuple[str, ...], Callable[..., Any]] = {
            ("tuple",): lambda items: tuple(self._list(items)),
            ("dict",): self._dict,
            ("list",): self._numbers,
            ("dtype",): _dtype,
            ("scalar",): self._scalar,
            ("array",): self._array,
            ("spec", "frozen"): lambda text, frozen: ParamSpec.from_json(text, self.decode(frozen)),
            ("space",): Space.from_json,
            ("again",): lambda number: self._objects[number],
        }

    def decode(self, value: object) -> Any:
        """Return the object that a JSON value stands for."""
        if isinstance(value, list):
            return self._list(value)
        if not isinstance(value, dict):
            return value
        kind, *others = value
        if kind in TABLES and others == ["number", "state"]:
            return self._object(TABLES[kind], *value.values())
        return self._readers[tuple(value)](*value.values())

    def require_all_used(self) -> None:
        """Raise ValueError if no decoded value used some of the arrays."""
        if self._unused:
            raise ValueError(f"it has arrays that nothing in it asks for: {sorted(self._unused)}")

    def _list(self, items: object) -> list[Any]:
        if not isinstance(items, list):
            raise TypeError(f"its lists must be lists, got {items!r}")
        return [self.decode(item) for item in items]

    def _dict(self, items: object) -> dict[Any, Any]:
        pairs = self._list(items)
        result = dict(pairs)
        if len(result) < len(pairs):
            raise ValueError(f"its dicts must have each key once, got {[key for key, _ in pairs]}")
        return result

    def _array(self, name: str) -> NDArray[Any]:
        if name not in self._arrays:
            raise ValueError(f"it has no array {name!r}")
        self._unused.discard(name)
        return self._arrays[name]

    def _numbers(self, name: str) -> list[Any]:
        array = self._array(name)
        if array.ndim != 1 or array.dtype not in (np.int64, np.float64):
            raise ValueError(f"its list {name} is {array.dtype} {array.shape}")
        items: list[Any] = array.tolist()
        return items

    def _scalar(self, name: str) -> Any:
        array = self._array(name)
        if array.ndim or not array.dtype.isnative:
            raise ValueError(f"its number {name} is {array.dtype} {array.shape}")
        return array[()]

    def _object(self, table: Mapping[str, type], name: str, number: int, state: object) -> Any:
        cls = table.get(name)
        if cls is None:
            raise UnknownClassError(name)
        if number in self._objects:
            raise ValueError(f"two of its objects have the number {number}")
        new: Any = cls.__new__
        result = new(cls)
        self._objects[number] = result
        result.__dict__.update(self.decode(state))
        return result


def _dtype(text: str) -> np.dtype[Any]:
    if not _DTYPE.fullmatch(text):
        raise ValueError(f"its dtypes must be of numbers, got {text!r}")
    return np.dtype(text)
