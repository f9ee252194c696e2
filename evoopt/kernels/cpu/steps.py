"""The steps of networks that need no more than a screen: products of Dense layers, activations.

See `operation.Step` for their arguments.
"""

from evoopt.kernels.cpu.operation import Step, parameter
from evoopt.kernels.cpu.products import BREADTH, DEPTH, dense_samples, dense_tiles
from evoopt.kernels.jit import widest_vectors
from evoopt.kernels.math import elu, exp, gelu, relu, sigmoid, silu, softplus, tanh
from evoopt.kernels.program import INPUTS, OUTPUTS, SIZES

DENSE_SCRATCH = DEPTH * BREADTH
POSITIONS = SIZES  # column: places of the leading axes, which all take the same kernel


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
            for s in range(width):
                v = values[f * width + s]
                largest[s] = v if v > largest[s] else largest[s]
        for f in range(n):
            for s in range(width):
                e = exp(values[f * width + s] - largest[s])
                values[f * width + s] = e
                total[s] += e
        for f in range(n):
            for s in range(width):
                values[f * width + s] /= total[s]


dense, dense_of_few = Step(_dense_tiles), Step(_dense_samples)
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
