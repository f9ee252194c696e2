"""Steps over windows of images: convolution, max and average pooling.

An image (height, width, channels) is row-major, so one row of a window is a run of neighbouring features.
See `operation.Step` for the arguments of a step.
"""

import numpy as np

from evoopt.kernels.cpu.operation import Step, parameter
from evoopt.kernels.cpu.products import columns_of, lanes_of, product_of_tile
from evoopt.kernels.cpu.simd import sample_strip1, sample_strip4, tile_shape
from evoopt.kernels.jit import inline
from evoopt.kernels.program import INPUTS, OUTPUTS, SIZES

# Columns: of the image that comes in and the one that goes out, of the window, and of the cells beyond the
# image before its first row and column.
WIDTH_IN, CHANNELS_IN, WIDTH_OUT, CHANNELS_OUT, HEIGHT, WIDTH, DOWN, RIGHT, ABOVE, LEFT = range(
    SIZES, SIZES + 10
)


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
def convolve_sample(op, kernel, kernel_start, bias, bias_start, x, x_start, y, y_start, scratch):
    """Convolve one sample: vectors along the filters, `scratch` holds them padded to whole vectors."""
    w_in, c_in, w_out, c_out = op[WIDTH_IN], op[CHANNELS_IN], op[WIDTH_OUT], op[CHANNELS_OUT]
    h_in, h_out = op[INPUTS] // (w_in * c_in), op[OUTPUTS] // (w_out * c_out)
    lanes = lanes_of(y[0])
    padded = (c_out + lanes - 1) // lanes * lanes
    n = op[HEIGHT] * op[WIDTH] * c_in
    weights, results = scratch[: (n + 1) * padded], scratch[(n + 1) * padded :]
    for k in range(n):
        for o in range(c_out):
            weights[k * padded + o] = kernel[kernel_start + k * c_out + o]
    for o in range(c_out):
        weights[n * padded + o] = bias[bias_start + o]
    lo, hi = whole_windows(op[RIGHT], op[LEFT], op[WIDTH], w_in, w_out)
    for i in range(h_out):
        row, row_skipped, rows = clipped(i, op[DOWN], op[ABOVE], op[HEIGHT], h_in)
        j = 0
        while j < w_out:
            column, skipped, cells = clipped(j, op[RIGHT], op[LEFT], op[WIDTH], w_in)
            places = 4 if (lo <= j) & (j + 4 <= hi) else 1
            at, x_at = (
                (row_skipped * op[WIDTH] + skipped) * c_in * padded,
                x_start + (row * w_in + column) * c_in,
            )
            for o in range(0, padded, lanes):
                if places == 4:
                    sample_strip4(
                        x, x_at, op[RIGHT] * c_in, 1, w_in * c_in,
                        weights, at + o, lanes, padded, op[WIDTH] * c_in * padded,
                        weights, n * padded + o, False, results, o, padded, lanes, cells * c_in, rows,
                    )  # fmt: skip
                else:
                    sample_strip1(
                        x, x_at, op[RIGHT] * c_in, 1, w_in * c_in,
                        weights, at + o, lanes, padded, op[WIDTH] * c_in * padded,
                        weights, n * padded + o, False, results, o, padded, lanes, cells * c_in, rows,
                    )  # fmt: skip
            for p in range(places):
                for o in range(c_out):
                    y[y_start + (i * w_out + j + p) * c_out + o] = results[p * padded + o]
            j += places


def _convolution(op, row, frozen, x, y, state, scratch, count, width):
    kernel, kernel_start = parameter(op, 0, row, frozen)
    bias, bias_start = parameter(op, 1, row, frozen)
    for t in range(count):
        x_start, y_start = t * width * op[INPUTS], t * width * op[OUTPUTS]
        if width == 1:
            convolve_sample(op, kernel, kernel_start, bias, bias_start, x, x_start, y, y_start, scratch)
        else:
            convolve_tile(op, kernel, kernel_start, bias, bias_start, x, x_start, y, y_start, width)


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


convolution = Step(_convolution)
max_pool = Step(_max_pool)
average_pool = Step(_average_pool)


def scratch_of(n_in: int, filters: int) -> int:
    """Give the length of the scratch of a convolution with windows of n_in numbers."""
    return (n_in + 5) * (filters + tile_shape(np.dtype(np.float32))[1])
