"""Rows into a box, in place: the smooth transformation of the ES, the reflection of the GA."""

import math

from evoopt.kernels.jit import inline, kernel


@inline
def _fold(x, low, high, low_margin, high_margin):
    """Periodic shift and mirror of `x` into [low - low_margin, high + high_margin]."""
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
    """The place of `x` in the box: itself inside the margins, quadratic across them, periodic beyond."""
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
def reflected(x, low, high, first, last):
    """The place of `x` in the box, mirrored at its ends."""
    x = _fold(x, low, high, 0.0, 0.0)
    x = x if x > first else first
    return x if x < last else last


@kernel
def transform_rows(low, high, low_margin, high_margin, first, last, rows, lo, hi):
    """Map rows [lo, hi) of `rows` (popsize, n) into the box; all others are (n,) float64.

    `first` and `last` are the ends of the box in the dtype of the rows, so that rounding cannot leave it.
    """
    for r in range(lo, hi):
        for c in range(rows.shape[1]):
            ends = low[c], high[c], low_margin[c], high_margin[c], first[c], last[c]
            rows[r, c] = transformed(float(rows[r, c]), *ends)


@kernel
def reflect_rows(low, high, first, last, rows, lo, hi):
    """Mirror rows [lo, hi) of `rows` (popsize, n) at the ends of the box until they are inside."""
    for r in range(lo, hi):
        for c in range(rows.shape[1]):
            rows[r, c] = reflected(float(rows[r, c]), low[c], high[c], first[c], last[c])
