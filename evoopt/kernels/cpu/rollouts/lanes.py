"""Whole episodes of a population, each lane of a vector playing another one, so that physics is vectorized.

`rollout_tiles`, for many episodes: those of a row are its samples, as tiles of `forward`. `rollout_lanes`,
for few: each lane plays another row, whose weights lie next to those of the others, and takes the next row
when that is done. Where nothing is left for a lane, it plays its last episode again, which does not count.
"""

import numpy as np

from evoopt.compiling.arrays import aligned_empty, borrowed, keep
from evoopt.compiling.jit import inline, kernel, widest_vectors
from evoopt.kernels.cpu.networks.code import call
from evoopt.kernels.cpu.networks.forward import block_at, block_memory, count_blocks, run_block
from evoopt.kernels.cpu.networks.program import INPUTS, OUTPUTS
from evoopt.kernels.cpu.rollouts.environment import put
from evoopt.kernels.cpu.rollouts.samples import FARTHEST, begin
from evoopt.rules.ranges import clip, spanned


@inline
def _cut(numbers, n):
    return numbers[:n], numbers[n:]


@inline
def _show(observations, mean, scale, sums, x, start, width, lanes):
    """Write observations (n, lanes) into a tile, normalised and added to the sums where there is a `mean`."""
    n = len(observations) // lanes
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
            shown[s] = clip(value * scale[i], -FARTHEST, FARTHEST)


@inline
def _choose(y, start, width, n_out, lanes, best, choices, faults):
    """Give the number of the largest output of each lane, the first if several are."""
    for s in range(lanes):
        first = np.float64(y[start + s])
        best[s], choices[s], faults[s] = first, 0, first != first  # noqa: PLR0124
    for o in range(1, n_out):
        outputs = y[start + o * width :][:lanes]
        for s in range(lanes):
            output = np.float64(outputs[s])
            larger = output > best[s]
            best[s] = output if larger else best[s]
            choices[s] = o if larger else choices[s]
            faults[s] = 1.0 if output != output else faults[s]  # noqa: PLR0124  (NaN)


@inline
def _steer(y, start, width, n_out, lanes, middle, half, actions, faults):
    """Give the continuous actions (n_out, lanes) that outputs mean."""
    faults[:] = 0
    for o in range(n_out):
        outputs, steered = y[start + o * width :][:lanes], actions[o * lanes : (o + 1) * lanes]
        for s in range(lanes):
            output = np.float64(outputs[s])
            fault = output != output  # noqa: PLR0124  (NaN)
            faults[s] = 1.0 if fault else faults[s]
            # what the step does then does not count, but it takes numbers alone
            steered[s] = spanned(0.0 if fault else output, middle[o], half[o])


@inline
def _count(earned, steps, rewards, dones, faults, max_steps, lanes):
    """Add the rewards of a step, and say for each lane whether its episode is over; gives whether one is."""
    ended = 0.0
    for s in range(lanes):
        earned[s] += rewards[s] if faults[s] == 0 else np.nan
        steps[s] += 1
        over = (dones[s] != 0) | (faults[s] != 0) | (steps[s] == max_steps)
        dones[s] = over
        ended += dones[s]
    return ended > 0


@inline
def _add_sums(own_sums, steps, lane, lanes, sums):
    """Add what an episode of so many steps summed up to the sums (3, n_obs) of its row."""
    n = sums.shape[1]
    for i in range(n):
        sums[0, i] += own_sums[i * lanes + lane]
        sums[1, i] += own_sums[(n + i) * lanes + lane]
        sums[2, i] += steps


@kernel
def rollout_lanes(  # noqa: PLR0915  (one loop, and what it needs)
    population, frozen, program, widest, room, uniforms, environment, state_size, discrete,
    middle, half, mean, scale, max_steps, lanes, returns, lengths, sums, lo, hi,
):  # fmt: skip
    """Rows [lo, hi) of `returns`, `lengths` (popsize, episodes); the program is that of rows, without states.

    `environment` holds the addresses of reset, and of the codes that observe and step all lanes. The other
    arguments are those of `rollout_samples`, `sums` (popsize, 1, 3, n_obs).
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
    own_sums, rest = _cut(rest, 2 * n_in * lanes)
    states, rest = _cut(rest, state_size * lanes)
    observations, rest = _cut(rest, n_in * lanes)
    actions, rest = _cut(rest, n_out * lanes)
    rewards, dones, faults, earned, best = rest[: 5 * lanes].reshape(5, lanes)
    state, own = _cut(rest[5 * lanes :], state_size)
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
        _show(observations, mean, scale, own_sums, x, 0, lanes, lanes)
        y = run_block(program, weights, shared, x, front, back, net_state, scratch, 1, lanes)
        if discrete:
            _choose(y, 0, lanes, n_out, lanes, best, choices, faults)
            call(step, states, choices, rewards, dones)
        else:
            _steer(y, 0, lanes, n_out, lanes, middle, half, actions, faults)
            call(step, states, actions, rewards, dones)
        if not _count(earned, steps, rewards, dones, faults, max_steps, lanes):
            continue
        for s in range(lanes):
            if dones[s] == 0:
                continue
            if counts[s]:
                returns[row[s], episode[s]], lengths[row[s], episode[s]] = earned[s], steps[s]
                _add_sums(own_sums, steps[s], s, lanes, sums[row[s], 0])
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


@kernel
def rollout_tiles(  # noqa: PLR0915  (one loop, and what it needs)
    population, frozen, program, widest, room, n_state, uniforms, environment, state_size, discrete,
    middle, half, mean, scale, max_steps, columns, lanes, block, returns, lengths, sums, lo, hi,
):  # fmt: skip
    """Items [lo, hi) of popsize x blocks of episodes, row by row: `returns`, `lengths` (popsize, episodes).

    The arguments are those of `rollout_samples`, `environment` that of `rollout_lanes`. A tile is as many
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
    observations, rest = _cut(rest, n_in * lanes)
    actions, rest = _cut(rest, n_out * lanes)
    rewards, dones, faults, best = rest[: 4 * lanes].reshape(4, lanes)
    all_sums, rest = _cut(rest[4 * lanes :], 2 * n_in * slots)
    all_states, rest = _cut(rest, state_size * slots)
    earned, rest = _cut(rest, slots)
    state, own = _cut(rest, state_size)
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
                _show(observations, mean, scale, all_sums[2 * n_in * k :], x, start, width, lanes)
            y = run_block(program, population[r], frozen, x, front, back, net_state, scratch, count, width)
            for k in range(0, count * width, lanes):
                states = all_states[k * state_size :][: lanes * state_size]
                start = k // width * width * n_out + k % width
                if discrete:
                    _choose(y, start, width, n_out, lanes, best, choices, faults)
                    call(step, states, choices, rewards, dones)
                else:
                    _steer(y, start, width, n_out, lanes, middle, half, actions, faults)
                    call(step, states, actions, rewards, dones)
                if not _count(earned[k:], steps[k:], rewards, dones, faults, max_steps, lanes):
                    continue
                for s in range(lanes):
                    if dones[s] == 0:
                        continue
                    e = first + min(k + s, last)
                    if counts[k + s]:
                        returns[r, e], lengths[r, e] = earned[k + s], steps[k + s]
                        _add_sums(all_sums[2 * n_in * k :], steps[k + s], s, lanes, sums[r, b])
                        counts[k + s] = 0
                        live -= 1
                    steps[k + s] = 0
                    earned[k + s] = begin(reset, state, uniforms[min(r, len(uniforms) - 1), e], own)
                    put(state, s, lanes, states)
    keep(memory)
    keep(numbers_memory)
