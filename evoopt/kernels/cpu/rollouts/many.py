"""Many episodes of a network: those of a row are its samples, in tiles as `forward` has them.

Each lane of a vector plays another episode. One that is over plays its episode again, which does not count,
until all of its block are.
"""

import numpy as np

from evoopt.compiling.arrays import aligned_empty, borrowed, keep
from evoopt.compiling.jit import kernel, widest_vectors
from evoopt.kernels.cpu.networks.code import call
from evoopt.kernels.cpu.networks.forward import block_at, block_memory, count_blocks, run_block
from evoopt.kernels.cpu.networks.program import INPUTS, OUTPUTS
from evoopt.kernels.cpu.rollouts.environment import begin
from evoopt.kernels.cpu.rollouts.lanes import add_sums, choose, count_step, cut, put, show, steer


@kernel
def rollout_many(  # noqa: PLR0915  (one loop, and what it needs)
    population, frozen, program, widest, room, n_state, uniforms, environment, state_size, discrete,
    middle, half, mean, scale, max_steps, columns, lanes, block, returns, lengths, sums, lo, hi,
):  # fmt: skip
    """Items [lo, hi) of popsize x blocks of episodes, row by row: `returns`, `lengths` (popsize, episodes).

    The arguments are those of `rollout_few`, `environment` that of `rollout_rows`. A tile is as many
    vectors wide as its episodes need, and a group is one of these.
    """
    widest_vectors()
    population, frozen, program = borrowed(population), borrowed(frozen), borrowed(program)
    uniforms, sums, mean, scale = borrowed(uniforms), borrowed(sums), borrowed(mean), borrowed(scale)
    middle, half = borrowed(middle), borrowed(half)
    reset, observe, step = environment[0], environment[1], environment[2]
    episodes, n_in, n_out = returns.shape[1], program[0, INPUTS], program[-1, OUTPUTS]
    n_blocks, slots = count_blocks(episodes, columns, block), columns * block
    memory, front, back, x, net_state, scratch = block_memory(widest, n_in, n_state, slots, room, population)
    n = (n_in + n_out + 4) * lanes + (2 * n_in + state_size + 1) * slots + state_size + uniforms.shape[2]
    numbers_memory = aligned_empty(1, n, uniforms)
    rest = borrowed(numbers_memory[0])
    observations, rest = cut(rest, n_in * lanes)
    actions, rest = cut(rest, n_out * lanes)
    rewards, dones, faults, best = rest[: 4 * lanes].reshape(4, lanes)
    all_sums, rest = cut(rest[4 * lanes :], 2 * n_in * slots)
    all_states, rest = cut(rest, state_size * slots)
    earned, rest = cut(rest, slots)
    state, own = cut(rest, state_size)
    choices, steps, counts = np.empty(lanes, np.int64), np.empty(slots, np.int64), np.empty(slots, np.int64)
    for item in range(lo, hi):
        r, b = divmod(item, n_blocks)
        first, count, width = block_at(b, episodes, columns, lanes, block)
        live = min(count * width, episodes - first)  # episodes that are not over
        last = live - 1
        net_state[:] = 0
        all_sums[:] = 0
        for k in range(count * width):
            states = all_states[k // lanes * lanes * state_size :]
            steps[k], counts[k] = 0, k < live
            earned[k] = begin(reset, state, uniforms[min(r, len(uniforms) - 1), first + min(k, last)], own)
            put(state, k % lanes, lanes, states)
        while live > 0:
            for k in range(0, count * width, lanes):
                call(observe, all_states[k * state_size :][: lanes * state_size], observations)
                start = k // width * width * n_in + k % width
                show(observations, mean, scale, all_sums[2 * n_in * k :], x, start, width, lanes)
            y = run_block(program, population[r], frozen, x, front, back, net_state, scratch, count, width)
            for k in range(0, count * width, lanes):
                states = all_states[k * state_size :][: lanes * state_size]
                start = k // width * width * n_out + k % width
                if discrete:
                    choose(y, start, width, n_out, lanes, best, choices, faults)
                    call(step, states, choices, rewards, dones)
                else:
                    steer(y, start, width, n_out, lanes, middle, half, actions, faults)
                    call(step, states, actions, rewards, dones)
                if not count_step(earned[k:], steps[k:], rewards, dones, faults, max_steps, lanes):
                    continue
                for s in range(lanes):
                    if dones[s] == 0:
                        continue
                    e = first + min(k + s, last)
                    if counts[k + s]:
                        returns[r, e], lengths[r, e] = earned[k + s], steps[k + s]
                        add_sums(all_sums[2 * n_in * k :], steps[k + s], s, lanes, sums[r, b])
                        counts[k + s] = 0
                        live -= 1
                    steps[k + s] = 0
                    earned[k + s] = begin(reset, state, uniforms[min(r, len(uniforms) - 1), e], own)
                    put(state, s, lanes, states)
    keep(memory)
    keep(numbers_memory)
