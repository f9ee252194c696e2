"""Encoding of checkpoints, from objects to JSON and arrays; `decoding` is the way back."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from evoopt.params import ParamSpec
from evoopt.spaces.space import Space
from evoopt.strategies.contract.registry import TABLES


class Encoder:
    """An encoder of plain data and registered objects to JSON, and to arrays by name.

    An array or an object that occurs several times is stored once.

    Parameters
    ----------
    arrays : dict
        A dict that receives the arrays by name; the JSON has their names.
    """

    def __init__(self, arrays: dict[str, NDArray[Any]]) -> None:
        self._arrays = arrays
        self._names: dict[int, str] = {}
        self._objects: dict[int, int] = {}

    def encode(self, value: object) -> Any:
        """Return the JSON for a value; raise ValueError if checkpoints cannot hold it."""
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
            # the strategy copies it back to the device when it is next used
            return self.encode(np.asarray(value))
        if type(value) is np.ndarray and value.dtype.kind in "biufV" and not value.dtype.hasobject:
            return {"array": self._store(value)}
        if isinstance(value, Space):
            return {"space": value.to_json()}
        if isinstance(value, ParamSpec):
            return {"spec": value.to_json(), "frozen": self.encode(value.frozen)}
        name = type(value).__name__
        for kind, table in TABLES.items():
            if type(value) is table.get(name):
                return self._object(kind, name, value)
        raise ValueError(
            f"A checkpoint holds numbers, text, arrays and containers of these, got a {name}; keep it "
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
