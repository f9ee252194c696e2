"""Nested tuples, lists and dicts, as arguments and results of functions are."""

from collections.abc import Callable, Iterable
from typing import Any

from evoopt.interop.torch.types import Tensor


def leaves(value: Any) -> Iterable[Tensor]:
    """Yield what is in nested tuples, lists and dicts."""
    if isinstance(value, tuple | list):
        for each in value:
            yield from leaves(each)
    elif isinstance(value, dict):
        yield from leaves([*value.values()])
    else:
        yield value


def mapped(function: Callable[[Any], Any], value: Any) -> Any:
    """Return nested tuples, lists and dicts with a function's values in place of the leaves."""
    if isinstance(value, tuple | list):
        found = [mapped(function, each) for each in value]
        return found if isinstance(value, list) else tuple(found)
    if isinstance(value, dict):
        return {key: mapped(function, each) for key, each in value.items()}
    return function(value)
