"""Losses of a whole population on samples that all share; the outputs never leave their tile."""

from evoopt.kernels.cpu.forward import block_at, block_memory, run_block
from evoopt.kernels.jit import aligned_empty, borrowed, inline, keep, kernel
from evoopt.kernels.math import exp, log
from evoopt.kernels.program import INPUTS, OUTPUTS

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
def loss_blocks(
    population,
    frozen,
    program,
    widest,
    room,
    tiles,
    targets,
    batch,
    loss,
    n_state,
    columns,
    lanes,
    block,
    sums,
    lo,
    hi,
):
    """Items [lo, hi) of popsize x blocks, row by row: `sums` (popsize, blocks) over the samples of a block.

    `tiles` (n_tiles, n_in * columns) and `targets` (n_tiles, 1 or n_out * columns) are feature-major. States
    start from 0.
    """
    population, frozen, program = borrowed(population), borrowed(frozen), borrowed(program)
    tiles, targets, sums = borrowed(tiles), borrowed(targets), borrowed(sums)
    n_blocks = sums.shape[1]
    n_out = program[-1, OUTPUTS]
    shared = tiles.reshape(-1)
    memory, front, back, _, state, scratch = block_memory(
        widest, 0, n_state, columns * block, room, population
    )
    losses = aligned_empty(2, columns, population)
    for item in range(lo, hi):
        r, b = divmod(item, n_blocks)
        first, count, width = block_at(b, batch, columns, lanes, block)
        x = shared[first * program[0, INPUTS] :]
        state[:] = 0
        y = run_block(program, population[r], frozen, x, front, back, state, scratch, count, width)
        total = 0.0
        for t in range(count):
            outputs, own = y[t * n_out * width :], targets[first // columns + t]
            if loss == MSE:
                mean_squared_error(outputs, n_out, width, own, losses[0])
            else:
                has_labels = loss == CROSS_ENTROPY_LABELS
                cross_entropy(outputs, n_out, width, own, has_labels, losses[0], losses[1])
            for s in range(min(width, batch - first - t * width)):
                total += losses[0, s]
        sums[r, b] = total
    keep(memory)
