"""The code of short operations: Dense, activations.

See `code.OperationCode` for its arguments.
"""

from evoopt.compiling.jit import named, widest_vectors
from evoopt.kernels.cpu.emit.matrix import Matrix
from evoopt.kernels.cpu.emit.vectors import lanes_of
from evoopt.kernels.cpu.networks.code import OperationCode, parameter
from evoopt.kernels.cpu.networks.products import BREADTH, DEPTH, dense_lanes, dense_samples, dense_tiles
from evoopt.kernels.cpu.networks.program import OUTPUTS, SIZES
from evoopt.rules.bits import bitcast
from evoopt.rules.math import ELEMENTWISE, NUMBERS

DENSE_SCRATCH = DEPTH * BREADTH
# Columns: the number of places along the leading axes, which share one kernel; the inputs and
# outputs of one place (a division would take as long as a small layer)
POSITIONS, PLACE_INPUTS, PLACE_OUTPUTS = range(SIZES, SIZES + 3)
FIRST, SECOND = SIZES, SIZES + 1  # of an activation's numbers: the bits of a float64


def _dense_of_tiles(op, row, frozen, x, y, state, scratch, count, width):
    kernel, bias = parameter(op, 0, row, frozen), parameter(op, 1, row, frozen)
    n_in, n_out, tiles = op[PLACE_INPUTS], op[PLACE_OUTPUTS], count * op[POSITIONS]
    dense_tiles(n_in, n_out, kernel, bias, False, x, y, scratch, tiles, width)


def _dense_of_samples(op, row, frozen, x, y, state, scratch, count, width):
    kernel, bias = parameter(op, 0, row, frozen), parameter(op, 1, row, frozen)
    dense_samples(op[PLACE_INPUTS], op[PLACE_OUTPUTS], kernel, bias, False, x, y, count * op[POSITIONS])


def _dense_of_lanes(op, row, frozen, x, y, state, scratch, count, width):
    kernel, bias = parameter(op, 0, row, frozen), parameter(op, 1, row, frozen)
    n_in, n_out, lanes = op[PLACE_INPUTS], op[PLACE_OUTPUTS], lanes_of(y[0])
    weights = Matrix(kernel.data, kernel.start * lanes, lanes, n_out * lanes, 0)
    biases = Matrix(bias.data, bias.start * lanes, lanes, 0, 0)
    for place in range(count * op[POSITIONS]):
        inputs = Matrix(x, place * n_in * lanes, 0, lanes, 0)
        outputs = Matrix(y, place * n_out * lanes, lanes, 0, 0)
        dense_lanes(weights, inputs, biases, outputs, 0, n_out, n_in)


def _activation(name, rule):
    def activation(op, row, frozen, x, y, state, scratch, count, width):
        widest_vectors()
        for i in range(count * width * op[OUTPUTS]):
            y[i] = rule(y[i])

    return OperationCode(named(activation, name))


def _activation_with_numbers(name, rule, n):
    def activation(op, row, frozen, x, y, state, scratch, count, width):
        widest_vectors()
        numbers = (bitcast(op[FIRST]), bitcast(op[SECOND]))[:n]
        for i in range(count * width * op[OUTPUTS]):
            y[i] = rule(y[i], *numbers)

    return OperationCode(named(activation, f"{name}_with_numbers"))


dense_of_tiles, dense_of_samples, dense_of_lanes = map(
    OperationCode, (_dense_of_tiles, _dense_of_samples, _dense_of_lanes)
)
ACTIVATIONS = {name: _activation(name, rule) for name, rule in ELEMENTWISE.items()}
ACTIVATIONS_WITH_NUMBERS = {
    name: _activation_with_numbers(name, ELEMENTWISE[name], len(numbers)) for name, numbers in NUMBERS.items()
}
