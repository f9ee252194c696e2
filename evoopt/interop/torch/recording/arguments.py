"""Readers of arguments of torch's functions, which raise UnsupportedError."""

from typing import Literal

from evoopt.interop.torch.recording.signals import UnsupportedError
from evoopt.interop.torch.recording.values import Value
from evoopt.interop.torch.types import Sizes


def require(condition: bool, reason: str) -> None:
    """Raise UnsupportedError with this reason, unless the condition is true."""
    if not condition:
        raise UnsupportedError(reason)


def as_axis(x: Value, dim: int, new: int = 0) -> int:
    """Return the axis of a sample for one of a tensor, which may get `new` axes."""
    axis = dim % (len(x.shape) + 1 + new)
    require(axis > 0, "it works along the batch")
    return axis - 1


def as_axes(x: Value, dim: Sizes | None) -> list[int]:
    """Return the axes of a sample for some of a tensor."""
    if dim is None:
        raise UnsupportedError("it works along the batch; pass dim=")
    return [as_axis(x, each) for each in ([dim] if isinstance(dim, int) else dim)]


def as_padding(value: Sizes | str, axes: int) -> Literal["valid", "same"] | tuple[int, ...]:
    """Read a padding as layers take it: a name, or a number of cells for each axis."""
    if isinstance(value, str):
        return "same" if value == "same" else "valid"
    sizes = as_sizes(value, axes)
    return sizes if any(sizes) else "valid"


def as_sizes(value: Sizes, axes: int) -> tuple[int, ...]:
    """Read a size for each axis; one is for all of them."""
    sizes = (value,) if isinstance(value, int) else tuple(value)
    return tuple(int(size) for size in (sizes * axes if len(sizes) == 1 else sizes))
