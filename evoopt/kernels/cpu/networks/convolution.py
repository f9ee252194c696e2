"""The code of operations on windows of images: convolution, max and average pooling.

An image (height, width, channels) is row-major, so one row of a window is a run of neighbouring
features. See `code.OperationCode` for its arguments.
"""

from collections.abc import Sequence

import numpy as np

from evoopt.compiling.jit import inline
from evoopt.kernels.cpu.emit.matrix import Matrix
from evoopt.kernels.cpu.emit.register_tile import make_register_tile
from evoopt.kernels.cpu.emit.vectors import columns_of, lanes_of, tile_shape
from evoopt.kernels.cpu.networks.code import OperationCode, parameter
from evoopt.kernels.cpu.networks.products import product_of_tile
from evoopt.kernels.cpu.networks.program import INPUTS, OUTPUTS, SIZES

# Columns: sizes of the input and the output image and of the window, strides, and the cells of
# padding before the first row and column
WIDTH_IN, CHANNELS_IN, WIDTH_OUT, CHANNELS_OUT, HEIGHT, WIDTH, DOWN, RIGHT, ABOVE, LEFT = range(
    SIZES, SIZES + 10
)

_LANES = tile_shape(np.dtype(np.float32))[1]  # the most lanes of any dtype
_eight_places, _four_places, _one_place = (
    make_register_tile(height, bias_by_row=False, whole=False) for height in (8, 4, 1)
)


@inline
def clipped(place, stride, before, size, n):
    """Return a window's first cell in the image, its number in the window, and the count."""
    first = place * stride - before
    skipped = max(0, -first)
    return first + skipped, skipped, min(size, n - first) - skipped


@inline
def whole_windows(stride, before, size, n, n_out):
    """Return the range of places along an axis whose windows are not clipped."""
    return (before + stride - 1) // stride, min(n_out, (n + before - size) // stride + 1)


@inline
def convolve_tile(op, kernel, bias, x, y, width):
    """Convolve a tile of whole vectors; a register tile has neighbouring samples, or places."""
    w_in, c_in, w_out, c_out = op[WIDTH_IN], op[CHANNELS_IN], op[WIDTH_OUT], op[CHANNELS_OUT]
    h_in, h_out = op[INPUTS] // (w_in * c_in), op[OUTPUTS] // (w_out * c_out)
    columns, lanes = columns_of(y[0]), lanes_of(y[0])
    vectors = columns // lanes
    lo, hi = whole_windows(op[RIGHT], op[LEFT], op[WIDTH], w_in, w_out)
    biases = Matrix(bias.data, bias.start, 1, 0, 0)
    row_of_weights, row_of_x = op[WIDTH] * c_in * c_out, w_in * c_in * width
    s = 0
    while s < width:
        samples = width - s >= columns
        x_vector = lanes if samples else op[RIGHT] * c_in * width
        y_vector = lanes if samples else c_out * width
        for i in range(h_out):
            row, row_skipped, rows = clipped(i, op[DOWN], op[ABOVE], op[HEIGHT], h_in)
            j = 0
            while j < w_out:
                column, skipped, cells = clipped(j, op[RIGHT], op[LEFT], op[WIDTH], w_in)
                places = (not samples) & (lo <= j) & (j + vectors <= hi)
                at = kernel.start + row_skipped * row_of_weights + skipped * c_in * c_out
                weights = Matrix(kernel.data, at, 1, c_out, row_of_weights)
                source = Matrix(x, row * row_of_x + column * c_in * width + s, x_vector, width, row_of_x)
                target = Matrix(y, (i * w_out + j) * c_out * width + s, width, y_vector, 0)
                whole, n = samples | places, cells * c_in
                product_of_tile(whole, weights, source, biases, target, c_out, False, n, rows)
                j += vectors if places else 1
        s += columns if samples else lanes


@inline
def _pad_filters(kernel, bias, n, c_out, weights, padded):
    """Copy n rows of the kernel, and the bias, to rows (padded,) of `weights`, filled by zeros."""
    for k in range(n + 1):
        source, start = (kernel.data, kernel.start + k * c_out) if k < n else (bias.data, bias.start)
        for o in range(c_out):
            weights[k * padded + o] = source[start + o]
        for o in range(c_out, padded):
            weights[k * padded + o] = 0


