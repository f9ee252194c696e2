"""Rows of a population: mean + sigma * normal deviates, each row a function of its number alone."""

import numpy as np

from evoopt.kernels.cpu.groups import normals
from evoopt.kernels.jit import inline, kernel
from evoopt.kernels.philox import COLUMNS, LANES, NOISE


@inline
def _write(key, number, groups, factor, centre, sigma, row, deviates):
    """Write groups [lo, hi) of 64 columns of `row` (n,): centre (n,) + factor * sigma (n,) * deviates."""
    flat = deviates.reshape(COLUMNS)
    for group in range(groups[0], groups[1]):
        normals(key, number, group, NOISE, deviates)
        start = group * COLUMNS
        left, middle, spread = row[start:], centre[start:], sigma[start:]
        if len(left) >= COLUMNS:
            for i in range(COLUMNS):
                left[i] = middle[i] + factor * spread[i] * flat[i]
        else:
            for i in range(len(left)):
                left[i] = middle[i] + factor * spread[i] * flat[i]


@kernel
def sample_rows(key, ids, mean, sigma, out, lo, hi):
    """Write rows [lo, hi) of `out` (popsize, n): mean (n,) + sigma (n,) * normal deviates of row ids[r]."""
    groups, one = (0, (out.shape[1] + COLUMNS - 1) // COLUMNS), out.dtype.type(1)
    deviates = np.zeros((4, LANES), out.dtype)
    for r in range(lo, hi):
        _write(key, ids[r], groups, one, mean, sigma, out[r], deviates)


@kernel
def sample_children(key, ids, parents, pool, factor, sigma, out, lo, hi):
    """Write rows [lo, hi) of `out` (popsize, n): pool[parents[r]] + factor * sigma (n,) * normal deviates."""
    groups, factor = (0, (out.shape[1] + COLUMNS - 1) // COLUMNS), out.dtype.type(factor)
    deviates = np.zeros((4, LANES), out.dtype)
    for r in range(lo, hi):
        _write(key, ids[r], groups, factor, pool[parents[r]], sigma, out[r], deviates)


@kernel
def sample_child(key, number, parent, factor, sigma, out, lo, hi):
    """Write groups [lo, hi) of 64 columns of one row `out` (n,), which may be `parent` (n,) itself.

    The bits are those of `sample_children`.
    """
    _write(key, number, (lo, hi), out.dtype.type(factor), parent, sigma, out, np.zeros((4, LANES), out.dtype))


@kernel
def sample_pairs(key, ids, mean, sigma, out, lo, hi):
    """Write rows [lo, hi) of `out` (popsize, n), rows 2k as `sample_rows`, 2k + 1 with their noise negated.

    A pair whose rows stand side by side shares the making of its noise.
    """
    n = out.shape[1]
    deviates = np.zeros((4, LANES), out.dtype)
    flat = deviates.reshape(COLUMNS)
    r = lo
    while r < hi:
        after = r + 2 if r + 1 < hi and ids[r + 1] == ids[r] ^ np.uint64(1) else r + 1
        for group in range((n + COLUMNS - 1) // COLUMNS):
            normals(key, ids[r] >> np.uint64(1) << np.uint64(1), group, NOISE, deviates)
            start = group * COLUMNS
            centre, spread = mean[start:n], sigma[start:n]
            for row in range(r, after):
                left, sign = out[row, start:n], out.dtype.type(1 - 2 * np.int64(ids[row] & np.uint64(1)))
                if len(left) >= COLUMNS:
                    for i in range(COLUMNS):
                        left[i] = centre[i] + spread[i] * (sign * flat[i])
                else:
                    for i in range(len(left)):
                        left[i] = centre[i] + spread[i] * (sign * flat[i])
        r = after
