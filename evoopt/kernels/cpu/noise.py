"""Rows of a population: mean + sigma * normal deviates, each row a function of its number alone."""

import numpy as np

from evoopt.kernels.cpu.groups import normals
from evoopt.kernels.jit import kernel
from evoopt.kernels.philox import COLUMNS, LANES, NOISE


@kernel
def sample_rows(key, ids, mean, sigma, out, lo, hi):
    """Write rows [lo, hi) of `out` (popsize, n): mean (n,) + sigma (n,) * normal deviates of row ids[r]."""
    n = out.shape[1]
    deviates = np.zeros((4, LANES), out.dtype)
    flat = deviates.reshape(COLUMNS)
    for r in range(lo, hi):
        for group in range((n + COLUMNS - 1) // COLUMNS):
            normals(key, ids[r], group, NOISE, deviates)
            start = group * COLUMNS
            left, centre, spread = out[r, start:n], mean[start:n], sigma[start:n]
            if len(left) >= COLUMNS:
                for i in range(COLUMNS):
                    left[i] = centre[i] + spread[i] * flat[i]
            else:
                for i in range(len(left)):
                    left[i] = centre[i] + spread[i] * flat[i]


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
