"""Few episodes of a recurrent or large network: they are samples of their row, one in a tile.

The weights of a row stay in the cache; episodes that are over are not run.
"""

from typing import NamedTuple

import numpy as np

from evoopt.compiling.arrays import borrowed, keep
from evoopt.compiling.jit import inline, kernel
from evoopt.kernels.cpu.networks.code import call
from evoopt.kernels.cpu.networks.forward import chunk_memory, run_chunk
from evoopt.kernels.cpu.networks.program import INPUTS, OUTPUTS
from evoopt.kernels.cpu.rollouts.environment import call_step
from evoopt.kernels.cpu.rollouts.episode import begin
from evoopt.rules.ranges import normalized, spanned
from evoopt.types import Array, Vector


class RowEpisodes(NamedTuple):
    """The episodes of one row, and the vectors that the functions of an environment take.

    Results are written when all are over, because threads that write to one cache line wait for
    each other.
    """

    states: Array  # (episodes, state_size)
    earned: Vector  # (episodes,)
    steps: Array  # (episodes,)
    playing: Array  # (episodes,): the numbers of the episodes that go on come first
    observation: Vector
    action: Vector
    uniforms: Vector


@inline
def _make_room(game, program, episodes):
    return RowEpisodes(
        np.empty((episodes, game.state_size)),
        np.empty(episodes),
        np.empty(episodes, np.intp),
        np.empty(episodes, np.intp),
        np.empty(program[0, INPUTS]),
        np.empty(program[-1, OUTPUTS]),
        np.empty(game.uniforms.shape[2]),
    )


@inline
def _begin_all(game, row, room):
    for e in range(len(room.earned)):
        room.playing[e], room.steps[e] = e, 0
        room.earned[e] = begin(game, row, e, room.states[e], room.uniforms)


@inline
def _observe(game, room, going, closes_up, sums, x):
    """Write the observations of the episodes that go on into the samples of the network.

    The observations close up, unless the network has states, which stay in their places.
    """
    for k in range(going):
        e = room.playing[k]
        call(game.observe, room.states[e], room.observation)
        _write_observation(game, room.observation, sums, x, k if closes_up else e)


@inline
def _write_observation(game, observation, sums, x, sample):
    """Write an observation into a sample; if there is a mean, normalize and sum it."""
    n = len(observation)
    for i in range(n):
        value = observation[i]
        if len(game.mean) > 0:
            value -= game.mean[i]
            sums[0, i] += value
            sums[1, i] += value * value
            sums[2, i] += 1
            value = normalized(value, game.scale[i])
        x[sample * n + i] = value


@inline
def _step(game, room, going, closes_up, y):
    """Step the episodes that go on; return how many go on after it."""
    for k in range(going - 1, -1, -1):
        e = room.playing[k]
        reward, done = _act(game, y, k if closes_up else e, room.action, room.states[e])
        room.earned[e] += reward
        room.steps[e] += 1
        if done:
            going -= 1
            room.playing[k] = room.playing[going]
    return going


@inline
def _act(game, y, sample, action, state):
    """Step with the action of a sample's outputs; NaN ends the episode with NaN."""
    finite, best, start = True, 0, sample * len(action)
    for i in range(len(action)):
        output = y[start + i]
        finite &= output == output  # noqa: PLR0124  (not NaN)
        if game.discrete:
            best = i if output > y[start + best] else best
        else:
            action[i] = spanned(np.float64(output), game.middle[i], game.half[i])
    if not finite:
        return np.nan, True
    if game.discrete:
        return call_step(game.step, state, best)
    return call_step(game.step, state, action)


@kernel
def play_as_samples(networks, game, results, lo, hi):
    """Play the episodes of rows [lo, hi)."""
    networks, game, results = borrowed(networks), borrowed(game), borrowed(results)
    population, frozen, program = networks.population, networks.frozen, networks.program
    episodes = results.returns.shape[1]
    memory, values, x, net_state, scratch = chunk_memory(program, program[0, INPUTS], episodes, population)
    closes_up = len(net_state) == 0
    owned = _make_room(game, program, episodes)
    room = borrowed(owned)
    for r in range(lo, hi):
        x[:] = 0
        net_state[:] = 0
        _begin_all(game, r, room)
        going = episodes
        for _ in range(game.max_steps):
            _observe(game, room, going, closes_up, results.sums[r, 0], x)
            count = going if closes_up else episodes
            y = run_chunk(program, population[r], frozen, x, values, net_state, scratch, count, 1)
            going = _step(game, room, going, closes_up, y)
            if going == 0:
                break
        for e in range(episodes):
            results.returns[r, e], results.lengths[r, e] = room.earned[e], room.steps[e]
    keep(memory, owned)
