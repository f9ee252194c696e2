"""The code of operations that copy values and merge them: slices, concatenations, sums, products.

See `code.OperationCode` for its arguments.
"""

from evoopt.compiling.jit import widest_vectors
from evoopt.kernels.cpu.networks.code import OperationCode
from evoopt.kernels.cpu.networks.program import INPUTS, OUTPUTS, SIZES

# Columns: how many runs of neighbouring features are copied, their length, and for x and y the
# distance from one run to the next and the place of the first
RUNS, LENGTH, X_STRIDE, X_FIRST, Y_STRIDE, Y_FIRST = range(SIZES, SIZES + 6)


def _copy(op, row, frozen, x, y, state, scratch, count, width):
    widest_vectors()
    n = op[LENGTH] * width
    for t in range(count):
        for run in range(op[RUNS]):
            start = (t * op[INPUTS] + op[X_FIRST] + run * op[X_STRIDE]) * width
            into = (t * op[OUTPUTS] + op[Y_FIRST] + run * op[Y_STRIDE]) * width
            source, target = x[start : start + n], y[into : into + n]
            for i in range(n):
                target[i] = source[i]


def _add(op, row, frozen, x, y, state, scratch, count, width):
    widest_vectors()
    for i in range(count * width * op[OUTPUTS]):
        y[i] += x[i]


def _multiply(op, row, frozen, x, y, state, scratch, count, width):
    widest_vectors()
    for i in range(count * width * op[OUTPUTS]):
        y[i] *= x[i]


copy, add, multiply = map(OperationCode, (_copy, _add, _multiply))
