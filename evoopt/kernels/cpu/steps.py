"""The steps of networks that need no more than a screen: Dense, LayerNorm, activations.

See `operation.Step` for their arguments.
"""

import numpy as np

from evoopt.kernels.bits import bitcast
from evoopt.kernels.cpu.operation import Step, parameter
from evoopt.kernels.cpu.products import BREADTH, DEPTH, dense_samples, dense_tiles
from evoopt.kernels.jit import widest_vectors
from evoopt.kernels.math import elu, exp, gelu, relu, sigmoid, silu, softplus, tanh
from evoopt.kernels.program import INPUTS, OUTPUTS, SIZES

DENSE_SCRATCH = DEPTH * BREADTH
# Columns: places of the leading axes, which all take the same kernel; bits of a float64
POSITIONS, EPSILON = SIZES, SIZES + 1


def _dense_tiles(op, row, frozen, x, y, state, scratch, count, width):
    positions = op[POSITIONS]
    n_in, n_out = op[INPUTS] // positions, op[OUTPUTS] // positions
    kernel, kernel_start = parameter(op, 0, row, frozen)
    bias, bias_start = parameter(op, 1, row, frozen)
    tiles = count * positions
    dense_tiles(n_in, n_out, kernel, kernel_start, bias, bias_start, False, x, y, scratch, tiles, width)


def _dense_samples(op, row, frozen, x, y, state, scratch, count, width):
    positions = op[POSITIONS]
    n_in, n_out = op[INPUTS] // positions, op[OUTPUTS] // positions
    kernel, kernel_start = parameter(op, 0, row, frozen)
    bias, bias_start = parameter(op, 1, row, frozen)
    samples = count * positions
    dense_samples(n_in, n_out, kernel, kernel_start, bias, bias_start, False, x, y, scratch, samples)


def _tanh(op, row, frozen, x, y, state, scratch, count, width):
    widest_vectors()
    for i in range(count * width * op[OUTPUTS]):
        y[i] = tanh(y[i])


def _relu(op, row, frozen, x, y, state, scratch, count, width):
    widest_vectors()
    for i in range(count * width * op[OUTPUTS]):
        y[i] = relu(y[i])


def _sigmoid(op, row, frozen, x, y, state, scratch, count, width):
    widest_vectors()
    for i in range(count * width * op[OUTPUTS]):
        y[i] = sigmoid(y[i])


def _gelu(op, row, frozen, x, y, state, scratch, count, width):
    widest_vectors()
    for i in range(count * width * op[OUTPUTS]):
        y[i] = gelu(y[i])


def _silu(op, row, frozen, x, y, state, scratch, count, width):
    widest_vectors()
    for i in range(count * width * op[OUTPUTS]):
        y[i] = silu(y[i])


def _elu(op, row, frozen, x, y, state, scratch, count, width):
    widest_vectors()
    for i in range(count * width * op[OUTPUTS]):
        y[i] = elu(y[i])


def _softplus(op, row, frozen, x, y, state, scratch, count, width):
    widest_vectors()
    for i in range(count * width * op[OUTPUTS]):
        y[i] = softplus(y[i])


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


dense, dense_of_few = Step(_dense_tiles), Step(_dense_samples)
layer_norm = Step(_layer_norm)
softmax = Step(_softmax)
ACTIVATIONS = {
    "tanh": Step(_tanh),
    "relu": Step(_relu),
    "sigmoid": Step(_sigmoid),
    "gelu": Step(_gelu),
    "silu": Step(_silu),
    "elu": Step(_elu),
    "softplus": Step(_softplus),
    "softmax": softmax,
}
