"""Matrix products of networks and strategies: loops of register tiles over matrices of any size.

Here y = bias + a x, where `a` is (rows, n), `x` (columns, n) and `y` (rows, columns).
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from evoopt.compiling.jit import inline
from evoopt.kernels.cpu.emit.lanes_of_rows import make_lanes
from evoopt.kernels.cpu.emit.matrix import Matrix, rows_from
from evoopt.kernels.cpu.emit.register_tile import make_register_tile
from evoopt.kernels.cpu.emit.single_sample import make_single_sample
from evoopt.kernels.cpu.emit.vectors import columns_of, host_vectors, lanes_of, tile_shape

# DEPTH rows of a tile of inputs stay in the first level cache (32 KB of some 48) while all outputs
# pass; the weights are copied in panels of DEPTH x BREADTH, because rows a power of two apart would
# evict each other.
DEPTH = 32768 // (tile_shape(np.dtype(np.float32))[0] * 4)
BREADTH = 96  # a multiple of 6 rows of a tile and of a cache line
COPY_FROM = 8192  # weights of a layer; fewer stay in the cache without a copy


def ladder(heights: Sequence[int], make: Callable[[int], Callable[..., None]]) -> Any:
    """Make ``product(a, x, bias, y, lo, hi, *rest)``, rows [lo, hi) of y by tiles of these heights.

    `make` makes ``tile(a, x, bias, y, *rest)`` of a height. The heights decrease to 1.
    """
    product = _no_rows
    for height, taller in reversed([*zip(heights, (math.inf, *heights), strict=False)]):
        product = _rung(height, taller <= 2 * height, make(height), product)
    return product


@inline
def _no_rows(a, x, bias, y, lo, hi, *rest):
    """Compute the product of no rows."""


def _rung(height, once, tile, lower):
    """Make a product by tiles of a height; the `lower` product has the remaining rows.

    `once` says that at most one tile fits: then no loop is compiled, which would be slower to
    begin.
    """

    @inline
    def product(a, x, bias, y, lo, hi, *rest):
        while hi - lo >= height:
            tile(rows_from(a, lo), x, rows_from(bias, lo), rows_from(y, lo), *rest)
            lo += height
            if once:
                break
        lower(a, x, bias, y, lo, hi, *rest)

    return product


# The 6 rows of y are in 24 of the 32 registers of AVX-512 and NEON, or 12 of the 16 of AVX2.
_rows_of_tiles = ladder((6, 4, 2, 1), functools.partial(make_register_tile, bias_by_row=True))
_rows_of_strips = ladder((12, 6, 2, 1), functools.partial(make_register_tile, bias_by_row=True, whole=False))
_four_tile, _four_strip = (make_register_tile(4, bias_by_row=False, whole=whole) for whole in (True, False))
_one_tile, _one_pair, _one_strip = map(make_single_sample, (host_vectors().of_tile, 2, 1))
# dense_lanes(a, x, bias, y, lo, hi, n) takes one sample through a dense layer in each lane, at
# first with as many sums as a register tile of four rows.
dense_lanes = ladder((4 * host_vectors().of_tile, 4, 1), make_lanes)


@inline
def product_of_tile(whole, a, x, bias, y, n_out, adds, n, outer):
    """Write rows o < n_out of a tile, which is `whole` or one vector wide.

    The operands are as in `make_register_tile`, with a bias for each row.
    """
    if whole:
        _rows_of_tiles(a, x, bias, y, 0, n_out, adds, n, outer)
    else:
        _rows_of_strips(a, x, bias, y, 0, n_out, adds, n, outer)


@inline
def product_of_columns(a, x, zeros, y, n_out, n, width):
    """Write the product for n_out rows and `width` columns, which lie side by side.

    The columns are whole vectors; `zeros` is (n_out,).
    """
    columns, lanes = columns_of(zeros[0]), lanes_of(zeros[0])
    bias = Matrix(zeros, 0, 1, 0, 0)
    s = 0
    while s < width:
        whole = width - s >= columns
        source = Matrix(x.data, x.start + s, lanes, x.stride, 0)
        target = Matrix(y.data, y.start + s, y.row, lanes, 0)
        product_of_tile(whole, a, source, bias, target, n_out, False, n, 1)
        s += columns if whole else lanes


@inline
def dense_tiles(n_in, n_out, kernel, bias, adds, x, y, scratch, count, width):
    """Take tiles through a dense layer: `count` times y (n_out, width) from x (n_in, width).

    The kernel is (n_in, n_out). With `adds` the products are added to y, without the bias.
    `scratch` has DEPTH * BREADTH numbers.
    """
    lanes = lanes_of(y[0])
    # A register tile has `vectors`, a tile of samples `of_tile`. If that is one, a register tile
    # takes one vector of each of several tiles, else neighbouring vectors.
    vectors, of_tile = columns_of(y[0]) // lanes, width // lanes
    x_vector, y_vector = (n_in * width, n_out * width) if of_tile == 1 else (lanes, lanes)
    copies = (count > 1) & (n_in * n_out >= COPY_FROM)
    for first in range(0, n_in, DEPTH):
        depth = min(DEPTH, n_in - first)
        for o in range(0, n_out, BREADTH):
            breadth = min(BREADTH, n_out - o)
            weights = Matrix(kernel.data, kernel.start + first * n_out + o, 1, n_out, 0)
            if copies:
                _copy_panel(weights, depth, breadth, scratch)
                weights = Matrix(scratch, 0, 1, BREADTH, 0)
            own_bias = Matrix(bias.data, bias.start + o, 1, 0, 0)
            v = 0
            while v < count * of_tile:
                t = v // of_tile
                s = (v - t * of_tile) * lanes
                whole = (count - v if of_tile == 1 else of_tile - (v - t * of_tile)) >= vectors
                source = Matrix(x, (t * n_in + first) * width + s, x_vector, width, 0)
                target = Matrix(y, (t * n_out + o) * width + s, width, y_vector, 0)
                own_adds = adds | (first > 0)
                product_of_tile(whole, weights, source, own_bias, target, breadth, own_adds, depth, 1)
                v += vectors if whole else 1


@inline
def _copy_panel(weights, depth, breadth, scratch):
    """Copy a panel of weights from rows of `breadth` numbers to rows of BREADTH numbers."""
    for i in range(depth):
        start = weights.start + i * weights.stride
        row, panel = weights.data[start : start + breadth], scratch[i * BREADTH : i * BREADTH + breadth]
        for k in range(breadth):
            panel[k] = row[k]


@inline
def dense_samples(n_in, n_out, kernel, bias, adds, x, y, samples):
    """Take a few samples through a dense layer: y (samples, n_out) from x (samples, n_in).

    The vectors lie along the outputs. With `adds` the products are added to y, without the bias.
    """
    columns, lanes = columns_of(y[0]), lanes_of(y[0])
    fours = samples // 4 * 4
    o = 0
    while o < n_out:
        left = n_out - o
        whole, pair = left >= columns, (left >= 2 * lanes) & (fours == 0)
        weights = Matrix(kernel.data, kernel.start + o, lanes, n_out, 0)
        own_bias = Matrix(bias.data, bias.start + o, 0, lanes, 0)
        s = 0
        while (s < fours) & (left >= lanes):
            source, target = Matrix(x, s * n_in, n_in, 1, 0), Matrix(y, s * n_out + o, n_out, lanes, 0)
            if whole:
                _four_tile(source, weights, own_bias, target, adds, n_in, 1)
            else:
                _four_strip(source, weights, own_bias, target, adds, n_in, 1)
            s += 4
        while s < samples:
            source, target = Matrix(x, s * n_in, n_in, 1, 0), Matrix(y, s * n_out + o, n_out, lanes, 0)
            if whole:
                _one_tile(source, weights, own_bias, target, adds, n_in, columns)
            elif pair:
                _one_pair(source, weights, own_bias, target, adds, n_in, 2 * lanes)
            else:
                _one_strip(source, weights, own_bias, target, adds, n_in, left)
            s += 1
        o += columns if whole else 2 * lanes if pair else lanes


@inline
def four_rows(a, x, n, zeros, y, width):
    """Write the products of four rows with `width` adjacent columns into `y` (4, columns).

    `y` is flat, `zeros` (columns,), n at least 1, and `width` at most the columns of a tile.
    """
    columns, lanes = columns_of(zeros[0]), lanes_of(zeros[0])
    bias = Matrix(zeros, 0, 0, lanes, 0)
    if width == columns:
        tile = Matrix(x.data, x.start, lanes, x.stride, 0)
        _four_tile(a, tile, bias, Matrix(y, 0, columns, lanes, 0), False, n, 1)
        return
    whole = width // lanes * lanes
    for s in range(0, whole, lanes):
        strip = Matrix(x.data, x.start + s, lanes, x.stride, 0)
        _four_strip(a, strip, bias, Matrix(y, s, columns, lanes, 0), False, n, 1)
    if whole < width:
        for r in range(4):
            rest = y[r * columns + whole : r * columns + width]
            for j in range(len(rest)):
                rest[j] = 0
            for i in range(n):
                factor, start = a.data[a.start + r * a.row + i * a.stride], x.start + i * x.stride
                row = x.data[start + whole : start + width]
                for j in range(len(rest)):
                    rest[j] += factor * row[j]
