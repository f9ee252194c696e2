"""The state of variables and files before and after a call."""

import copy
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np

import evoopt

from .names import NAMES

LARGEST = 1_000_000  # bytes of arrays that are compared
SHARED = {id(value) for value in NAMES.values()}


def state_of(variables: dict[str, Any]) -> dict[str, Any]:
    return {
        name: fingerprint(value)
        for name, value in variables.items()
        if name not in NAMES and name not in ("__builtins__", "FOLDER") and id(value) not in SHARED
    }


def fingerprint(value: Any) -> Any:
    """Return bytes that show a change of a value, None for values that have none."""
    if isinstance(value, np.ndarray) and value.dtype != object:
        return None if value.nbytes > LARGEST else (value.shape, str(value.dtype), value.tobytes())
    if hasattr(value, "py_func") or hasattr(value, "__next__") or isinstance(value, type):
        return None
    try:
        return pickle.dumps(value)
    except Exception:
        return None


def same(old: Any, value: Any) -> bool:
    """Whether a value has an old `fingerprint`."""
    new = fingerprint(value)
    if old is None or new is None or old == new:
        return True
    if not isinstance(value, evoopt.Strategy):
        # Masked arrays change when they are read or pickled: the fill value, a scalar mask.
        both = isinstance(old, bytes) and isinstance(new, bytes)
        return both and _shown(pickle.loads(old)) in (_shown(value), _shown(pickle.loads(new)))
    return _settled(pickle.loads(old)) == _settled(value)


def _shown(value: Any) -> str:
    return re.sub(r" at 0x\w+", "", repr(value))


def _settled(strategy: evoopt.Strategy) -> dict[str, bytes]:
    """Return a strategy's state as a checkpoint stores it."""
    path = Path("state.npz")
    copy.deepcopy(strategy).save(path)
    with np.load(path) as archive:
        found = {name: archive[name].tobytes() for name in archive.files}
    path.unlink()
    return found


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}
