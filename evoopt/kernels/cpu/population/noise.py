"""Rows of a population: mean + sigma * normal deviates, which depend on the row's number alone."""

import numpy as np

from evoopt.compiling.jit import inline, kernel
from evoopt.kernels.cpu.emit.groups import group_of, normals
from evoopt.rules.philox import COLUMNS, NOISE


@inline
def _combine(centre, factor, spread, deviates, out):
    """Write centre + factor * spread * deviates into `out`; all of at most COLUMNS numbers."""
    if len(out) >= COLUMNS:
        for i in range(COLUMNS):
            out[i] = centre[i] + factor * spread[i] * deviates[i]
    else:
        for i in range(len(out)):
            out[i] = centre[i] + factor * spread[i] * deviates[i]


@kernel(allocates=False)
def sample_rows(key, ids, mean, sigma, out, first, lo, hi):
    """Write mean + sigma * normal deviates into rows [lo, hi) of `out` (popsize, n).

    The deviates of row r depend on ids[r]; `mean` and `sigma` are (n,). The columns of `out` begin
    with group `first` of 64 columns of whole rows.
    """
    n, one = out.shape[1], out.dtype.type(1)
    deviates = group_of(out.dtype)
    for r in range(lo, hi):
        for group in range((n + COLUMNS - 1) // COLUMNS):
            normals(key, ids[r], first + group, NOISE, deviates)
            start = group * COLUMNS
            _combine(mean[start:n], one, sigma[start:n], deviates, out[r, start:n])


@kernel(allocates=False)
def sample_children(key, ids, parents, pool, factor, sigma, out, lo, hi):
    """Write pool[parents[r]] + factor * sigma * normal deviates into rows [lo, hi) of `out`.

    The deviates of row r depend on ids[r]; `out` is (popsize, n), `sigma` (n,).
    """
    n, factor = out.shape[1], out.dtype.type(factor)
    deviates = group_of(out.dtype)
    for r in range(lo, hi):
        for group in range((n + COLUMNS - 1) // COLUMNS):
            normals(key, ids[r], group, NOISE, deviates)
            start = group * COLUMNS
            _combine(pool[parents[r], start:n], factor, sigma[start:n], deviates, out[r, start:n])


@kernel(allocates=False)
def sample_child(key, number, parent, factor, sigma, out, lo, hi):
    """Write groups [lo, hi) of 64 columns of a row `out` (n,), with the bits of `sample_children`.

    If `parent` (n,) were `out`, the result would be right but the loop not vectorized.
    """
    n, factor = len(out), out.dtype.type(factor)
    deviates = group_of(out.dtype)
    for group in range(lo, hi):
        normals(key, number, group, NOISE, deviates)
        start = group * COLUMNS
        _combine(parent[start:n], factor, sigma[start:n], deviates, out[start:n])


@kernel(allocates=False)
def sample_pairs(key, ids, mean, sigma, out, first, lo, hi):
    """Write rows [lo, hi) of `out` as `sample_rows`, but row 2k + 1 with the negated noise of 2k.

    Two adjacent rows of a pair draw their noise once.
    """
    n = out.shape[1]
    deviates = group_of(out.dtype)
    r = lo
    while r < hi:
        after = r + 2 if r + 1 < hi and ids[r + 1] == ids[r] ^ np.uint64(1) else r + 1
        for group in range((n + COLUMNS - 1) // COLUMNS):
            normals(key, ids[r] >> np.uint64(1) << np.uint64(1), first + group, NOISE, deviates)
            start = group * COLUMNS
            centre, spread = mean[start:n], sigma[start:n]
            for row in range(r, after):
                sign = out.dtype.type(1 - 2 * np.int64(ids[row] & np.uint64(1)))
                _combine(centre, sign, spread, deviates, out[row, start:n])
        r = after
