"""Matrix products of networks and strategies: loops of register tiles over matrices of any size."""

import numpy as np

from evoopt.compiling.jit import inline
from evoopt.kernels.cpu.emit.row import MANY, lanes1, lanes4, lanes_many, row_pair, row_strip, row_tile
from evoopt.kernels.cpu.emit.simd import (
    feature_strip1,
    feature_strip2,
    feature_strip6,
    feature_strip12,
    feature_tile1,
    feature_tile2,
    feature_tile4,
    feature_tile6,
    sample_strip4,
    sample_tile4,
    tile_shape,
)
from evoopt.rules.bits import constant

_COLUMNS32, _LANES32 = tile_shape(np.dtype(np.float32))
_COLUMNS64, _LANES64 = tile_shape(np.dtype(np.float64))
columns_of, lanes_of = constant(_COLUMNS32, _COLUMNS64), constant(_LANES32, _LANES64)

# A block of the inputs, DEPTH rows of a tile, stays in the first level cache (32 KB of some 48) while all
# outputs pass; the weights are copied in blocks of DEPTH x BREADTH, because rows a power of two apart would
# evict each other.
DEPTH = 32768 // (_COLUMNS32 * 4)
BREADTH = 96  # a multiple of 6 rows of a tile and of a cache line
COPY_FROM = 8192  # weights of a layer; fewer stay in the cache as they lie


@inline
def product_of_tile(
    whole, a, a_start, a_row, a_step, a_outer, x, x_start, x_vector, x_step, x_outer,
    bias, bias_start, adds, y, y_start, y_row, y_vector, n_out, n, outer,
):  # fmt: skip
    """Rows o < n_out of one tile, `whole` or one vector wide: y[o] = bias[o] + sum over i < n, j < outer.

    The arguments are those of `simd._make_tile`.
    """
    o = 0
    if whole:
        while n_out - o >= 6:
            feature_tile6(
                a, a_start + o * a_row, a_row, a_step, a_outer, x, x_start, x_vector, x_step, x_outer,
                bias, bias_start + o, adds, y, y_start + o * y_row, y_row, y_vector, n, outer,
            )  # fmt: skip
            o += 6
        if n_out - o >= 4:
            feature_tile4(
                a, a_start + o * a_row, a_row, a_step, a_outer, x, x_start, x_vector, x_step, x_outer,
                bias, bias_start + o, adds, y, y_start + o * y_row, y_row, y_vector, n, outer,
            )  # fmt: skip
            o += 4
        if n_out - o >= 2:
            feature_tile2(
                a, a_start + o * a_row, a_row, a_step, a_outer, x, x_start, x_vector, x_step, x_outer,
                bias, bias_start + o, adds, y, y_start + o * y_row, y_row, y_vector, n, outer,
            )  # fmt: skip
            o += 2
        if n_out - o == 1:
            feature_tile1(
                a, a_start + o * a_row, a_row, a_step, a_outer, x, x_start, x_vector, x_step, x_outer,
                bias, bias_start + o, adds, y, y_start + o * y_row, y_row, y_vector, n, outer,
            )  # fmt: skip
        return
    while n_out - o >= 12:
        feature_strip12(
            a, a_start + o * a_row, a_row, a_step, a_outer, x, x_start, x_vector, x_step, x_outer,
            bias, bias_start + o, adds, y, y_start + o * y_row, y_row, y_vector, n, outer,
        )  # fmt: skip
        o += 12
    while n_out - o >= 6:
        feature_strip6(
            a, a_start + o * a_row, a_row, a_step, a_outer, x, x_start, x_vector, x_step, x_outer,
            bias, bias_start + o, adds, y, y_start + o * y_row, y_row, y_vector, n, outer,
        )  # fmt: skip
        o += 6
    while n_out - o >= 2:
        feature_strip2(
            a, a_start + o * a_row, a_row, a_step, a_outer, x, x_start, x_vector, x_step, x_outer,
            bias, bias_start + o, adds, y, y_start + o * y_row, y_row, y_vector, n, outer,
        )  # fmt: skip
        o += 2
    if n_out - o == 1:
        feature_strip1(
            a, a_start + o * a_row, a_row, a_step, a_outer, x, x_start, x_vector, x_step, x_outer,
            bias, bias_start + o, adds, y, y_start + o * y_row, y_row, y_vector, n, outer,
        )  # fmt: skip


@inline
def product_of_columns(
    a, a_start, a_row, a_step, x, x_start, x_step, bias, bias_start, adds, y, y_start, y_row, n_out, n, width
):
    """Rows o < n_out of Y (n_out, width) = bias + A X for X (n, width), a width of whole vectors."""
    columns, lanes = columns_of(y[0]), lanes_of(y[0])
    s = 0
    while s < width:
        whole = width - s >= columns
        product_of_tile(
            whole, a, a_start, a_row, a_step, 0, x, x_start + s, lanes, x_step, 0,
            bias, bias_start, adds, y, y_start + s, y_row, lanes, n_out, n, 1,
        )  # fmt: skip
        s += columns if whole else lanes


