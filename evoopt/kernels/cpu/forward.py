"""Forward passes of a whole population, straight from its rows by offset.

Many samples: activations are feature-major, in tiles of T samples side by side: feature f of a tile is the T
numbers from ``f * T`` on; the last tile is only as wide as its samples need. So vector instructions work on
samples, whatever the width of a layer. Few samples: activations are sample-major and the vectors lie along
the outputs instead.
"""

import numpy as np

from evoopt.kernels.cpu.function import call_elementwise
from evoopt.kernels.cpu.simd import dense_features, dense_samples, tile_width
from evoopt.kernels.cpu.transpose import store_samples
from evoopt.kernels.jit import aligned_empty, inline, kernel
from evoopt.kernels.math import exp, gelu, relu, sigmoid, silu, tanh
from evoopt.kernels.program import (
    ADDRESS,
    BIAS,
    BIAS_FROZEN,
    DENSE,
    FUNCTION,
    GELU,
    INPUTS,
    KERNEL,
    KERNEL_FROZEN,
    OPERATION,
    OUTPUTS,
    RELU,
    SIGMOID,
    SILU,
    SOFTMAX,
    TANH,
)


@inline
def softmax(values, n, step, lanes, lane_step):
    """Softmax in place over n features `step` apart, for `lanes` samples `lane_step` apart."""
    largest, total = values[:lanes].copy(), np.zeros(lanes, values.dtype)
    for f in range(n):
        for lane in range(lanes):
            v = values[f * step + lane * lane_step]
            largest[lane] = v if (v > largest[lane]) | (f == 0) else largest[lane]
    for f in range(n):
        for lane in range(lanes):
            e = exp(values[f * step + lane * lane_step] - largest[lane])
            values[f * step + lane * lane_step] = e
            total[lane] += e
    for f in range(n):
        for lane in range(lanes):
            values[f * step + lane * lane_step] /= total[lane]


@inline
def activate(operation, address, values):
    """Apply an element by element activation in place."""
    if operation == TANH:
        for i in range(values.size):
            values[i] = tanh(values[i])
    elif operation == RELU:
        for i in range(values.size):
            values[i] = relu(values[i])
    elif operation == SIGMOID:
        for i in range(values.size):
            values[i] = sigmoid(values[i])
    elif operation == GELU:
        for i in range(values.size):
            values[i] = gelu(values[i])
    elif operation == SILU:
        for i in range(values.size):
            values[i] = silu(values[i])
    elif operation == FUNCTION:
        call_elementwise(address, values)


@inline
def run_tile(program, row, frozen, x, front, back, width, columns, lanes):
    """Run a network on one tile, x (n_in * width,); gives the buffer whose start holds the outputs."""
    source, target, spare = x, front, back
    for op in program:
        if op[OPERATION] == DENSE:
            kernel = frozen if op[KERNEL_FROZEN] else row
            bias = frozen if op[BIAS_FROZEN] else row
            dense_features(
                op[INPUTS],
                op[OUTPUTS],
                kernel,
                op[KERNEL],
                bias,
                op[BIAS],
                source,
                target,
                width,
                columns,
                lanes,
            )
            source, target, spare = target, spare, target
        elif op[OPERATION] == SOFTMAX:
            softmax(source, op[OUTPUTS], width, width, 1)
        else:
            activate(op[OPERATION], op[ADDRESS], source[: op[OUTPUTS] * width])
    return source


@inline
def run_samples(program, row, frozen, x, front, back, samples, columns):
    """Run a network on a few samples, x (samples * n_in,); gives the buffer that begins with the outputs."""
    source, target, spare = x, front, back
    for op in program:
        if op[OPERATION] == DENSE:
            kernel = frozen if op[KERNEL_FROZEN] else row
            bias = frozen if op[BIAS_FROZEN] else row
            dense_samples(
                op[INPUTS], op[OUTPUTS], kernel, op[KERNEL], bias, op[BIAS], source, target, samples, columns
            )
            source, target, spare = target, spare, target
        elif op[OPERATION] == SOFTMAX:
            softmax(source, op[OUTPUTS], 1, samples, op[OUTPUTS])
        else:
            activate(op[OPERATION], op[ADDRESS], source[: op[OUTPUTS] * samples])
    return source


@inline
def widest(program):
    """Give the number of features of the widest layer."""
    features = 1
    for op in program:
        features = max(features, op[OUTPUTS])
    return features


@inline
def pack_tile(samples, first, tile, width):
    """Write `samples` (batch, n_in) from `first` on into a tile (n_in * width,), padded by 0."""
    batch, n_in = samples.shape
    count = min(width, batch - first)
    for i in range(n_in):
        for s in range(count):
            tile[i * width + s] = samples[first + s, i]
        for s in range(count, width):
            tile[i * width + s] = 0


@kernel
def pack_tiles(samples, columns, lanes, tiles, lo, hi):
    """Write tiles [lo, hi) of `tiles` (n_tiles, n_in * columns) from `samples` (batch, n_in).

    The last one may be narrower: then it takes only the start of its row, n_in * width.
    """
    for t in range(lo, hi):
        first = t * columns
        pack_tile(samples, first, tiles[t], tile_width(len(samples) - first, columns, lanes))


@kernel
def forward_tiles(population, frozen, program, tiles, inputs, columns, lanes, out, lo, hi):
    """Items [lo, hi) of popsize x n_tiles, row by row: out (popsize, batch, n_out).

    Inputs that all share come packed, `tiles` (n_tiles, n_in * columns), with `inputs` empty; inputs of each
    its own come as `inputs` (popsize, batch, n_in).
    """
    batch, n_out = out.shape[1:]
    n_tiles = (batch + columns - 1) // columns
    features = widest(program)
    own = inputs.shape[0] > 0
    flat = out.reshape(-1)
    buffers = aligned_empty(3, max(features, inputs.shape[2]) * columns, population)
    for item in range(lo, hi):
        r, t = divmod(item, n_tiles)
        first = t * columns
        width = tile_width(batch - first, columns, lanes)
        if own:
            x = buffers[2]
            pack_tile(inputs[r], first, x, width)
        else:
            x = tiles[t]
        y = run_tile(program, population[r], frozen, x, buffers[0], buffers[1], width, columns, lanes)
        store_samples(y, width, n_out, min(width, batch - first), flat, (r * batch + first) * n_out)


@kernel
def forward_samples(population, frozen, program, inputs, columns, out, lo, hi):
    """Rows [lo, hi): out (popsize, batch, n_out) for a few `inputs` (popsize or 1, batch, n_in)."""
    batch, n_out = out.shape[1:]
    buffers = aligned_empty(2, widest(program) * batch + columns, population)
    for r in range(lo, hi):
        x = inputs[r if inputs.shape[0] > 1 else 0].reshape(-1)
        y = run_samples(program, population[r], frozen, x, buffers[0], buffers[1], batch, columns)
        for s in range(batch):
            for o in range(n_out):
                out[r, s, o] = y[s * n_out + o]
