"""The mapping of rows into a box, in place: a loop around each of the `WAYS`."""

import functools
from typing import Any

from evoopt.compiling.jit import kernel, named
from evoopt.rules.box import WAYS, Way


@functools.cache
def enclose_rows(way: Way) -> Any:
    """Make ``kernel(low, high, low_margin, high_margin, first, last, rows, lo, hi)``.

    It maps rows [lo, hi) of `rows` (popsize, n) into the box; the other arrays are (n,) float64.
    """
    rule = WAYS[way]

    def enclose(low, high, low_margin, high_margin, first, last, rows, lo, hi):
        for r in range(lo, hi):
            for c in range(rows.shape[1]):
                ends = low[c], high[c], low_margin[c], high_margin[c], first[c], last[c]
                rows[r, c] = rule(float(rows[r, c]), *ends)

    return kernel(named(enclose, way))
