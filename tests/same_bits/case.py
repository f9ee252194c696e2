"""A case, and the digest of a result."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, NamedTuple

import numpy as np

Results = Iterator[tuple[str, Any]]  # labels and results, in the order in which they are computed


class Case(NamedTuple):
    """A use of the library that has the same results in each run."""

    name: str
    run: Callable[[], Results]


def digest(value: Any) -> str:
    """Return a digest of numbers, text, arrays and containers, equal only for equal bits."""
    hashed = hashlib.blake2b(digest_size=8)
    _add(hashed, value)
    return hashed.hexdigest()


def _add(hashed: Any, value: Any) -> None:
    if isinstance(value, np.ndarray | np.generic):
        hashed.update(f"{value.dtype.str} {value.shape} ".encode() + value.tobytes())
    elif isinstance(value, Mapping):
        _add(hashed, list(value.items()))
    elif isinstance(value, list | tuple):
        hashed.update(f"{len(value)} of ".encode())
        for each in value:
            _add(hashed, each)
    elif is_dataclass(value):
        _add(hashed, [getattr(value, each.name) for each in fields(value)])
    elif value is None or isinstance(value, bool | int | float | str):
        hashed.update(f"{value!r} ".encode())  # the shortest text of this float, which no other float has
    else:
        raise TypeError(f"there is no digest of a {type(value).__name__}")
