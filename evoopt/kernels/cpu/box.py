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


@kernel
def transform_rows(low, high, low_margin, high_margin, first, last, rows, lo, hi):
    """Map rows [lo, hi) of `rows` (popsize, n) into the box; all others are (n,) float64.

    Identity inside the margins, quadratic across them, periodic beyond. `first` and `last` are the ends of
    the box in the dtype of the rows, so that rounding cannot leave it.
    """
    for r in range(lo, hi):
        for c in range(rows.shape[1]):
            x = _fold(float(rows[r, c]), low[c], high[c], low_margin[c], high_margin[c])
            if x < low[c] + low_margin[c]:
                distance = x - (low[c] - low_margin[c])
                x = low[c] + distance * distance / (4 * low_margin[c])
            elif x > high[c] - high_margin[c]:
                distance = x - (high[c] + high_margin[c])
                x = high[c] - distance * distance / (4 * high_margin[c])
            x = x if x > first[c] else first[c]
            rows[r, c] = x if x < last[c] else last[c]


@kernel
def reflect_rows(low, high, first, last, rows, lo, hi):
    """Mirror rows [lo, hi) of `rows` (popsize, n) at the ends of the box until they are inside."""
    for r in range(lo, hi):
        for c in range(rows.shape[1]):
            x = _fold(float(rows[r, c]), low[c], high[c], 0.0, 0.0)
            x = x if x > first[c] else first[c]
            rows[r, c] = x if x < last[c] else last[c]
