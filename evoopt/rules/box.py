"""Ways of a coordinate into a box: the smooth map of the ES, the reflection of the GA.

A way is a rule and a row of `WAYS`, from which each device makes its loop over rows. `Box.way` in
`strategies/contract/bounds.py` names it, and `Box.inverse` beside it leads back.
"""

import math
from collections.abc import Callable
from typing import Literal

from evoopt.compiling.jit import inline


@inline
def _fold(x, low, high, low_margin, high_margin):
    """Shift and mirror `x` into [low - low_margin, high + high_margin], periodically."""
    below, above = low - low_margin, high + high_margin
    if below <= x <= above:
        return x
    width = above - below
    if width == 0:
        return low
    if math.isfinite(width):
        x = (x - below) % (2 * width)
        return below + (x if x <= width else 2 * width - x)
    return 2 * below - x if x < below else 2 * above - x


@inline
def transformed(x, low, high, low_margin, high_margin, first, last):
    """Map `x` into the box: unchanged inside the margins, quadratic across, periodic beyond."""
    x = _fold(x, low, high, low_margin, high_margin)
    if x < low + low_margin:
        distance = x - (low - low_margin)
        x = low + distance * distance / (4 * low_margin)
    elif x > high - high_margin:
        distance = x - (high + high_margin)
        x = high - distance * distance / (4 * high_margin)
    x = x if x > first else first
    return x if x < last else last


@inline
def reflected(x, low, high, low_margin, high_margin, first, last):
    """Map `x` into the box by mirrors at its ends; the arguments are the same as above."""
    x = _fold(x, low, high, 0.0, 0.0)
    x = x if x > first else first
    return x if x < last else last


Way = Literal["transformed", "reflected"]
# (x, low, high, low_margin, high_margin, first, last) -> x in the box; `first` and `last` are its
# ends in the dtype of the rows, so that rounding cannot leave it
WAYS: dict[Way, Callable[[float, float, float, float, float, float, float], float]] = {
    "transformed": transformed,
    "reflected": reflected,
}
