"""Forward passes of a whole population, straight from its rows.

Many samples: activations are feature-major, in tiles of T samples side by side. Feature f of a tile
is the T numbers from ``f * T`` on; the last tile is only as wide as its samples need. So vector
instructions work on samples, whatever the width of a layer. Few samples: each tile has one sample,
which is sample-major, and vectors lie along the outputs instead. Some tiles, a chunk, go through
the network together, one operation after the other, so that an operation reads the row once for all
of them.
"""

from evoopt.compiling.arrays import aligned_empty, borrowed, keep
from evoopt.compiling.jit import inline, kernel
from evoopt.kernels.cpu.emit.transpose import store_samples
from evoopt.kernels.cpu.emit.vectors import lanes_of, tile_width
from evoopt.kernels.cpu.networks.code import call
from evoopt.kernels.cpu.networks.program import (
    ADDRESS,
    INPUT,
    INPUTS,
    OUTPUTS,
    SCRATCH,
    STATE,
    STATE_SIZE,
    X,
    Y,
)


def chunks_of(samples: int, columns: int, chunk: int) -> int:
    """Return how many chunks, of at most `chunk` tiles, samples make; a narrow tile is alone."""
    whole = samples // columns
    return (whole + chunk - 1) // chunk + (whole * columns < samples)


count_chunks = inline(chunks_of)  # the same in kernels


@inline
def chunk_at(index, samples, columns, lanes, chunk):
    """Return the first sample of a chunk, its tiles and their width."""
    whole = samples // columns
    if index * chunk >= whole:
        first = whole * columns
        return first, 1, tile_width(samples - first, columns, lanes)
    return index * chunk * columns, min(chunk, whole - index * chunk), columns


@inline
def run_chunk(program, row, frozen, inputs, values, state, scratch, count, width):
    """Run a network on `count` tiles of inputs (count, n_in * width).

    Return the part of `values` that begins with the outputs. `state` has the states of the
    operations one after the other, each (count, its size * width).
    """
    samples = count * width
    for op in program:
        own = state[op[STATE] * samples : (op[STATE] + op[STATE_SIZE]) * samples]
        x = inputs if op[X] == INPUT else values[op[X] * samples :]
        call(op[ADDRESS], op, row, frozen, x, values[op[Y] * samples :], own, scratch, count, width)
    return values[program[-1, Y] * samples :]


@inline
def _needs(program):
    """Return the sizes of a sample's values and of its state, and of the scratch."""
    n_values, n_state, room = 0, 0, 0
    for op in program:
        n_values, room = max(n_values, op[Y] + op[OUTPUTS]), max(room, op[SCRATCH])
        n_state += op[STATE_SIZE]
    return n_values, n_state, room


@inline
def chunk_memory(program, n_in, samples, like):
    """Return memory, and its parts for a chunk of so many samples, valid until ``keep(memory)``.

    The parts are the values that operations make, inputs of `n_in` features if a row has its own,
    states, and scratch.
    """
    n_values, n_state, room = _needs(program)
    sizes = (n_values * samples, n_in * samples, n_state * samples, room)
    memory = aligned_empty(1, sum(sizes), like)
    rest = borrowed(memory[0])
    values, rest = rest[: sizes[0]], rest[sizes[0] :]
    inputs, rest = rest[: sizes[1]], rest[sizes[1] :]
    return memory, values, inputs, rest[: sizes[2]], rest[sizes[2] :]


@inline
def pack_samples(samples, first, start, n, tiles, count, width):
    """Write features [start, start + n) of `samples` (batch, features), `first` on, into tiles."""
    if width == 1:
        for t in range(count):
            for i in range(n):
                tiles[t * n + i] = samples[first + t, start + i]
        return
    for t in range(count):
        tile = tiles[t * n * width : (t + 1) * n * width]
        at = first + t * width
        real = min(width, len(samples) - at)
        for i in range(n):
            for s in range(real):
                tile[i * width + s] = samples[at + s, start + i]
            for s in range(real, width):
                tile[i * width + s] = 0


