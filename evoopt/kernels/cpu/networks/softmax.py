"""The code of softmax and its logarithm, over the last axis; losses share the logarithm's parts.

See `code.OperationCode` for its arguments.
"""

from evoopt.compiling.jit import inline, widest_vectors
from evoopt.kernels.cpu.networks.code import OperationCode
from evoopt.kernels.cpu.networks.program import OUTPUTS, SIZES
from evoopt.rules.math import exp, log

POSITIONS = SIZES  # a column: the number of places along the leading axes


@inline
def feature(i, width):
    """Return where feature i of a tile lies."""
    # A slice, because LLVM would make a gather of an index i * width + s, which might be negative
    return slice(i * width, (i + 1) * width)


@inline
def log_normalizer(logits, n, width, result, largest):
    """Write log(sum_o exp(z_o - largest)), and the largest z itself, for each sample."""
    widest_vectors()
    first = logits[feature(0, width)]
    for s in range(width):
        largest[s] = first[s]
        result[s] = 0
    for o in range(1, n, 2):  # two at a time take fewer passes over `largest`
        one, two = logits[feature(o, width)], logits[feature(min(o + 1, n - 1), width)]
        for s in range(width):
            v = one[s] if one[s] > two[s] else two[s]
            largest[s] = v if v > largest[s] else largest[s]
    for o in range(n):
        z = logits[feature(o, width)]
        for s in range(width):
            result[s] += exp(z[s] - largest[s])  # a NaN among them stays
    for s in range(width):
        result[s] = log(result[s])


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


def _log_softmax(op, row, frozen, x, y, state, scratch, count, width):
    widest_vectors()
    positions = op[POSITIONS]
    n = op[OUTPUTS] // positions
    largest, normalizer = scratch[:width], scratch[width : 2 * width]
    for place in range(count * positions):
        values = y[place * n * width : (place + 1) * n * width]
        log_normalizer(values, n, width, normalizer, largest)
        for f in range(n):
            z = values[feature(f, width)]
            for s in range(width):
                z[s] = (z[s] - largest[s]) - normalizer[s]


softmax, log_softmax = OperationCode(_softmax), OperationCode(_log_softmax)
