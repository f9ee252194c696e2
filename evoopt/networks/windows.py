"""Windows that slide over an image or a sequence: their sizes, padding and number."""

from typing import Literal

from evoopt import arguments
from evoopt.rules.ranges import ceil_div
from evoopt.types import Shape

Sizes = int | tuple[int, ...]  # a number for all axes, or one for each
Padding = Literal["valid", "same"] | Sizes

_INPUTS = {1: "sequences of shape (length, channels)", 2: "images of shape (height, width, channels)"}


class Windows:
    """The windows of a layer on its input: the output shape, and the sizes that kernels need.

    A sequence is an image with a height of 1.
    """

    def __init__(
        self, layer: str, size: Sizes, strides: Sizes, padding: Padding, input_shape: Shape, channels: int = 0
    ) -> None:
        window = size if isinstance(size, tuple) else (size,)
        axes = len(window)
        if len(input_shape) != axes + 1:
            raise ValueError(f"{layer} takes {_INPUTS[axes]}, got {input_shape}.")
        cells, each = input_shape[:-1], (as_sizes("strides", strides, axes), _each(padding, axes))
        along = [_along_an_axis(*axis) for axis in zip(cells, window, *each, strict=True)]
        if any(outputs < 1 for outputs, _ in along):
            raise ValueError(
                f"{layer} has windows of {window}, larger than the input {input_shape} with its padding; use "
                f'padding="same" or smaller windows.'
            )
        outputs, before = zip(*along, strict=True)
        self.output_shape: Shape = (*outputs, channels or input_shape[-1])
        one = (1,) * (2 - axes)
        self.sizes = (
            *input_shape[-2:],
            *self.output_shape[-2:],
            *(*one, *window),
            *(*one, *each[0]),
            *(*(0 for _ in one), *before),
        )


def _along_an_axis(n: int, window: int, stride: int, padding: str | int) -> tuple[int, int]:
    """Return the number of windows along an axis of n cells, and the padding before the first."""
    if padding == "same":
        outputs = ceil_div(n, stride)
        return outputs, max(0, (outputs - 1) * stride + window - n) // 2
    before = padding if isinstance(padding, int) else 0
    return (n + 2 * before - window) // stride + 1, before


def _each(padding: Padding, axes: int) -> tuple[str | int, ...]:
    return padding if isinstance(padding, tuple) else (padding,) * axes


def as_sizes(name: str, value: object, axes: int, least: int = 1) -> tuple[int, ...]:
    """Read a whole number, or one for each axis."""
    values = value if isinstance(value, tuple | list) else (value,) * axes
    if len(values) != axes:
        pair = " or a pair of them" if axes == 2 else ""
        raise ValueError(f"{name} must be a whole number{pair}, got {value!r}.")
    return tuple(arguments.whole(name, n, least, arguments.MOST) for n in values)


def as_padding(value: object, window: tuple[int, ...], most: tuple[int, ...]) -> Padding:
    """Read the padding of windows, of which a number must be at most `most` along each axis."""
    if isinstance(value, str):
        named: Padding = arguments.one_of("padding that is no number", value, ("valid", "same"))
        return named
    sizes = as_sizes("padding", value, len(window), 0)
    if any(n > limit for n, limit in zip(sizes, most, strict=True)):
        raise ValueError(
            f"padding must be at most {_shown(most)} for windows of {_shown(window)}, got {value!r}; "
            "take larger windows."
        )
    return sizes


def _shown(sizes: tuple[int, ...]) -> str:
    return str(sizes[0] if len(set(sizes)) == 1 else sizes)
