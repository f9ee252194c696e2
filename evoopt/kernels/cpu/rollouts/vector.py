"""Episodes side by side in the lanes of a vector: their start, one step of all, and their end.

Numbers of all lanes are (n, lanes), flat; loops over lanes become vector instructions. A lane for
which no episode is left plays one again, which does not count, because no environment is stepped
after its end.
"""

from typing import NamedTuple

import numpy as np

from evoopt.compiling.arrays import aligned_empty
from evoopt.compiling.jit import inline
from evoopt.kernels.cpu.networks.code import call
from evoopt.kernels.cpu.networks.program import INPUTS, OUTPUTS
from evoopt.kernels.cpu.rollouts.episode import begin
from evoopt.rules.ranges import normalized, spanned
from evoopt.types import Array, Vector


class LaneEpisodes(NamedTuple):
    """The episodes in the lanes of a vector, or with one more axis, of several vectors.

    `sums` are of observation - mean and of its squares; without a mean they are empty.
    """

    rows: Array  # (lanes,), numbers in the population
    episodes: Array  # (lanes,), numbers in the row
    counts: Array  # (lanes,): 1, or 0 if the episode is played again
    steps: Array  # (lanes,)
    earned: Array  # (lanes,)
    states: Array  # (state_size * lanes,)
    sums: Array  # (2 * n_obs * lanes,)


class Workspace(NamedTuple):
    """Working memory for one step of a vector, and for the start of an episode."""

    observations: Vector  # (n_obs * lanes,)
    actions: Vector  # (n_out * lanes,)
    choices: Array  # (lanes,), discrete actions
    largest: Vector  # (lanes,), outputs
    rewards: Vector  # (lanes,)
    dones: Vector  # (lanes,): 1 if an episode is over, or 0
    faults: Vector  # (lanes,): 1 if an output is NaN, or 0
    state: Vector
    uniforms: Vector


@inline
def make_vectors(game, count, lanes):
    """Make the memory for the episodes of so many vectors."""
    return LaneEpisodes(
        np.empty((count, lanes), np.int64),
        np.empty((count, lanes), np.int64),
        np.empty((count, lanes), np.int64),
        np.empty((count, lanes), np.int64),
        aligned_empty(count, lanes, game.uniforms),
        aligned_empty(count, game.state_size * lanes, game.uniforms),
        aligned_empty(count, 2 * len(game.mean) * lanes, game.uniforms),
    )


@inline
def vector_at(vectors, v):
    """Return the episodes of vector v."""
    return LaneEpisodes(
        vectors.rows[v],
        vectors.episodes[v],
        vectors.counts[v],
        vectors.steps[v],
        vectors.earned[v],
        vectors.states[v],
        vectors.sums[v],
    )


@inline
def make_workspace(game, program, lanes):
    """Make the working memory for a step of a vector."""
    return Workspace(
        aligned_empty(1, program[0, INPUTS] * lanes, game.uniforms)[0],
        aligned_empty(1, program[-1, OUTPUTS] * lanes, game.uniforms)[0],
        np.empty(lanes, np.int64),
        aligned_empty(1, lanes, game.uniforms)[0],
        aligned_empty(1, lanes, game.uniforms)[0],
        aligned_empty(1, lanes, game.uniforms)[0],
        aligned_empty(1, lanes, game.uniforms)[0],
        np.empty(game.state_size),
        np.empty(game.uniforms.shape[2]),
    )


@inline
def take(numbers, lane, lanes, vector):
    """Read a vector (n,) from a lane of `numbers` (n, lanes)."""
    for i in range(len(vector)):
        vector[i] = numbers[i * lanes + lane]


@inline
def put(vector, lane, lanes, numbers):
    """Write a vector (n,) into a lane of `numbers` (n, lanes)."""
    for i in range(len(vector)):
        numbers[i * lanes + lane] = vector[i]


