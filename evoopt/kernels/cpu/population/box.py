"""Rows into a box, in place: the smooth transformation of the ES, the reflection of the GA."""

from evoopt.compiling.jit import kernel
from evoopt.rules.box import reflected, transformed


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
