"""Few episodes of a small network: each lane of a vector plays another row of the population.

The weights of the rows lie side by side; a lane whose row is done takes the next row. If no row is
left, the lane plays its last row again, which does not count.
"""

from typing import NamedTuple

from evoopt.compiling.arrays import aligned_empty, borrowed, keep
from evoopt.compiling.jit import inline, kernel, widest_vectors
from evoopt.kernels.cpu.networks.forward import chunk_memory, run_chunk
from evoopt.kernels.cpu.networks.program import INPUTS
from evoopt.kernels.cpu.rollouts.vector import (
    begin_lane,
    end_lane,
    make_vectors,
    make_workspace,
    observe_lanes,
    put,
    step_lanes,
    vector_at,
)
from evoopt.types import Array


class LaneWeights(NamedTuple):
    """The parameters of all lanes side by side: of their rows, and frozen ones."""

    own: Array  # (n_params * lanes,)
    frozen: Array  # (n_frozen * lanes,)


@inline
def _make_weights(networks, lanes):
    population = networks.population
    return LaneWeights(
        aligned_empty(1, population.shape[1] * lanes, population)[0],
        aligned_empty(1, len(networks.frozen) * lanes, population)[0],
    )


@inline
def _begin_all(networks, game, weights, vector, work, lo, live):
    """Begin `live` rows from `lo` on, each in its own lane; the other lanes play the last row."""
    lanes = len(work.rewards)
    for s in range(lanes):
        row = lo + min(s, live - 1)
        put(networks.frozen, s, lanes, weights.frozen)
        put(networks.population[row], s, lanes, weights.own)
        vector.rows[s], vector.episodes[s], vector.counts[s] = row, 0, s < live
        begin_lane(game, vector, s, work)


@inline
def _end_some(networks, game, weights, vector, work, results, following, hi):
    """End the episodes that are over, and begin the next ones; return the row that follows."""
    for lane in range(len(work.dones)):
        if work.dones[lane] == 0:
            continue
        end_lane(vector, lane, results, 0)
        vector.episodes[lane] = (vector.episodes[lane] + 1) % results.returns.shape[1]
        if vector.episodes[lane] == 0:  # the row is done
            following = _next_row(networks, weights, vector, lane, following, hi)
        begin_lane(game, vector, lane, work)
    return following


@inline
def _next_row(networks, weights, vector, lane, following, hi):
    """Hand a lane the following row, if one is left below `hi`; return the row that follows."""
    if following == hi:
        vector.counts[lane] = 0
        return following
    vector.rows[lane] = following
    put(networks.population[following], lane, len(vector.rows), weights.own)
    return following + 1


@kernel
def play_in_lanes(networks, game, results, lanes, lo, hi):
    """Play the episodes of rows [lo, hi) by the program for lanes, which has no states."""
    if lo == hi:  # no row is there to fill the lanes
        return
    widest_vectors()
    networks, game, results = borrowed(networks), borrowed(game), borrowed(results)
    program = networks.program
    memory, values, x, net_state, scratch = chunk_memory(
        program, program[0, INPUTS], lanes, networks.population
    )
    own_weights, owned = _make_weights(networks, lanes), make_vectors(game, 1, lanes)
    own_work = make_workspace(game, program, lanes)
    weights, vector, work = borrowed(own_weights), vector_at(borrowed(owned), 0), borrowed(own_work)
    following, playing = min(lo + lanes, hi), True
    _begin_all(networks, game, weights, vector, work, lo, following - lo)
    while playing:
        observe_lanes(game, vector, work, x, 0, lanes)
        y = run_chunk(program, weights.own, weights.frozen, x, values, net_state, scratch, 1, lanes)
        if step_lanes(game, vector, work, y, 0, lanes):
            following = _end_some(networks, game, weights, vector, work, results, following, hi)
            playing = vector.counts.any()
    keep(memory, own_weights, owned, own_work)
