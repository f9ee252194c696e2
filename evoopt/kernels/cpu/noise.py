"""Rows of a population: mean + sigma * normal deviates, each row a function of its number alone."""

import numpy as np

from evoopt.kernels.jit import kernel
from evoopt.kernels.philox import COLUMNS, LANES, NOISE, normals


@kernel
def sample_rows(key, ids, mean, sigma, out, lo, hi):
    """Write rows [lo, hi) of `out` (popsize, n): mean (n,) + sigma (n,) * normal deviates of row ids[r]."""
    n = out.shape[1]
    word_buffer = np.empty((4, LANES), np.uint32)
    deviates = np.zeros((4, LANES), out.dtype)
    flat = deviates.reshape(COLUMNS)
    whole = n // COLUMNS
    for r in range(lo, hi):
        for group in range(whole):
            normals(key, ids[r], group, NOISE, word_buffer, deviates)
            start = group * COLUMNS
            for i in range(COLUMNS):
                out[r, start + i] = mean[start + i] + sigma[start + i] * flat[i]
        if whole * COLUMNS < n:
            normals(key, ids[r], whole, NOISE, word_buffer, deviates)
            for column in range(whole * COLUMNS, n):
                out[r, column] = mean[column] + sigma[column] * flat[column - whole * COLUMNS]
