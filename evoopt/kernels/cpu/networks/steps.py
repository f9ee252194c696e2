"""The steps of networks that need no more than a screen: Dense, LayerNorm, activations.

See `code.Step` for their arguments.
"""

import numpy as np

from evoopt.compiling.jit import named, widest_vectors
from evoopt.kernels.cpu.networks.code import Step, parameter
from evoopt.kernels.cpu.networks.products import BREADTH, DEPTH, dense_samples, dense_tiles, rows_product
from evoopt.kernels.cpu.networks.program import OUTPUTS, SIZES
from evoopt.rules.bits import bitcast
from evoopt.rules.math import ELEMENTWISE, exp

DENSE_SCRATCH = DEPTH * BREADTH
# Columns: places of the leading axes, which all take the same kernel, and the numbers of one place that come
# in and go out (a division would take as long as a small layer); bits of a float64
POSITIONS, PLACE_INPUTS, PLACE_OUTPUTS = range(SIZES, SIZES + 3)
EPSILON = SIZES + 1


def _dense_tiles(op, row, frozen, x, y, state, scratch, count, width):
    n_in, n_out = op[PLACE_INPUTS], op[PLACE_OUTPUTS]
    kernel, kernel_start = parameter(op, 0, row, frozen)
    bias, bias_start = parameter(op, 1, row, frozen)
    tiles = count * op[POSITIONS]
    dense_tiles(n_in, n_out, kernel, kernel_start, bias, bias_start, False, x, y, scratch, tiles, width)


def _dense_samples(op, row, frozen, x, y, state, scratch, count, width):
    n_in, n_out = op[PLACE_INPUTS], op[PLACE_OUTPUTS]
    kernel, kernel_start = parameter(op, 0, row, frozen)
    bias, bias_start = parameter(op, 1, row, frozen)
    dense_samples(n_in, n_out, kernel, kernel_start, bias, bias_start, False, x, y, count * op[POSITIONS])


def _dense_rows(op, row, frozen, x, y, state, scratch, count, width):
    n_in, n_out = op[PLACE_INPUTS], op[PLACE_OUTPUTS]
    kernel, kernel_start = parameter(op, 0, row, frozen)
    bias, bias_start = parameter(op, 1, row, frozen)
    for place in range(count * op[POSITIONS]):
        rows_product(
            n_in, n_out, kernel, kernel_start * width, bias, bias_start * width,
            x, place * n_in * width, y, place * n_out * width, width,
        )  # fmt: skip


def _activation(name, rule):
    def activation(op, row, frozen, x, y, state, scratch, count, width):
        widest_vectors()
        for i in range(count * width * op[OUTPUTS]):
            y[i] = rule(y[i])

    return Step(named(activation, name))


def _softmax(op, row, frozen, x, y, state, scratch, count, width):
    widest_vectors()
    positions = op[POSITIONS]
    n = op[OUTPUTS] // positions
    largest, total = scratch[:width], scratch[width : 2 * width]
    for place in range(count * positions):
        values = y[place * n * width : (place + 1) * n * width]
        for s in range(width):
            largest[s] = values[s]
            total[s] = 0
        for f in range(1, n):
            z = values[f * width : (f + 1) * width]
            for s in range(width):
                largest[s] = z[s] if z[s] > largest[s] else largest[s]
        for f in range(n):
            z = values[f * width : (f + 1) * width]
            for s in range(width):
                z[s] = exp(z[s] - largest[s])
                total[s] += z[s]
        for f in range(n):
            z = values[f * width : (f + 1) * width]
            for s in range(width):
                z[s] /= total[s]


def _layer_norm(op, row, frozen, x, y, state, scratch, count, width):
    positions = op[POSITIONS]
    n, real = op[OUTPUTS] // positions, type(y[0])
    share, epsilon = real(1) / real(n), real(bitcast(op[EPSILON]))
    gamma, gamma_start = parameter(op, 0, row, frozen)
    beta, beta_start = parameter(op, 1, row, frozen)
    mean, scale = scratch[:width], scratch[width : 2 * width]
    for place in range(count * positions):
        values = x[place * n * width : (place + 1) * n * width]
        results = y[place * n * width : (place + 1) * n * width]
        for s in range(width):
            mean[s] = 0
            scale[s] = 0
        for f in range(n):
            z = values[f * width : (f + 1) * width]
            for s in range(width):
                mean[s] += z[s] * share
        for f in range(n):
            z = values[f * width : (f + 1) * width]
            for s in range(width):
                scale[s] += (z[s] - mean[s]) * (z[s] - mean[s])
        for s in range(width):
            scale[s] = real(1) / np.sqrt(scale[s] * share + epsilon)
        for f in range(n):
            factor, shift = gamma[gamma_start + f], beta[beta_start + f]
            z, result = values[f * width : (f + 1) * width], results[f * width : (f + 1) * width]
            for s in range(width):
                result[s] = (z[s] - mean[s]) * scale[s] * factor + shift


dense, dense_of_few, dense_of_rows = Step(_dense_tiles), Step(_dense_samples), Step(_dense_rows)
layer_norm = Step(_layer_norm)
softmax = Step(_softmax)
ACTIVATIONS = {name: _activation(name, rule) for name, rule in ELEMENTWISE.items()} | {"softmax": softmax}
