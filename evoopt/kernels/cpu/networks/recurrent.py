"""The code of recurrent layers: RNN, GRU (Cho et al. 2014), LSTM (Hochreiter and Schmidhuber 1997).

A tile goes through all its time steps before the next one. Two products make the gates of a time
step, one from its input and one from the last output. Each gate is then a run of units * width
numbers, for a wide tile or a single sample, so the cells are flat loops. A loop writes to one
array, because with more LLVM would have to check too many pairs for overlap, and would not
vectorize.

See `code.OperationCode` for the arguments. Parameters are kernel (n_in, gates * units), recurrent
kernel (units, gates * units) and bias.
"""

from evoopt.compiling.jit import inline, kernel, widest_vectors
from evoopt.kernels.cpu.networks.code import OperationCode, Parameter, parameter
from evoopt.kernels.cpu.networks.operations import DENSE_SCRATCH
from evoopt.kernels.cpu.networks.products import dense_samples, dense_tiles
from evoopt.kernels.cpu.networks.program import INPUTS, SIZES
from evoopt.rules.math import relu, sigmoid, tanh

# Columns. TIMES is the number of time steps of a call. With 2 BIASES the sums from the input and
# from the last output are apart. SEQUENCES says that the outputs of all time steps are wanted.
TIMES, UNITS, GATES, BIASES, SEQUENCES, ACTIVATION = range(SIZES, SIZES + 6)
LINEAR, TANH, RELU, SIGMOID = range(4)
ACTIVATIONS: dict[object, int] = {"linear": LINEAR, "tanh": TANH, "relu": RELU, "sigmoid": SIGMOID}


def _gate_sums(op, row, frozen, x, h, sums, room, width):
    """Write a tile of `sums` (gates * units, width), the products of input x and last output h.

    With two biases `sums` is twice as long, first the products of x. This is a kernel, not inlined,
    to save time of compilation.
    """
    n = op[UNITS]
    n_out, bias = op[GATES] * n, parameter(op, 2, row, frozen)
    for k in range(2):
        kernel = parameter(op, k, row, frozen)
        source, n_in = (h, n) if k else (x, op[INPUTS] // op[TIMES])
        at = k * (op[BIASES] - 1) * n_out
        adds, own_bias, y = (k > 0) & (at == 0), Parameter(bias.data, bias.start + at), sums[at * width :]
        if width == 1:
            dense_samples(n_in, n_out, kernel, own_bias, adds, source, y, 1)
        else:
            dense_tiles(n_in, n_out, kernel, own_bias, adds, source, y, room, 1, width)


gate_sums = kernel(_gate_sums, allocates=False)


@inline
def joined_sums(op, row, frozen, x, h, sums, room, width):
    """Write `gate_sums`, and add the sums of the last output to the sums of x if they are apart."""
    gate_sums(op, row, frozen, x, h, sums, room, width)
    if op[BIASES] == 2:
        n = op[GATES] * op[UNITS] * width
        total, others = sums[:n], sums[n : 2 * n]
        for k in range(n):
            total[k] += others[k]


@inline
def place_of(op, tile, time, x, width):
    """Return the input of a tile's time step, and the place in y of its output, or -1 for none."""
    moment = tile * op[TIMES] + time
    size = op[INPUTS] // op[TIMES] * width
    wanted = (op[SEQUENCES] > 0) | (time == op[TIMES] - 1)
    at = (moment if op[SEQUENCES] else tile) * op[UNITS] * width
    return x[moment * size : (moment + 1) * size], at if wanted else -1


@inline
def put(h, y, at):
    """Copy an output to y, if it is wanted."""
    if at >= 0:
        out = y[at : at + len(h)]
        for k in range(len(h)):
            out[k] = h[k]


def _rnn(op, row, frozen, x, y, state, scratch, count, width):
    widest_vectors()
    m = op[UNITS] * width
    room, sums = scratch[:DENSE_SCRATCH], scratch[DENSE_SCRATCH : DENSE_SCRATCH + op[BIASES] * m]
    for tile in range(count):
        h = state[tile * m : (tile + 1) * m]
        for time in range(op[TIMES]):
            now, at = place_of(op, tile, time, x, width)
            joined_sums(op, row, frozen, now, h, sums, room, width)
            if op[ACTIVATION] == TANH:
                for k in range(m):
                    h[k] = tanh(sums[k])
            elif op[ACTIVATION] == RELU:
                for k in range(m):
                    h[k] = relu(sums[k])
            elif op[ACTIVATION] == SIGMOID:
                for k in range(m):
                    h[k] = sigmoid(sums[k])
            else:
                for k in range(m):
                    h[k] = sums[k]
            put(h, y, at)


def _gru(op, row, frozen, x, y, state, scratch, count, width):
    """Compute z, r = sigmoid(..); h = z h + (1 - z) tanh(candidate of x + r * candidate of h)."""
    widest_vectors()
    m = op[UNITS] * width
    room, sums = scratch[:DENSE_SCRATCH], scratch[DENSE_SCRATCH : DENSE_SCRATCH + 6 * m]
    gates, z, r, candidate = sums[: 2 * m], sums[:m], sums[m : 2 * m], sums[2 * m : 3 * m]
    gates_h, candidate_h = sums[3 * m : 5 * m], sums[5 * m :]
    for tile in range(count):
        h = state[tile * m : (tile + 1) * m]
        for time in range(op[TIMES]):
            now, at = place_of(op, tile, time, x, width)
            gate_sums(op, row, frozen, now, h, sums, room, width)
            for k in range(2 * m):
                gates[k] = sigmoid(gates[k] + gates_h[k])
            for k in range(m):
                candidate[k] = tanh(candidate[k] + r[k] * candidate_h[k])
            for k in range(m):
                h[k] = candidate[k] + z[k] * (h[k] - candidate[k])
            put(h, y, at)


def _lstm(op, row, frozen, x, y, state, scratch, count, width):
    """Compute i, f, o = sigmoid(..); c = f c + i tanh(candidate); h = o tanh(c)."""
    widest_vectors()
    m = op[UNITS] * width
    room, sums = scratch[:DENSE_SCRATCH], scratch[DENSE_SCRATCH : DENSE_SCRATCH + 4 * op[BIASES] * m]
    gates, i, f = sums[: 2 * m], sums[:m], sums[m : 2 * m]
    candidate, o = sums[2 * m : 3 * m], sums[3 * m : 4 * m]
    for tile in range(count):
        h, c = state[2 * tile * m : (2 * tile + 1) * m], state[(2 * tile + 1) * m : (2 * tile + 2) * m]
        for time in range(op[TIMES]):
            now, at = place_of(op, tile, time, x, width)
            joined_sums(op, row, frozen, now, h, sums, room, width)
            for k in range(2 * m):
                gates[k] = sigmoid(gates[k])
            for k in range(m):
                candidate[k] = tanh(candidate[k])
            for k in range(m):
                c[k] = f[k] * c[k] + i[k] * candidate[k]
            for k in range(m):
                h[k] = sigmoid(o[k]) * tanh(c[k])
            put(h, y, at)


rnn, gru, lstm = map(OperationCode, (_rnn, _gru, _lstm))