@kernel
def pack_tiles(samples, columns, tiles, lo, hi):
    """Write tiles [lo, hi) of `tiles` (n_tiles, n_in * columns) from `samples` (batch, n_in).

    The last tile may be narrower: then it takes only the start of its row, n_in * width.
    """
    lanes = lanes_of(tiles[0, 0])
    for t in range(lo, hi):
        width = tile_width(len(samples) - t * columns, columns, lanes)
        pack_samples(samples, t * columns, 0, samples.shape[1], tiles[t], 1, width)


@inline
def unpack_samples(tiles, width, n, count, samples, out, out_start):
    """Write tiles of n features to ``out[out_start:]`` as (samples, n)."""
    if width == 1:
        for i in range(samples * n):
            out[out_start + i] = tiles[i]
        return
    for t in range(count):
        at = t * width
        tile = tiles[t * n * width : (t + 1) * n * width]
        store_samples(tile, width, n, min(width, samples - at), out, out_start + at * n)


@inline
def load_states(program, states, first, state, count, width):
    """Write `states` (batch, state size) from sample `first` on into tiles for `run_chunk`."""
    for op in program:
        if op[STATE_SIZE] > 0:
            part = state[op[STATE] * count * width :]
            pack_samples(states, first, op[STATE], op[STATE_SIZE], part, count, width)


@inline
def store_states(program, state, count, width, states, first):
    """Write tiles of states back to `states` (batch, state size) from sample `first` on."""
    for op in program:
        n, start, part = op[STATE_SIZE], op[STATE], state[op[STATE] * count * width :]
        if width == 1:
            for t in range(count):
                for i in range(n):
                    states[first + t, start + i] = part[t * n + i]
        else:
            for s in range(min(count * width, len(states) - first) if n > 0 else 0):
                t = s // width
                for i in range(n):
                    states[first + s, start + i] = part[(t * n + i) * width + s - t * width]


@kernel
def forward_chunks(population, frozen, program, packed, inputs, states, columns, chunk, out, lo, hi):
    """Write items [lo, hi) of popsize x chunks, row by row, of `out`, and new `states` in place.

    `out` is (popsize, batch, n_out). Shared inputs are the tiles `packed` (n_tiles, n_in *
    columns), with `inputs` empty; else each row has its own `inputs` (popsize, batch, n_in).
    `states` is (popsize, batch, state size). A chunk has `chunk` tiles.
    """
    population, frozen, program = borrowed(population), borrowed(frozen), borrowed(program)
    packed, inputs, states, out = borrowed(packed), borrowed(inputs), borrowed(states), borrowed(out)
    batch, n_out = out.shape[1:]
    n_in, own, lanes = program[0, INPUTS], inputs.shape[0] > 0, lanes_of(frozen[0])
    n_chunks = count_chunks(batch, columns, chunk)
    flat, shared = out.reshape(-1), packed.reshape(-1)
    n_state = states.shape[2]
    memory, values, samples, state, scratch = chunk_memory(
        program, n_in if own else 0, columns * chunk, population
    )
    for item in range(lo, hi):
        r, c = divmod(item, n_chunks)
        first, count, width = chunk_at(c, batch, columns, lanes, chunk)
        if own:
            x = samples
            pack_samples(inputs[r], first, 0, n_in, x, count, width)
        else:
            x = shared[first * n_in :]
        if n_state > 0:
            load_states(program, states[r], first, state, count, width)
        y = run_chunk(program, population[r], frozen, x, values, state, scratch, count, width)
        samples_here = min(count * width, batch - first)
        unpack_samples(y, width, n_out, count, samples_here, flat, (r * batch + first) * n_out)
        if n_state > 0:
            store_states(program, state, count, width, states[r], first)
    keep(memory)
