"""Numbers brought into their range, where NaN stays NaN; and how many ranges there are.

`spanned` and `normalized` stand here twice: for the scalars of kernels, and for arrays in NumPy.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evoopt.compiling.jit import inline
from evoopt.types import Vector

FARTHEST = 10.0  # the largest distance of a normalized observation from 0


@inline
def clip(x, low, high):
    """Return the number from `low` to `high` nearest to x."""
    x = low if x < low else x
    return high if x > high else x


@inline
def wrap(angle):
    """Return the same angle from -pi to pi."""
    return (angle + math.pi) % (2.0 * math.pi) - math.pi


@inline
def spanned(output, middle, half):
    """Return the action of an output: -1 to 1 span middle +- half; for a half of 0 the output."""
    return middle + half * clip(output, -1.0, 1.0) if half > 0 else output


def spanned_arrays(outputs: NDArray[Any], middle: Vector, half: Vector) -> Vector:
    """Return the actions that outputs (..., size) mean."""
    outputs = outputs.astype(np.float64)
    return np.where(half > 0, middle + half * np.clip(outputs, -1, 1), outputs)


@inline
def normalized(shift, scale):
    """Return the input for an observation at `shift` from the mean; `scale` is 1 / std."""
    return clip(shift * scale, -FARTHEST, FARTHEST)


def normalized_arrays(observations: NDArray[Any], mean: Vector, std: Vector) -> Vector:
    """Return the inputs for observations (..., size)."""
    return np.clip((observations - mean) / std, -FARTHEST, FARTHEST)


def ceil_div(a: int, b: int) -> int:
    """Return how many parts of `b` items hold `a` items."""
    return -(-a // b)
