"""Few episodes of a recurrent or large network: they are the samples of their row, one in a tile.

The weights of a row stay in the cache; episodes that are over are run no more.
"""

import numpy as np

from evoopt.compiling.arrays import borrowed, keep
from evoopt.compiling.jit import inline, kernel
from evoopt.kernels.cpu.networks.code import call
from evoopt.kernels.cpu.networks.forward import block_memory, run_block
from evoopt.kernels.cpu.networks.program import INPUTS, OUTPUTS
from evoopt.kernels.cpu.rollouts.environment import begin, call_step
from evoopt.rules.ranges import FARTHEST, clip, spanned


@inline
def _write_observation(observation, mean, scale, sums, x, start):
    """Write an observation into the inputs, normalised and added to the sums where there is a `mean`."""
    for i in range(len(observation)):
        value = observation[i]
        if len(mean) > 0:
            value -= mean[i]
            sums[0, i] += value
            sums[1, i] += value * value
            sums[2, i] += 1
            value = clip(value * scale[i], -FARTHEST, FARTHEST)
        x[start + i] = value


@inline
def _act(y, start, n_out, discrete, middle, half, action, step, state):
    """Step with the action that the outputs of an episode mean; outputs of NaN end it with NaN."""
    finite, best = True, 0
    for i in range(n_out):
        output = y[start + i]
        finite &= output == output  # noqa: PLR0124  (not NaN)
        if discrete:
            best = i if output > y[start + best] else best
        else:
            action[i] = spanned(np.float64(output), middle[i], half[i])
    if not finite:
        return np.nan, True
    if discrete:
        return call_step(step, state, best)
    return call_step(step, state, action)


@kernel
def rollout_few(
    population, frozen, program, widest, room, n_state, uniforms, environment, state_size, discrete,
    middle, half, mean, scale, max_steps, returns, lengths, sums, lo, hi,
):  # fmt: skip
    """Rows [lo, hi) of `returns`, `lengths` (popsize, episodes).

    `uniforms` (popsize or 1, episodes, n) are for reset; `environment` holds the addresses of reset, observe
    and step. Unbounded actions have a `half` of 0. With a `mean` (n_obs,) observations become (observation
    - mean) * scale, and `sums` (popsize, 1, 3, n_obs) takes the sums of observation - mean, of its squares
    and of ones.
    """
    population, frozen, program = borrowed(population), borrowed(frozen), borrowed(program)
    uniforms, sums, mean, scale = borrowed(uniforms), borrowed(sums), borrowed(mean), borrowed(scale)
    middle, half = borrowed(middle), borrowed(half)
    reset, observe, step = environment[0], environment[1], environment[2]
    episodes, n_in, n_out = returns.shape[1], program[0, INPUTS], program[-1, OUTPUTS]
    memory, front, back, x, net_state, scratch = block_memory(
        widest, n_in, n_state, episodes, room, population
    )
    state_memory = np.empty((episodes, state_size))
    other_memory = np.empty(n_in + n_out + uniforms.shape[2])
    states, other = borrowed(state_memory), borrowed(other_memory)
    observation, action, own = other[:n_in], other[n_in : n_in + n_out], other[n_in + n_out :]
    # which episodes go on; what they have earned is kept here, because threads that write to one cache line
    # wait for each other
    who, steps = np.empty((2, episodes), np.intp)
    earned = np.empty(episodes)
    moves = n_state == 0  # episodes that go on close up
    for r in range(lo, hi):
        active = episodes
        x[:] = 0
        net_state[:] = 0
        for k in range(active):
            who[k], steps[k] = k, 0
            earned[k] = begin(reset, states[k], uniforms[min(r, len(uniforms) - 1), k], own)
        for _ in range(max_steps):
            for k in range(active):
                call(observe, states[who[k]], observation)
                place = k if moves else who[k]
                _write_observation(observation, mean, scale, sums[r, 0], x, place * n_in)
            count = active if moves else episodes
            y = run_block(program, population[r], frozen, x, front, back, net_state, scratch, count, 1)
            for k in range(active - 1, -1, -1):
                e = who[k]
                start = (k if moves else e) * n_out
                reward, done = _act(y, start, n_out, discrete, middle, half, action, step, states[e])
                earned[e] += reward
                steps[e] += 1
                if done:
                    active -= 1
                    who[k] = who[active]
            if active == 0:
                break
        for k in range(episodes):
            returns[r, k], lengths[r, k] = earned[k], steps[k]
    keep(memory)
    keep(state_memory)
    keep(other_memory)
