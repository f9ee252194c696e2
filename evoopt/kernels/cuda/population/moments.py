"""Weighted sums over the rows of a population, by column, and lengths of rows; all in float64."""

from numba import cuda, types

from evoopt.kernels.cuda.runtime.jit import kernel
from evoopt.kernels.cuda.runtime.sizes import SIZES, block_size

COLUMNS, PARTS = SIZES.columns, SIZES.parts  # a block's columns, and the parts of its rows
THREADS = block_size(128)


@kernel((COLUMNS, PARTS), COLUMNS)
def weighted_moments(population, weights, square_weights, mean, first, second):
    """Write sum_r w_r (x_rc - mean_c) and sum_r v_r (x_rc - mean_c)^2 into `first`, `second` (n,).

    `weights` w and `square_weights` v are (popsize,). The items are columns. A block of (COLUMNS,
    PARTS) threads cuts the rows into parts: part p takes rows p, p + PARTS, ..., and the parts are
    added in order.
    """
    lane, part = cuda.threadIdx.x, cuda.threadIdx.y
    c = cuda.blockIdx.x * COLUMNS + lane
    shared = cuda.shared.array((2, PARTS, COLUMNS), types.float64)
    total, squares = 0.0, 0.0
    if c < len(mean):
        centre = mean[c]
        for r in range(part, len(weights), PARTS):
            w, v = weights[r], square_weights[r]
            if w != 0 or v != 0:  # rows may be so far away that 0 times their square is NaN
                difference = types.float64(population[r, c]) - centre
                total += w * difference
                squares += (v * difference) * difference  # v is the smaller, the farther the row: no overflow
    shared[0, part, lane], shared[1, part, lane] = total, squares
    cuda.syncthreads()
    if part == 0 and c < len(mean):
        for other in range(1, PARTS):
            total += shared[0, other, lane]
            squares += shared[1, other, lane]
        first[c], second[c] = total, squares


@kernel(THREADS)
def squared_lengths(population, mean, scale, out):
    """Write |(x_r - mean) / scale|^2 into `out` (popsize,); a block has a row."""
    r, t = cuda.blockIdx.x, cuda.threadIdx.x
    shared = cuda.shared.array(THREADS, types.float64)
    total = 0.0
    for c in range(t, len(mean), THREADS):
        z = (types.float64(population[r, c]) - mean[c]) / scale[c]
        total += z * z
    shared[t] = total
    cuda.syncthreads()
    if t == 0:
        for other in range(1, THREADS):
            total += shared[other]
        out[r] = total
