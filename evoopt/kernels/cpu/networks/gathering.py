"""The code of operations that take each output from another place: Embedding, Permute.

See `code.OperationCode` for its arguments.
"""

import numpy as np

from evoopt.compiling.jit import widest_vectors
from evoopt.kernels.cpu.networks.code import OperationCode, parameter
from evoopt.kernels.cpu.networks.program import INPUTS, SIZES

ENTRIES, FEATURES = range(SIZES, SIZES + 2)
# Columns: how many neighbouring numbers stay side by side, then for four axes of the output, from
# the outermost on, their sizes, and the distance of their neighbours in the input
RUN = SIZES
AXES, STRIDES = SIZES + 1, SIZES + 5


def _embedding(op, row, frozen, x, y, state, scratch, count, width):
    table, n = parameter(op, 0, row, frozen), op[FEATURES]
    for place in range(count * op[INPUTS]):
        values = y[place * n * width : (place + 1) * n * width]
        for s in range(width):
            wanted, at = x[place * width + s], np.uintp(s)
            if (wanted >= 0) & (wanted < op[ENTRIES]) & (wanted == np.floor(wanted)):
                start = table.start + np.intp(wanted) * n
                entry = table.data[start : start + n]
                for f in range(n):
                    values[at] = entry[f]
                    at += np.uintp(width)
            else:
                for _ in range(n):
                    values[at] = np.nan
                    at += np.uintp(width)


def _permute(op, row, frozen, x, y, state, scratch, count, width):
    widest_vectors()
    run, into = op[RUN] * width, 0
    for t in range(count):
        for i in range(op[AXES]):
            for j in range(op[AXES + 1]):
                for k in range(op[AXES + 2]):
                    start = t * op[INPUTS] + i * op[STRIDES] + j * op[STRIDES + 1] + k * op[STRIDES + 2]
                    for m in range(op[AXES + 3]):
                        at = (start + m * op[STRIDES + 3]) * width
                        source, target = x[at : at + run], y[into : into + run]
                        for s in range(run):
                            target[s] = source[s]
                        into += run


embedding, permute = OperationCode(_embedding), OperationCode(_permute)
