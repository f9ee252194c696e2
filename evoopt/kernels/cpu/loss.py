"""Losses of a whole population on samples that all share; the outputs never leave their tile."""

from evoopt.kernels.cpu.forward import run_tile, widest
from evoopt.kernels.jit import aligned_empty, inline, kernel
from evoopt.kernels.math import exp, log
from evoopt.kernels.program import OUTPUTS

# What `targets` means to a loss: LABELS are class numbers, the others one number for each output.
CROSS_ENTROPY_LABELS, CROSS_ENTROPY, MSE = range(3)


@inline
def cross_entropy(logits, n, columns, targets, has_labels, losses, largest):
    """-sum_o p_o log softmax(logits)_o for each sample of a tile; targets are labels or probabilities p."""
    for s in range(columns):
        largest[s] = logits[s]
        losses[s] = 0
    for o in range(1, n):
        for s in range(columns):
            v = logits[o * columns + s]
            largest[s] = v if v > largest[s] else largest[s]
    for o in range(n):
        for s in range(columns):
            losses[s] += exp(logits[o * columns + s] - largest[s])
    for s in range(columns):
        losses[s] = log(losses[s]) + largest[s]
    if has_labels:
        for s in range(columns):
            losses[s] -= logits[int(targets[s]) * columns + s]
    else:
        for s in range(columns):
            largest[s] = losses[s]  # now the logarithm of the normalizer
            losses[s] = 0
        for o in range(n):
            for s in range(columns):
                losses[s] += targets[o * columns + s] * (largest[s] - logits[o * columns + s])


@inline
def mean_squared_error(outputs, n, columns, targets, losses):
    """Mean over the outputs of the squared error, for each sample of a tile."""
    scale = type(losses[0])(1) / type(losses[0])(n)
    for s in range(columns):
        losses[s] = 0
    for o in range(n):
        for s in range(columns):
            error = outputs[o * columns + s] - targets[o * columns + s]
            losses[s] += error * error
    for s in range(columns):
        losses[s] *= scale


@kernel
def loss_tiles(population, frozen, program, tiles, targets, batch, loss, columns, sums, lo, hi):
    """Items [lo, hi) of popsize x n_tiles, row by row: `sums` (popsize, n_tiles) over the samples of a tile.

    `tiles` (n_tiles, n_in * columns) and `targets` (n_tiles, 1 or n_out * columns) are feature-major.
    """
    n_tiles = len(tiles)
    n_out = program[-1, OUTPUTS]
    buffers = aligned_empty(2, widest(program) * columns, population)
    losses = aligned_empty(2, columns, population)
    for item in range(lo, hi):
        r, t = divmod(item, n_tiles)
        y = run_tile(program, population[r], frozen, tiles[t], buffers[0], buffers[1], columns)
        if loss == MSE:
            mean_squared_error(y, n_out, columns, targets[t], losses[0])
        else:
            has_labels = loss == CROSS_ENTROPY_LABELS
            cross_entropy(y, n_out, columns, targets[t], has_labels, losses[0], losses[1])
        total = 0.0
        for s in range(min(columns, batch - t * columns)):
            total += losses[0, s]
        sums[r, t] = total