@inline
def convolve_samples(op, kernel, bias, x, y, scratch, count):
    """Convolve a few samples, sample-major, with vectors along the filters, which are padded.

    The image is copied with the zeros that its windows reach, so no window is clipped.
    """
    w_in, c_in, w_out, c_out = op[WIDTH_IN], op[CHANNELS_IN], op[WIDTH_OUT], op[CHANNELS_OUT]
    h_in, h_out = op[INPUTS] // (w_in * c_in), op[OUTPUTS] // (w_out * c_out)
    height, width = (h_out - 1) * op[DOWN] + op[HEIGHT], (w_out - 1) * op[RIGHT] + op[WIDTH]
    lanes = lanes_of(y[0])
    padded, n = (c_out + lanes - 1) // lanes * lanes, op[HEIGHT] * op[WIDTH] * c_in
    weights, image = scratch[: (n + 1) * padded], scratch[(n + 1) * padded :][: height * width * c_in]
    size, spare = w_out * c_out, scratch[(n + 1) * padded + height * width * c_in :]
    _pad_filters(kernel, bias, n, c_out, weights, padded)
    for k in range(len(image)):
        image[k] = 0
    run = min(w_in, width - op[LEFT]) * c_in
    places = 8 if w_out >= 8 else 4 if w_out >= 4 else 1
    for t in range(count):
        for i in range(min(h_in, height - op[ABOVE])):
            into, start = ((i + op[ABOVE]) * width + op[LEFT]) * c_in, (t * h_in + i) * w_in * c_in
            for k in range(run):
                image[into + k] = x[start + k]
        for i in range(h_out):
            start = (t * h_out + i) * size
            room = start + size + lanes <= count * h_out * size
            results, into = (y, start) if room else (spare, 0)
            for first in range(0, w_out, places):
                j = min(first, w_out - places)  # the last places may be done already
                at = (i * op[DOWN] * width + j * op[RIGHT]) * c_in
                windows = Matrix(image, at, op[RIGHT] * c_in, 1, width * c_in)
                # Last vectors come first, because later stores overwrite their surplus.
                for o in range(padded - lanes, -1, -lanes):
                    filters = Matrix(weights, o, lanes, padded, op[WIDTH] * c_in * padded)
                    biases = Matrix(weights, n * padded + o, 0, lanes, 0)
                    target = Matrix(results, into + j * c_out + o, c_out, lanes, 0)
                    _convolve_places(places, windows, filters, biases, target, op[WIDTH] * c_in, op[HEIGHT])
            if not room:
                for k in range(size):
                    y[start + k] = spare[k]


@inline
def _convolve_places(places, windows, filters, bias, y, n, rows):
    """Convolve at 8, 4 or 1 neighbouring places, for one vector of filters."""
    if places == 8:
        _eight_places(windows, filters, bias, y, False, n, rows)
    elif places == 4:
        _four_places(windows, filters, bias, y, False, n, rows)
    else:
        _one_place(windows, filters, bias, y, False, n, rows)


def _convolution_of_tiles(op, row, frozen, x, y, state, scratch, count, width):
    kernel, bias = parameter(op, 0, row, frozen), parameter(op, 1, row, frozen)
    for t in range(count):
        convolve_tile(op, kernel, bias, x[t * width * op[INPUTS] :], y[t * width * op[OUTPUTS] :], width)


def _convolution_of_samples(op, row, frozen, x, y, state, scratch, count, width):
    kernel, bias = parameter(op, 0, row, frozen), parameter(op, 1, row, frozen)
    convolve_samples(op, kernel, bias, x, y, scratch, count)


@inline
def pool(op, maximum, x, y, width):
    """Pool a tile: the largest cell of each window, or NaN; or the mean of cells in the image."""
    w_in, w_out, n = op[WIDTH_IN], op[WIDTH_OUT], op[CHANNELS_IN] * width
    h_in, h_out = op[INPUTS] * width // (w_in * n), op[OUTPUTS] * width // (w_out * n)
    for i in range(h_out):
        row, _, rows = clipped(i, op[DOWN], op[ABOVE], op[HEIGHT], h_in)
        for j in range(w_out):
            column, _, cells = clipped(j, op[RIGHT], op[LEFT], op[WIDTH], w_in)
            result = y[(i * w_out + j) * n : (i * w_out + j + 1) * n]
            for r in range(row, row + rows):
                for c in range(column, column + cells):
                    values = x[(r * w_in + c) * n : (r * w_in + c + 1) * n]
                    if (r == row) & (c == column):
                        for k in range(n):
                            result[k] = values[k]
                    elif maximum:
                        for k in range(n):
                            v, best = values[k], result[k]
                            result[k] = v if (v > best) | np.isnan(v) else best
                    else:
                        for k in range(n):
                            result[k] += values[k]
            if not maximum:
                scale = type(y[0])(1) / type(y[0])(rows * cells)
                for k in range(n):
                    result[k] *= scale


def _max_pool(op, row, frozen, x, y, state, scratch, count, width):
    for t in range(count):
        pool(op, True, x[t * width * op[INPUTS] :], y[t * width * op[OUTPUTS] :], width)


def _average_pool(op, row, frozen, x, y, state, scratch, count, width):
    for t in range(count):
        pool(op, False, x[t * width * op[INPUTS] :], y[t * width * op[OUTPUTS] :], width)


convolution_of_tiles = OperationCode(_convolution_of_tiles)
convolution_of_samples = OperationCode(_convolution_of_samples)
max_pool, average_pool = OperationCode(_max_pool), OperationCode(_average_pool)


def scratch_of(sizes: Sequence[int], outputs: int) -> int:
    """Return the length of a convolution's scratch, from its columns and a sample's outputs."""
    _, c_in, w_out, filters, height, width, down, right, *_ = sizes
    h_out = outputs // (w_out * filters)
    weights = (height * width * c_in + 1) * (filters + _LANES)
    image = ((h_out - 1) * down + height) * ((w_out - 1) * right + width) * c_in
    return weights + image + w_out * filters + _LANES
