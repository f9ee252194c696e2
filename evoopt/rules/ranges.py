"""Numbers brought into their range, where NaN stays NaN; and how many ranges there are.

`spanned` and `normalized` stand here twice: for the scalars of kernels, and for arrays in NumPy.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evoopt.compiling.jit import inline
from evoopt.types import Vector

FARTHEST = 10.0  # of a normalized observation from 0


@inline
def clip(x, low, high):
    """The number from `low` to `high` next to x."""
    x = low if x < low else x
    return high if x > high else x


@inline
def wrap(angle):
    """The same angle from -pi to pi."""
    return (angle + math.pi) % (2.0 * math.pi) - math.pi


@inline
def spanned(output, middle, half):
    """The action that an output means: -1 to 1 span middle +- half; as it is for a half of 0."""
    return middle + half * clip(output, -1.0, 1.0) if half > 0 else output


def spanned_arrays(outputs: NDArray[Any], middle: Vector, half: Vector) -> Vector:
    """Return the actions that outputs (..., size) mean."""
    outputs = outputs.astype(np.float64)
    return np.where(half > 0, middle + half * np.clip(outputs, -1, 1), outputs)


@inline
def normalized(shift, scale):
    """The input for an observation at `shift` from the mean; `scale` is 1 / standard deviation."""
    return clip(shift * scale, -FARTHEST, FARTHEST)


def normalized_arrays(observations: NDArray[Any], mean: Vector, std: Vector) -> Vector:
    """Return the inputs for observations (..., size)."""
    return np.clip((observations - mean) / std, -FARTHEST, FARTHEST)


def ceil_div(a: int, b: int) -> int:
    """How many blocks of `b` items hold `a`."""
    return -(-a // b)
