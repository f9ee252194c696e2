"""Ranks by counting: a row's thread compares it with all others; equal rows keep their order."""

import functools
from typing import Any

import numpy as np
from numba import cuda

from evoopt.kernels.cuda.runtime.jit import kernel, name_of
from evoopt.kernels.cuda.runtime.sizes import block_size

THREADS = block_size(128)


@functools.cache
def rank_rows(centred: bool) -> Any:
    """Make ``kernel(fitness, table, out)``, all arrays (popsize,) float64, whose items are rows.

    Smaller is better, and NaN worst of all. A row of rank i (from 0) gets table[i]. If `centred`,
    the best row gets 1/2 and the worst -1/2, rows of equal fitness their average, and `table` is
    not read.
    """

    @kernel(THREADS, THREADS, name=name_of(centred))
    def rank(fitness, table, out):
        i = cuda.grid(1)
        k = len(fitness)
        if i >= k:
            return
        mine = fitness[i]
        has_none = np.isnan(mine)
        better, before, equal = 0, 0, 0
        for j in range(k):
            other = fitness[j]
            none = np.isnan(other)
            better += (other < mine) | (has_none & (not none))
            same = (other == mine) | (has_none & none)
            equal += same
            before += same & (j < i)
        if centred:
            out[i] = 0.5 - (better + (equal - 1) / 2) / (k - 1)
        else:
            out[i] = table[better + before]

    return rank
