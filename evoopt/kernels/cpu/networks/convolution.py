"""Steps over windows of images: convolution, max and average pooling.

An image (height, width, channels) is row-major, so one row of a window is a run of neighbouring features.
See `code.Step` for the arguments of a step.
"""

from collections.abc import Sequence

import numpy as np

from evoopt.compiling.jit import inline
from evoopt.kernels.cpu.emit.simd import sample_strip1, sample_strip4, sample_strip8, tile_shape
from evoopt.kernels.cpu.networks.code import Step, parameter
from evoopt.kernels.cpu.networks.products import columns_of, lanes_of, product_of_tile
from evoopt.kernels.cpu.networks.program import INPUTS, OUTPUTS, SIZES

# Columns: of the image that comes in and the one that goes out, of the window, and of the cells beyond the
# image before its first row and column.
WIDTH_IN, CHANNELS_IN, WIDTH_OUT, CHANNELS_OUT, HEIGHT, WIDTH, DOWN, RIGHT, ABOVE, LEFT = range(
    SIZES, SIZES + 10
)

_LANES = tile_shape(np.dtype(np.float32))[1]  # the most that there are


@inline
def clipped(place, stride, before, size, n):
    """Give the first cell of a window that is in the image, its number in the window, and their count."""
    first = place * stride - before
    skipped = max(0, -first)
    return first + skipped, skipped, min(size, n - first) - skipped


@inline
def whole_windows(stride, before, size, n, n_out):
    """Give the range of places along an axis whose windows are not clipped."""
    return (before + stride - 1) // stride, min(n_out, (n + before - size) // stride + 1)


@inline
def convolve_tile(op, kernel, kernel_start, bias, bias_start, x, x_start, y, y_start, width):
    """Convolve one tile of whole vectors: the vectors of a register tile are samples, or else places."""
    w_in, c_in, w_out, c_out = op[WIDTH_IN], op[CHANNELS_IN], op[WIDTH_OUT], op[CHANNELS_OUT]
    h_in, h_out = op[INPUTS] // (w_in * c_in), op[OUTPUTS] // (w_out * c_out)
    columns, lanes = columns_of(y[0]), lanes_of(y[0])
    vectors = columns // lanes
    lo, hi = whole_windows(op[RIGHT], op[LEFT], op[WIDTH], w_in, w_out)
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
                product_of_tile(
                    samples | places,
                    kernel, kernel_start + (row_skipped * op[WIDTH] + skipped) * c_in * c_out,
                    1, c_out, op[WIDTH] * c_in * c_out,
                    x, x_start + (row * w_in + column) * c_in * width + s,
                    x_vector, width, w_in * c_in * width,
                    bias, bias_start, False,
                    y, y_start + (i * w_out + j) * c_out * width + s, width, y_vector,
                    c_out, cells * c_in, rows,
                )  # fmt: skip
                j += vectors if places else 1
        s += columns if samples else lanes


@inline
def convolve_samples(op, kernel, kernel_start, bias, bias_start, x, y, scratch, count):
    """Convolve a few samples, sample-major: vectors along the filters, which are padded to whole vectors.

    The image is copied with the zeros that its windows reach, so none of them is clipped.
    """
    w_in, c_in, w_out, c_out = op[WIDTH_IN], op[CHANNELS_IN], op[WIDTH_OUT], op[CHANNELS_OUT]
    h_in, h_out = op[INPUTS] // (w_in * c_in), op[OUTPUTS] // (w_out * c_out)
    height, width = (h_out - 1) * op[DOWN] + op[HEIGHT], (w_out - 1) * op[RIGHT] + op[WIDTH]
    lanes = lanes_of(y[0])
    padded, n = (c_out + lanes - 1) // lanes * lanes, op[HEIGHT] * op[WIDTH] * c_in
    weights, image = scratch[: (n + 1) * padded], scratch[(n + 1) * padded :][: height * width * c_in]
    size, spare = w_out * c_out, scratch[(n + 1) * padded + height * width * c_in :]
    for k in range(n + 1):
        source, start = (kernel, kernel_start + k * c_out) if k < n else (bias, bias_start)
        for o in range(c_out):
            weights[k * padded + o] = source[start + o]
        for o in range(c_out, padded):
            weights[k * padded + o] = 0
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
                j = min(first, w_out - places)  # the last ones may be there already
                at = (i * op[DOWN] * width + j * op[RIGHT]) * c_in
                # What a last vector has too much lies where a later store comes: hence last vectors first.
                for o in range(padded - lanes, -1, -lanes):
                    strip_of_places(
                        places, image, at, op[RIGHT] * c_in, width * c_in,
                        weights, o, lanes, padded, op[WIDTH] * c_in * padded, n * padded + o,
                        results, into + j * c_out + o, c_out, op[WIDTH] * c_in, op[HEIGHT],
                    )  # fmt: skip
            if not room:
                for k in range(size):
                    y[start + k] = spare[k]


@inline
def strip_of_places(
    places, image, at, row, outer, weights, o, lanes, step, weights_outer, bias_at,
    results, into, c_out, n, rows,
):  # fmt: skip
    """Convolve at 8, 4 or 1 neighbouring places, for one vector of filters."""
    if places == 8:
        sample_strip8(image, at, row, 1, outer, weights, o, lanes, step, weights_outer,
                      weights, bias_at, False, results, into, c_out, lanes, n, rows)  # fmt: skip
    elif places == 4:
        sample_strip4(image, at, row, 1, outer, weights, o, lanes, step, weights_outer,
                      weights, bias_at, False, results, into, c_out, lanes, n, rows)  # fmt: skip
    else:
        sample_strip1(image, at, row, 1, outer, weights, o, lanes, step, weights_outer,
                      weights, bias_at, False, results, into, c_out, lanes, n, rows)  # fmt: skip


def _convolution(op, row, frozen, x, y, state, scratch, count, width):
    kernel, kernel_start = parameter(op, 0, row, frozen)
    bias, bias_start = parameter(op, 1, row, frozen)
    for t in range(count):
        x_start, y_start = t * width * op[INPUTS], t * width * op[OUTPUTS]
        convolve_tile(op, kernel, kernel_start, bias, bias_start, x, x_start, y, y_start, width)


def _convolution_of_few(op, row, frozen, x, y, state, scratch, count, width):
    kernel, kernel_start = parameter(op, 0, row, frozen)
    bias, bias_start = parameter(op, 1, row, frozen)
    convolve_samples(op, kernel, kernel_start, bias, bias_start, x, y, scratch, count)


@inline
def pool(op, maximum, x, y, width):
    """Pool one tile: the largest cell of each window, NaN if one is, or the mean of those in the image."""
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


convolution, convolution_of_few = Step(_convolution), Step(_convolution_of_few)
max_pool = Step(_max_pool)
average_pool = Step(_average_pool)


def scratch_of(sizes: Sequence[int], outputs: int) -> int:
    """Give the length of the scratch of a convolution, from its columns and the outputs of a sample."""
    _, c_in, w_out, filters, height, width, down, right, *_ = sizes
    h_out = outputs // (w_out * filters)
    weights = (height * width * c_in + 1) * (filters + _LANES)
    image = ((h_out - 1) * down + height) * ((w_out - 1) * right + width) * c_in
    return weights + image + w_out * filters + _LANES
