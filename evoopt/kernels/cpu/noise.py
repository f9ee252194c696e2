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