@inline
def begin_lane(game, vector, lane, work):
    """Begin the episode of a lane, which `vector.rows` and `vector.episodes` name."""
    lanes = len(vector.earned)
    for i in range(len(vector.sums) // lanes):
        vector.sums[i * lanes + lane] = 0
    vector.steps[lane] = 0
    vector.earned[lane] = begin(game, vector.rows[lane], vector.episodes[lane], work.state, work.uniforms)
    put(work.state, lane, lanes, vector.states)


@inline
def observe_lanes(game, vector, work, x, start, width):
    """Write the observations of a vector into a tile of this width, from x[start] on."""
    call(game.observe, vector.states, work.observations)
    _show(game, work.observations, vector.sums, x, start, width, len(work.rewards))


@inline
def _show(game, observations, sums, x, start, width, lanes):
    """Write observations into a tile; if there is a mean, normalize and sum them."""
    mean, scale, n = game.mean, game.scale, len(observations) // lanes
    for i in range(n):
        values, shown = observations[i * lanes : (i + 1) * lanes], x[start + i * width :][:lanes]
        if len(mean) == 0:
            for s in range(lanes):
                shown[s] = values[s]
            continue
        shift, squares = sums[i * lanes : (i + 1) * lanes], sums[(n + i) * lanes : (n + i + 1) * lanes]
        for s in range(lanes):
            value = values[s] - mean[i]
            shift[s] += value
            squares[s] += value * value
            shown[s] = normalized(value, scale[i])


@inline
def step_lanes(game, vector, work, y, start, width):
    """Step with the actions of the outputs from y[start] on; return whether an episode ends.

    `work.dones` marks the episodes that end.
    """
    if game.discrete:
        _choose(work, y, start, width)
        call(game.step, vector.states, work.choices, work.rewards, work.dones)
    else:
        _steer(game, work, y, start, width)
        call(game.step, vector.states, work.actions, work.rewards, work.dones)
    return _count_step(game.max_steps, vector, work)


@inline
def _choose(work, y, start, width):
    """Choose the number of the largest output in each lane, the first of equal ones."""
    largest, choices, faults, lanes = work.largest, work.choices, work.faults, len(work.rewards)
    for s in range(lanes):
        first = np.float64(y[start + s])
        largest[s], choices[s], faults[s] = first, 0, first != first  # noqa: PLR0124
    for o in range(1, len(work.actions) // lanes):
        outputs = y[start + o * width :][:lanes]
        for s in range(lanes):
            output = np.float64(outputs[s])
            larger = output > largest[s]
            largest[s] = output if larger else largest[s]
            choices[s] = o if larger else choices[s]
            faults[s] = 1.0 if output != output else faults[s]  # noqa: PLR0124  (NaN)


@inline
def _steer(game, work, y, start, width):
    """Write the continuous actions of outputs."""
    faults, lanes = work.faults, len(work.rewards)
    faults[:] = 0
    for o in range(len(work.actions) // lanes):
        outputs, steered = y[start + o * width :][:lanes], work.actions[o * lanes : (o + 1) * lanes]
        middle, half = game.middle[o], game.half[o]
        for s in range(lanes):
            output = np.float64(outputs[s])
            fault = output != output  # noqa: PLR0124  (NaN)
            faults[s] = 1.0 if fault else faults[s]
            # the step does not count then, but its code must get a number
            steered[s] = spanned(0.0 if fault else output, middle, half)


@inline
def _count_step(max_steps, vector, work):
    """Add the rewards of a step, and mark the episodes that are over; return whether one is."""
    earned, steps = vector.earned, vector.steps
    rewards, dones, faults = work.rewards, work.dones, work.faults
    ended = 0.0
    for s in range(len(rewards)):
        earned[s] += rewards[s] if faults[s] == 0 else np.nan
        steps[s] += 1
        over = (dones[s] != 0) | (faults[s] != 0) | (steps[s] == max_steps)
        dones[s] = over
        ended += dones[s]
    return ended > 0


@inline
def end_lane(vector, lane, results, chunk):
    """Write the results of a lane's episode, if it counts; add its sums to the chunk's sums."""
    if vector.counts[lane]:
        row, episode = vector.rows[lane], vector.episodes[lane]
        results.returns[row, episode] = vector.earned[lane]
        results.lengths[row, episode] = vector.steps[lane]
        _add_sums(vector, lane, results.sums[row, chunk])


@inline
def _add_sums(vector, lane, sums):
    """Add the sums of a lane to sums (3, n_obs)."""
    lanes, n = len(vector.earned), sums.shape[1]
    for i in range(n):
        sums[0, i] += vector.sums[i * lanes + lane]
        sums[1, i] += vector.sums[(n + i) * lanes + lane]
        sums[2, i] += vector.steps[lane]
