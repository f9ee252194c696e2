"""Nested tuples, lists and dicts, as arguments and results of functions are."""

from collections.abc import Callable, Iterable
from typing import Any

from evoopt.interop.torch.types import Tensor


def leaves(value: Any) -> Iterable[Tensor]:
    """Yield the leaves of nested tuples, lists, dicts and slices."""
    if isinstance(value, tuple | list):
        for each in value:
            yield from leaves(each)
    elif isinstance(value, dict):
        yield from leaves([*value.values()])
    elif isinstance(value, slice):
        yield from leaves((value.start, value.stop, value.step))
    else:
        yield value


def mapped(function: Callable[[Any], Any], value: Any) -> Any:
    """Return nested tuples, lists and dicts with a function's values in place of the leaves."""
    if isinstance(value, tuple | list):
        found = [mapped(function, each) for each in value]
        return found if isinstance(value, list) else tuple(found)
    if isinstance(value, dict):
        return {key: mapped(function, each) for key, each in value.items()}
    if isinstance(value, slice):
        return slice(*mapped(function, (value.start, value.stop, value.step)))
    return function(value)
