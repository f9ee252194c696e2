"""Readers of arguments of torch's functions, which raise UnsupportedError."""

from collections.abc import Callable, Iterable
from typing import Any

from evoopt.interop.torch.recording.signals import UnsupportedError
from evoopt.interop.torch.recording.values import Value

Function = Callable[..., Any]  # of torch, or one that records it


def require(condition: bool, reason: str) -> None:
    """Raise UnsupportedError with this reason, unless the condition is true."""
    if not condition:
        raise UnsupportedError(reason)


def as_axis(x: Value, dim: int, new: int = 0) -> int:
    """Return the axis of a sample for one of a tensor, which may get `new` axes."""
    axis = dim % (len(x.shape) + 1 + new)
    require(axis > 0, "it works along the batch")
    return axis - 1


def as_axes(x: Value, dims: int | Iterable[int]) -> list[int]:
    """Return the axes of a sample for some of a tensor."""
    return [as_axis(x, dim) for dim in ([dims] if isinstance(dims, int) else dims)]


def as_padding(value: Any, axes: int) -> Any:
    """Read a padding as layers take it: a name, or a number of cells for each axis."""
    if isinstance(value, str):
        return value
    return as_sizes(value, axes) if any(as_sizes(value, axes)) else "valid"


def as_sizes(value: Any, axes: int) -> tuple[int, ...]:
    """Read a size for each axis; one is for all of them."""
    sizes = tuple(value) if isinstance(value, tuple | list) else (value,)
    return tuple(int(size) for size in (sizes * axes if len(sizes) == 1 else sizes))
