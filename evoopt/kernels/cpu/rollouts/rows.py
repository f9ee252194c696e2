"""Few episodes of a small network: each lane of a vector plays another row of the population.

Its weights lie next to those of the other rows; a lane whose row is done takes the next one. Where nothing is
left for a lane, it plays its last episode again, which does not count.
"""

import numpy as np

from evoopt.compiling.arrays import aligned_empty, borrowed, keep
from evoopt.compiling.jit import kernel, widest_vectors
from evoopt.kernels.cpu.networks.code import call
from evoopt.kernels.cpu.networks.forward import block_memory, run_block
from evoopt.kernels.cpu.networks.program import INPUTS, OUTPUTS
from evoopt.kernels.cpu.rollouts.environment import begin
from evoopt.kernels.cpu.rollouts.lanes import add_sums, choose, count_step, cut, put, show, steer


@kernel
def rollout_rows(  # noqa: PLR0915  (one loop, and what it needs)
    population, frozen, program, widest, room, uniforms, environment, state_size, discrete,
    middle, half, mean, scale, max_steps, lanes, returns, lengths, sums, lo, hi,
):  # fmt: skip
    """Rows [lo, hi) of `returns`, `lengths` (popsize, episodes); the program is that of rows, without states.

    `environment` holds the addresses of reset, and of the codes that observe and step all lanes. The other
    arguments are those of `rollout_few`, `sums` (popsize, 1, 3, n_obs).
    """
    if lo == hi:  # there is no row to fill the lanes with
        return
    widest_vectors()
    population, frozen, program = borrowed(population), borrowed(frozen), borrowed(program)
    uniforms, sums, mean, scale = borrowed(uniforms), borrowed(sums), borrowed(mean), borrowed(scale)
    middle, half = borrowed(middle), borrowed(half)
    reset, observe, step = environment[0], environment[1], environment[2]
    episodes, n_in, n_out = returns.shape[1], program[0, INPUTS], program[-1, OUTPUTS]
    ours, all_numbers = population.shape[1] * lanes, (population.shape[1] + len(frozen)) * lanes
    memory, front, back, x, net_state, scratch = block_memory(
        widest, n_in, 0, lanes, all_numbers + room, population
    )
    weights, shared, scratch = scratch[:ours], scratch[ours:all_numbers], scratch[all_numbers:]
    n = 2 * n_in + state_size + n_in + n_out + 5
    numbers_memory = aligned_empty(1, n * lanes + state_size + uniforms.shape[2], uniforms)
    rest = borrowed(numbers_memory[0])
    own_sums, rest = cut(rest, 2 * n_in * lanes)
    states, rest = cut(rest, state_size * lanes)
    observations, rest = cut(rest, n_in * lanes)
    actions, rest = cut(rest, n_out * lanes)
    rewards, dones, faults, earned, best = rest[: 5 * lanes].reshape(5, lanes)
    state, own = cut(rest[5 * lanes :], state_size)
    choices, row, episode, steps, counts = np.empty((5, lanes), np.int64)

    live = min(lanes, hi - lo)  # lanes that count
    following = lo + live
    own_sums[:] = 0
    for s in range(lanes):
        put(frozen, s, lanes, shared)
        row[s], episode[s], steps[s], counts[s] = lo + min(s, live - 1), 0, 0, s < live
        put(population[row[s]], s, lanes, weights)
        earned[s] = begin(reset, state, uniforms[min(row[s], len(uniforms) - 1), 0], own)
        put(state, s, lanes, states)
    while live > 0:
        call(observe, states, observations)
        show(observations, mean, scale, own_sums, x, 0, lanes, lanes)
        y = run_block(program, weights, shared, x, front, back, net_state, scratch, 1, lanes)
        if discrete:
            choose(y, 0, lanes, n_out, lanes, best, choices, faults)
            call(step, states, choices, rewards, dones)
        else:
            steer(y, 0, lanes, n_out, lanes, middle, half, actions, faults)
            call(step, states, actions, rewards, dones)
        if not count_step(earned, steps, rewards, dones, faults, max_steps, lanes):
            continue
        for s in range(lanes):
            if dones[s] == 0:
                continue
            if counts[s]:
                returns[row[s], episode[s]], lengths[row[s], episode[s]] = earned[s], steps[s]
                add_sums(own_sums, steps[s], s, lanes, sums[row[s], 0])
            for i in range(2 * n_in):
                own_sums[i * lanes + s] = 0
            episode[s] = (episode[s] + 1) % episodes
            if episode[s] == 0 and following < hi:
                row[s] = following
                following += 1
                put(population[row[s]], s, lanes, weights)
            elif episode[s] == 0:
                live -= counts[s]
                counts[s] = 0
            steps[s] = 0
            earned[s] = begin(reset, state, uniforms[min(row[s], len(uniforms) - 1), episode[s]], own)
            put(state, s, lanes, states)
    keep(memory)
    keep(numbers_memory)
