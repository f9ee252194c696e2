"""Many episodes of a network: a row's episodes are its samples, in the tiles of `forward`.

Each lane of a vector plays another episode. An episode that is over is played again, which does not
count, until all of its chunk are over.
"""

from evoopt.compiling.arrays import borrowed, keep
from evoopt.compiling.jit import inline, kernel, widest_vectors
from evoopt.kernels.cpu.networks.forward import chunk_at, chunk_memory, count_chunks, run_chunk
from evoopt.kernels.cpu.networks.program import INPUTS
from evoopt.kernels.cpu.rollouts.vector import (
    begin_lane,
    end_lane,
    make_vectors,
    make_workspace,
    observe_lanes,
    step_lanes,
    vector_at,
)


@inline
def _begin_all(game, row, first, live, vectors, work, samples):
    """Begin `live` episodes of a row, from number `first` on; other samples play the last one."""
    lanes = len(work.rewards)
    for k in range(samples):
        vector, lane = vector_at(vectors, k // lanes), k % lanes
        vector.rows[lane], vector.episodes[lane] = row, first + min(k, live - 1)
        vector.counts[lane] = k < live
        begin_lane(game, vector, lane, work)


@inline
def _observe_all(game, vectors, work, x, samples, width):
    lanes = len(work.rewards)
    n_in = len(work.observations) // lanes
    for k in range(0, samples, lanes):
        start = k // width * width * n_in + k % width
        observe_lanes(game, vector_at(vectors, k // lanes), work, x, start, width)


@inline
def _step_all(game, vectors, work, y, samples, width, results, chunk):
    """Step all episodes, and begin again those that are over; return how many of these counted."""
    lanes, ended = len(work.rewards), 0
    n_out = len(work.actions) // lanes
    for k in range(0, samples, lanes):
        vector, start = vector_at(vectors, k // lanes), k // width * width * n_out + k % width
        if step_lanes(game, vector, work, y, start, width):
            ended += _end_some(game, vector, work, results, chunk)
    return ended


@inline
def _end_some(game, vector, work, results, chunk):
    """End the episodes of a vector that are over, and begin them again; return how many counted."""
    ended = 0
    for lane in range(len(work.dones)):
        if work.dones[lane] == 0:
            continue
        end_lane(vector, lane, results, chunk)
        ended += vector.counts[lane]
        vector.counts[lane] = 0
        begin_lane(game, vector, lane, work)
    return ended


@kernel
def play_in_tiles(networks, game, results, columns, lanes, tiles, lo, hi):
    """Play items [lo, hi) of popsize x chunks of at most so many `tiles`, row by row.

    A tile is as many vectors wide as its episodes need.
    """
    widest_vectors()
    networks, game, results = borrowed(networks), borrowed(game), borrowed(results)
    population, frozen, program = networks.population, networks.frozen, networks.program
    episodes, n_in, most = results.returns.shape[1], program[0, INPUTS], columns * tiles
    memory, values, x, net_state, scratch = chunk_memory(program, n_in, most, population)
    owned, own_work = make_vectors(game, most // lanes, lanes), make_workspace(game, program, lanes)
    vectors, work = borrowed(owned), borrowed(own_work)
    for item in range(lo, hi):
        r, chunk = divmod(item, count_chunks(episodes, columns, tiles))
        first, count, width = chunk_at(chunk, episodes, columns, lanes, tiles)
        samples = count * width
        live = min(samples, episodes - first)  # episodes that are not over
        net_state[:] = 0
        _begin_all(game, r, first, live, vectors, work, samples)
        while live > 0:
            _observe_all(game, vectors, work, x, samples, width)
            y = run_chunk(program, population[r], frozen, x, values, net_state, scratch, count, width)
            live -= _step_all(game, vectors, work, y, samples, width, results, chunk)
    keep(memory, owned, own_work)
