"""Losses of a population on shared samples, of layers or of the outputs of a user's function."""

from evoopt.compiling.arrays import aligned_empty, borrowed, keep
from evoopt.compiling.jit import inline, kernel
from evoopt.kernels.cpu.emit.vectors import lanes_of, tile_width
from evoopt.kernels.cpu.networks.code import call
from evoopt.kernels.cpu.networks.forward import chunk_at, chunk_memory, pack_samples, run_chunk
from evoopt.kernels.cpu.networks.program import INPUTS, OUTPUTS


@kernel
def pack_chosen(samples, chosen, columns, tiles, lo, hi):
    """Write tiles [lo, hi) of `tiles` (n_tiles, n * columns) from the `chosen` `samples` (any, n).

    The last tile may be narrower: then it takes only the start of its row, n * width.
    """
    n, lanes = samples.shape[1], lanes_of(tiles[0, 0])
    for t in range(lo, hi):
        left = len(chosen) - t * columns
        width, tile = tile_width(left, columns, lanes), tiles[t]
        for s in range(min(width, left)):
            sample = samples[chosen[t * columns + s]]
            for i in range(n):
                tile[i * width + s] = sample[i]
        for s in range(left, width):
            for i in range(n):
                tile[i * width + s] = 0


@inline
def _sum(parts, n):
    """Return the sum of the first n parts, which it overwrites, added by halves in vectors."""
    while n > 1:
        half = (n + 1) // 2
        upper = parts[half:n]
        for s in range(len(upper)):
            parts[s] += upper[s]
        n = half
    return parts[0]


@inline
def _loss_memory(columns, like, sums):
    """Return two arrays of memory, and the room of `_sum_of_losses` in them, valid until `keep`."""
    of_losses, of_sums = aligned_empty(3, columns, like), aligned_empty(1, columns, sums)
    losses, scratch = borrowed(of_losses[0]), borrowed(of_losses[1:]).reshape(2 * columns)
    return of_losses, of_sums, (losses, scratch, borrowed(of_sums[0]))


@inline
def _sum_of_losses(loss, y, n_out, targets, weights, first, count, width, columns, room):
    """Return the sum of the weighted losses of `count` tiles of outputs y, samples `first` on."""
    losses, scratch, parts = room
    batch, n_targets = len(weights), targets.shape[1] // columns
    parts[:] = 0
    for t in range(count):
        own = weights[first + t * width : min(first + (t + 1) * width, batch)]
        call(
            loss, y[t * n_out * width :], targets[first // columns + t], losses, scratch,
            n_out, n_targets, len(own), width,
        )  # fmt: skip
        for s in range(len(own)):
            parts[s] += own[s] * losses[s]
    return _sum(parts, min(width, batch - first))


@kernel
def loss_chunks(population, frozen, program, tiles, targets, weights, loss, columns, chunk, sums, lo, hi):
    """Write items [lo, hi) of `sums` (popsize, chunks), row by row: sums of weighted losses.

    `tiles` (n_tiles, n_in * columns) and `targets` (n_tiles, n_targets * columns) are
    feature-major, `weights` (batch,) float64. `loss` is the address of a `Loss`, and a chunk has
    `chunk` tiles. States start from 0.
    """
    population, frozen, program = borrowed(population), borrowed(frozen), borrowed(program)
    tiles, targets, weights, sums = borrowed(tiles), borrowed(targets), borrowed(weights), borrowed(sums)
    batch, n_chunks, lanes = len(weights), sums.shape[1], lanes_of(frozen[0])
    n_out, shared = program[-1, OUTPUTS], tiles.reshape(-1)
    memory, values, _, state, scratch = chunk_memory(program, 0, columns * chunk, population)
    of_losses, of_sums, room = _loss_memory(columns, population, sums)
    for item in range(lo, hi):
        r, c = divmod(item, n_chunks)
        first, count, width = chunk_at(c, batch, columns, lanes, chunk)
        x = shared[first * program[0, INPUTS] :]
        state[:] = 0
        y = run_chunk(program, population[r], frozen, x, values, state, scratch, count, width)
        sums[r, c] = _sum_of_losses(loss, y, n_out, targets, weights, first, count, width, columns, room)
    keep(memory)
    keep(of_losses)
    keep(of_sums)


@kernel
def loss_of_outputs(outputs, targets, weights, loss, columns, sums, lo, hi):
    """Write items [lo, hi) of `sums` (popsize, tiles), row by row: sums of weighted losses.

    `outputs` is (popsize, batch, n_out); `loss_chunks` tells of the other arguments.
    """
    outputs, targets = borrowed(outputs), borrowed(targets)
    weights, sums = borrowed(weights), borrowed(sums)
    batch, n_out = outputs.shape[1:]
    n_tiles, lanes = sums.shape[1], lanes_of(targets[0, 0])
    memory = aligned_empty(1, n_out * columns, outputs)
    of_losses, of_sums, room = _loss_memory(columns, outputs, sums)
    y = borrowed(memory[0])
    for item in range(lo, hi):
        r, c = divmod(item, n_tiles)
        first, count, width = chunk_at(c, batch, columns, lanes, 1)
        pack_samples(outputs[r], first, 0, n_out, y, count, width)
        sums[r, c] = _sum_of_losses(loss, y, n_out, targets, weights, first, count, width, columns, room)
    keep(memory)
    keep(of_losses)
    keep(of_sums)
