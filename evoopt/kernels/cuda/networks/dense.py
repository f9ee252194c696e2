"""A dense layer as kernels are specialised for it: its sizes and places are constants of the code."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from numba import float32

from evoopt.compiling.jit import inline
from evoopt.rules.math import ELEMENTWISE, exp

NONE = -1  # in the place of a bias


class DenseLayer(NamedTuple):
    """Numbers come in and units go out; `kernel` (inputs, units) and `bias` (units,) start at these places.

    Either in the individual's row, or in the vector of frozen parameters that all share.
    """

    inputs: int
    units: int
    kernel: int
    kernel_is_frozen: bool
    bias: int  # NONE where there is none
    bias_is_frozen: bool
    activation: str | Callable[[Any], Any]  # a softmax is over all units, the others are of one number


def width_of(layer: DenseLayer, alignment: int, *steps: int) -> int:
    """Give how many neighbouring weights can be read in one access: 1, 2 or 4.

    Rows begin at multiples of `alignment` numbers, and reads at multiples of `steps` from the first unit on.
    """
    return math.gcd(4, layer.kernel, layer.units, 4 if layer.kernel_is_frozen else alignment, *steps)


@inline
def _linear(x):
    return x


def activation_of(layer: DenseLayer) -> Callable[[Any], Any]:
    """Give the function of one number that follows a layer's sums; that of a softmax is left out."""
    if not isinstance(layer.activation, str):
        return layer.activation
    return ELEMENTWISE.get(layer.activation, _linear)


@inline
def largest(values, start, stride, n):
    """The largest of n numbers, `stride` apart from `start`; NaN only if the first is."""
    most = values[start]
    for i in range(1, n):
        z = values[start + i * stride]
        most = z if z > most else most
    return most


@inline
def softmax(values, start, stride, n):
    """Turn n numbers, `stride` apart from `start`, into exp(z) / sum exp(z), in place."""
    most = largest(values, start, stride, n)
    total = float32(0)
    for i in range(n):
        z = exp(values[start + i * stride] - most)
        values[start + i * stride] = z
        total += z
    for i in range(n):
        values[start + i * stride] /= total
