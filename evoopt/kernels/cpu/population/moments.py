"""Weighted sums over the rows of a population for each column, in one pass."""

import numpy as np

from evoopt.compiling.jit import kernel

TILE = 1024  # columns whose sums stay in the first-level cache while all rows are read
LENGTH_LANES = 16  # partial sums of a length, which keep their order when they are vectorized


@kernel
def weighted_moments(population, weights, square_weights, mean, first, second, lo, hi):
    """Sum w_r (x_rc - mean_c) and v_r (x_rc - mean_c)^2 over rows r, for columns c in [lo, hi).

    `weights` w and `square_weights` v are (popsize,); all arrays have one dtype. The sums of a
    column are added in the order of rows.
    """
    for start in range(lo, hi, TILE):
        stop = min(start + TILE, hi)
        sums, squares, centre = first[start:stop], second[start:stop], mean[start:stop]
        sums[:] = 0
        squares[:] = 0
        for r in range(len(weights)):
            w, v = weights[r], square_weights[r]
            if w == 0 and v == 0:  # rows may be so far away that 0 times their square is NaN
                continue
            row = population[r, start:stop]
            for c in range(len(centre)):  # starts at 0: an index that might be negative is not vectorized
                step = row[c] - centre[c]
                sums[c] += w * step
                squares[c] += (v * step) * step  # v is the smaller, the farther the row: no overflow


@kernel
def squared_lengths(population, places, mean, precision, out, lo, hi):
    """Write |(x_i - mean) * precision|^2 into `out` (k,) float64, for i in [lo, hi).

    x_i is row places[i] of the population.
    """
    n = population.shape[1]
    lanes = np.zeros(LENGTH_LANES)
    for i in range(lo, hi):
        row = population[places[i]]
        lanes[:] = 0.0
        whole = n // LENGTH_LANES * LENGTH_LANES
        for start in range(0, whole, LENGTH_LANES):
            for lane in range(LENGTH_LANES):
                z = (row[start + lane] - mean[start + lane]) * precision[start + lane]
                lanes[lane] += z * z
        for c in range(whole, n):
            z = (row[c] - mean[c]) * precision[c]
            lanes[c - whole] += z * z
        total = 0.0
        for lane in range(LENGTH_LANES):
            total += lanes[lane]
        out[i] = total
