"""Weighted sums over the rows of a population, column by column in one pass over it."""

import math

import numpy as np

from evoopt.kernels.jit import kernel

TILE = 1024  # columns whose sums stay in the first-level cache while the rows pass by


@kernel
def weighted_moments(population, weights, square_weights, mean, first, second, lo, hi):
    """Sum w_r (x_rc - mean_c) and v_r (x_rc - mean_c)^2 over the rows r, for columns c in [lo, hi).

    `weights` w and `square_weights` v are (popsize,), all arrays of one dtype. Each column's sums run in row
    order.
    """
    rows = population.shape[0]
    for start in range(lo, hi, TILE):
        stop = min(start + TILE, hi)
        for c in range(start, stop):
            first[c] = 0
            second[c] = 0
        for r in range(rows):
            w, v = weights[r], square_weights[r]
            for c in range(start, stop):
                step = population[r, c] - mean[c]
                first[c] += w * step
                second[c] += v * (step * step)


@kernel
def squared_lengths(population, mean, scale, out, lo, hi):
    """Write |(x_r - mean) / scale|^2 of rows r in [lo, hi) into `out` (popsize,) float64."""
    n = population.shape[1]
    lanes = np.zeros(16)
    for r in range(lo, hi):
        lanes[:] = 0.0
        whole = n // 16 * 16
        for start in range(0, whole, 16):
            for i in range(16):
                z = (population[r, start + i] - mean[start + i]) / scale[start + i]
                lanes[i] += z * z
        for c in range(whole, n):
            z = (population[r, c] - mean[c]) / scale[c]
            lanes[c - whole] += z * z
        total = 0.0
        for i in range(16):
            total += lanes[i]
        out[r] = total


@kernel
def all_finite(row):
    """Whether each number of `row` (n,) is finite."""
    return all(math.isfinite(x) for x in row)