@inline
def dense_tiles(n_in, n_out, kernel, kernel_start, bias, bias_start, adds, x, y, scratch, count, width):
    """Tiles through a dense layer: `count` times y (n_out, width) from x (n_in, width), kernel (n_in, n_out).

    With `adds` y is added to, and the bias left out. `scratch` is DEPTH * BREADTH.
    """
    lanes = lanes_of(y[0])
    vectors, of_tile = columns_of(y[0]) // lanes, width // lanes  # of a register tile, and of one of samples
    copies = (count > 1) & (n_in * n_out >= COPY_FROM)
    for first in range(0, n_in, DEPTH):
        depth = min(DEPTH, n_in - first)
        for o in range(0, n_out, BREADTH):
            breadth = min(BREADTH, n_out - o)
            source, start, step = kernel, kernel_start + first * n_out + o, n_out
            if copies:
                for i in range(depth):
                    weights = kernel[start + i * n_out : start + i * n_out + breadth]
                    block = scratch[i * BREADTH : i * BREADTH + breadth]
                    for k in range(breadth):
                        block[k] = weights[k]
                source, start, step = scratch, 0, BREADTH
            # the vectors of a register tile are side by side, or where tiles are one vector wide, one of each
            v = 0
            while v < count * of_tile:
                t = v // of_tile
                s = (v - t * of_tile) * lanes
                left = count - v if of_tile == 1 else of_tile - (v - t * of_tile)
                product_of_tile(
                    left >= vectors, source, start, 1, step, 0,
                    x, (t * n_in + first) * width + s, n_in * width if of_tile == 1 else lanes, width, 0,
                    bias, bias_start + o, adds | (first > 0),
                    y, (t * n_out + o) * width + s, width, n_out * width if of_tile == 1 else lanes,
                    breadth, depth, 1,
                )  # fmt: skip
                v += vectors if left >= vectors else 1


@inline
def dense_samples(n_in, n_out, kernel, kernel_start, bias, bias_start, adds, x, y, samples):
    """A few samples through a dense layer, sample-major: y (samples, n_out) from x (samples, n_in).

    The vectors lie along the outputs. With `adds` y is added to, and the bias left out.
    """
    columns, lanes = columns_of(y[0]), lanes_of(y[0])
    fours = samples // 4 * 4
    o = 0
    while o < n_out:
        left, w, b = n_out - o, kernel_start + o, bias_start + o
        whole, pair = left >= columns, left >= 2 * lanes
        s = 0
        while (s < fours) & (left >= lanes):
            x_start, y_start = s * n_in, s * n_out + o
            if whole:
                sample_tile4(x, x_start, n_in, 1, 0, kernel, w, lanes, n_out, 0, bias, b, adds,
                             y, y_start, n_out, lanes, n_in, 1)  # fmt: skip
            else:
                sample_strip4(x, x_start, n_in, 1, 0, kernel, w, lanes, n_out, 0, bias, b, adds,
                              y, y_start, n_out, lanes, n_in, 1)  # fmt: skip
            s += 4
        breadth = columns if whole else 2 * lanes if pair & (fours == 0) else lanes
        while s < samples:
            x_start, y_start = s * n_in, s * n_out + o
            if whole:
                row_tile(x, x_start, n_in, kernel, w, n_out, bias, b, adds, y, y_start, columns)
            elif pair & (fours == 0):
                row_pair(x, x_start, n_in, kernel, w, n_out, bias, b, adds, y, y_start, 2 * lanes)
            else:
                row_strip(x, x_start, n_in, kernel, w, n_out, bias, b, adds, y, y_start, left)
            s += 1
        o += breadth


@inline
def rows_product(n_in, n_out, kernel, kernel_start, bias, bias_start, x, x_start, y, y_start, width):
    """One sample each of `width` rows, the lanes of a vector: y = bias + W x, their numbers side by side."""
    step = n_out * width
    o = 0
    while o < n_out:
        at, b, to = kernel_start + o * width, bias_start + o * width, y_start + o * width
        if n_out - o >= MANY:
            lanes_many(x, x_start, n_in, kernel, at, step, bias, b, y, to)
            o += MANY
        elif n_out - o >= 4:
            lanes4(x, x_start, n_in, kernel, at, step, bias, b, y, to)
            o += 4
        else:
            lanes1(x, x_start, n_in, kernel, at, step, bias, b, y, to)
            o += 1


@inline
def four_rows(a, a_start, a_row, a_step, b, b_start, b_step, n, zeros, c, width, columns, lanes):
    """Write the products sum_i A[r, i] * B[i, :width] of four rows into `c` (4 * columns,), i < n, n >= 1.

    A and B lie as in `simd._make_tile`; `zeros` is (columns,), and `width` at most `columns`, the tile's.
    """
    if width == columns:
        sample_tile4(a, a_start, a_row, a_step, 0, b, b_start, lanes, b_step, 0, zeros, 0, False,
                     c, 0, columns, lanes, n, 1)  # fmt: skip
        return
    whole = width // lanes * lanes
    for s in range(0, whole, lanes):
        sample_strip4(a, a_start, a_row, a_step, 0, b, b_start + s, lanes, b_step, 0, zeros, 0, False,
                      c, s, columns, lanes, n, 1)  # fmt: skip
    if whole < width:
        for r in range(4):
            rest = c[r * columns + whole : r * columns + width]
            for j in range(len(rest)):
                rest[j] = 0
            for i in range(n):
                factor = a[a_start + r * a_row + i * a_step]
                row = b[b_start + i * b_step + whole : b_start + i * b_step + width]
                for j in range(len(rest)):
                    rest[j] += factor * row[j]
