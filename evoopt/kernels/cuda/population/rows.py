"""Rows of a population: fingerprints, copies, the way into a box, means of their numbers."""

import functools
from typing import Any

import numpy as np
from numba import cuda, types

from evoopt.kernels.cuda.runtime.jit import kernel, name_of
from evoopt.kernels.cuda.runtime.sizes import block_size
from evoopt.rules.box import WAYS, Way
from evoopt.rules.fingerprint import mixed, sum_of_words

THREADS = block_size(128)


@kernel(THREADS)
def fingerprint_rows(words, out):
    """Write the fingerprints of rows, as in `cpu.fingerprint`, into `out` (popsize,).

    The rows are `words` (popsize, words) uint32. A block has a row.
    """
    r, t = cuda.blockIdx.x, cuda.threadIdx.x
    shared = cuda.shared.array(THREADS, types.uint64)
    total = np.uint64(0)
    for i in range(t, words.shape[1], THREADS):
        total = sum_of_words(total, mixed(words[r, i], i))
    shared[t] = total
    cuda.syncthreads()
    if t == 0:
        for other in range(1, THREADS):
            total = sum_of_words(total, shared[other])
        out[r] = max(total, np.uint64(1))


@kernel(THREADS, THREADS)
def gather_rows(places, old, kept, new, limit, out):
    """Write rows `places` of [the first `kept` of `old`, all of `new`] into `out` (k, n).

    Numbers beyond `limit` become `limit`. The items are columns and rows (n, k).
    """
    c, r = cuda.blockIdx.x * THREADS + cuda.threadIdx.x, cuda.blockIdx.y
    while c < out.shape[1] and r < out.shape[0]:
        p = places[r]
        x = old[p, c] if p < kept else new[p - kept, c]
        x = x if x < limit else limit
        out[r, c] = x if x > -limit else -limit
        r += cuda.gridDim.y


@functools.cache
def enclose_rows(way: Way) -> Any:
    """Make ``kernel(low, high, low_margin, high_margin, first, last, rows)`` for a way into a box.

    It maps `rows` (popsize, n) in place, as `cpu.box` does. The other arguments are (n,) float64.
    The items are columns and rows.
    """
    rule = WAYS[way]

    @kernel(THREADS, THREADS, name=name_of(way))
    def enclose(low, high, low_margin, high_margin, first, last, rows):
        c, r = cuda.blockIdx.x * THREADS + cuda.threadIdx.x, cuda.blockIdx.y
        while c < rows.shape[1] and r < rows.shape[0]:
            x = types.float64(rows[r, c])
            rows[r, c] = rule(x, low[c], high[c], low_margin[c], high_margin[c], first[c], last[c])
            r += cuda.gridDim.y

    return enclose


@kernel(THREADS, THREADS)
def mean_rows(numbers, per_row, divisor, out):
    """Write the sum of each row's `per_row` numbers over `divisor` into `out` (popsize,).

    The items are rows.
    """
    r = cuda.grid(1)
    if r < len(out):
        total = 0.0
        for i in range(per_row):
            total += numbers[r * per_row + i]
        out[r] = total / divisor
