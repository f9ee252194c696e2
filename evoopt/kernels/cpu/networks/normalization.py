"""The code of operations that shift and scale: LayerNorm, BatchNorm, Rescaling.

See `code.OperationCode` for its arguments.
"""

import numpy as np

from evoopt.kernels.cpu.networks.code import OperationCode, parameter
from evoopt.kernels.cpu.networks.program import OUTPUTS, SIZES
from evoopt.rules.bits import bitcast

# Columns: the number of places along the leading axes; the bits of a float64. Rescaling has two
# such numbers.
POSITIONS, EPSILON = range(SIZES, SIZES + 2)
SCALE, OFFSET = range(SIZES, SIZES + 2)


def _layer_norm(op, row, frozen, x, y, state, scratch, count, width):
    positions = op[POSITIONS]
    n, real = op[OUTPUTS] // positions, type(y[0])
    share, epsilon = real(1) / real(n), real(bitcast(op[EPSILON]))
    gamma, beta = parameter(op, 0, row, frozen), parameter(op, 1, row, frozen)
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
            factor, shift = gamma.data[gamma.start + f], beta.data[beta.start + f]
            z, result = values[f * width : (f + 1) * width], results[f * width : (f + 1) * width]
            for s in range(width):
                result[s] = (z[s] - mean[s]) * scale[s] * factor + shift


def _batch_norm(op, row, frozen, x, y, state, scratch, count, width):
    n, epsilon = op[OUTPUTS] // op[POSITIONS], type(y[0])(bitcast(op[EPSILON]))
    gamma, beta = parameter(op, 0, row, frozen), parameter(op, 1, row, frozen)
    mean, var = parameter(op, 2, row, frozen), parameter(op, 3, row, frozen)
    factors = scratch[:n]
    shifts, means = beta.data[beta.start : beta.start + n], mean.data[mean.start : mean.start + n]
    for c in range(n):
        factors[c] = gamma.data[gamma.start + c] / np.sqrt(var.data[var.start + c] + epsilon)
    for place in range(count * op[POSITIONS]):
        values = x[place * n * width : (place + 1) * n * width]
        results = y[place * n * width : (place + 1) * n * width]
        if width == 1:
            for c in range(n):
                results[c] = (values[c] - means[c]) * factors[c] + shifts[c]
        else:
            for c in range(n):
                centre, factor, shift = means[c], factors[c], shifts[c]
                z, result = values[c * width : (c + 1) * width], results[c * width : (c + 1) * width]
                for s in range(width):
                    result[s] = (z[s] - centre) * factor + shift


def _rescaling(op, row, frozen, x, y, state, scratch, count, width):
    real = type(y[0])
    scale, offset = real(bitcast(op[SCALE])), real(bitcast(op[OFFSET]))
    for i in range(count * width * op[OUTPUTS]):
        y[i] = x[i] * scale + offset


layer_norm, batch_norm, rescaling = map(OperationCode, (_layer_norm, _batch_norm, _rescaling))
