"""The mapping of rows into a box, in place: a loop around each of the `WAYS`."""

import functools
from typing import Any

from evoopt.compiling.jit import inline, kernel, named
from evoopt.rules.box import WAYS, Way


@inline
def _is_inside(low, high, low_margin, high_margin, first, last, row):
    """Return whether all numbers of a row are inside the margins, where the ways change nothing."""
    inside = True
    for c in range(len(row)):
        x = float(row[c])
        inside &= (x >= max(low[c] + low_margin[c], first[c])) & (x <= min(high[c] - high_margin[c], last[c]))
    return inside


@functools.cache
def enclose_rows(way: Way) -> Any:
    """Make ``kernel(low, high, low_margin, high_margin, first, last, rows, lo, hi)``.

    It maps rows [lo, hi) of `rows` (popsize, n) into the box; the other arrays are (n,) float64.
    """
    rule = WAYS[way]

    def enclose(low, high, low_margin, high_margin, first, last, rows, lo, hi):
        for r in range(lo, hi):
            if _is_inside(low, high, low_margin, high_margin, first, last, rows[r]):
                continue
            for c in range(rows.shape[1]):
                ends = low[c], high[c], low_margin[c], high_margin[c], first[c], last[c]
                rows[r, c] = rule(float(rows[r, c]), *ends)

    return kernel(named(enclose, way))
