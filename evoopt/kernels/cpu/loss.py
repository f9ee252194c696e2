"""Losses of a whole population on samples that all share; the outputs never leave their tile."""

from evoopt.kernels.cpu.forward import run_tile, widest
from evoopt.kernels.cpu.simd import tile_width
from evoopt.kernels.jit import aligned_empty, inline, kernel
from evoopt.kernels.math import exp, log
from evoopt.kernels.program import OUTPUTS

# What `targets` means to a loss: LABELS are class numbers, the others one number for each output.
CROSS_ENTROPY_LABELS, CROSS_ENTROPY, MSE = range(3)


@inline
def cross_entropy(logits, n, width, targets, has_labels, losses, largest):
    """-sum_o p_o log softmax(logits)_o for each sample of a tile; targets are labels or probabilities p."""
    for s in range(width):
        largest[s] = logits[s]
        losses[s] = 0
    for o in range(1, n):
        for s in range(width):
            v = logits[o * width + s]
            largest[s] = v if v > largest[s] else largest[s]
    for o in range(n):
        for s in range(width):
            losses[s] += exp(logits[o * width + s] - largest[s])
    for s in range(width):
        losses[s] = log(losses[s]) + largest[s]
    if has_labels:
        for s in range(width):
            losses[s] -= logits[int(targets[s]) * width + s]
    else:
        for s in range(width):
            largest[s] = losses[s]  # now the logarithm of the normalizer
            losses[s] = 0
        for o in range(n):
            for s in range(width):
                losses[s] += targets[o * width + s] * (largest[s] - logits[o * width + s])


@inline
def mean_squared_error(outputs, n, width, targets, losses):
    """Mean over the outputs of the squared error, for each sample of a tile."""
    scale = type(losses[0])(1) / type(losses[0])(n)
    for s in range(width):
        losses[s] = 0
    for o in range(n):
        for s in range(width):
            error = outputs[o * width + s] - targets[o * width + s]
            losses[s] += error * error
    for s in range(width):
        losses[s] *= scale


@kernel
def loss_tiles(population, frozen, program, tiles, targets, batch, loss, columns, lanes, sums, lo, hi):
    """Items [lo, hi) of popsize x n_tiles, row by row: `sums` (popsize, n_tiles) over the samples of a tile.

    `tiles` (n_tiles, n_in * columns) and `targets` (n_tiles, 1 or n_out * columns) are feature-major.
    """
    n_tiles = len(tiles)
    n_out = program[-1, OUTPUTS]
    buffers = aligned_empty(2, widest(program) * columns, population)
    losses = aligned_empty(2, columns, population)
    for item in range(lo, hi):
        r, t = divmod(item, n_tiles)
        samples = min(columns, batch - t * columns)
        width = tile_width(samples, columns, lanes)
        y = run_tile(program, population[r], frozen, tiles[t], buffers[0], buffers[1], width, columns, lanes)
        if loss == MSE:
            mean_squared_error(y, n_out, width, targets[t], losses[0])
        else:
            has_labels = loss == CROSS_ENTROPY_LABELS
            cross_entropy(y, n_out, width, targets[t], has_labels, losses[0], losses[1])
        total = 0.0
        for s in range(samples):
            total += losses[0, s]
        sums[r, t] = total
