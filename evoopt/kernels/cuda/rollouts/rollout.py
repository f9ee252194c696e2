"""Whole episodes of a population; a block of threads has a row and some of its episodes.

The row's weights stay in shared memory while its episodes last, where they fit. All threads run the
network, and one for each episode plays it: observe, choose, step, in float64.
"""

import functools

import numpy as np
from numba import cuda, float32, types

from evoopt.kernels.cuda.networks import samples
from evoopt.kernels.cuda.networks.layer import KernelLayer
from evoopt.kernels.cuda.rollouts.episode import KernelGame, make_act, make_begin, make_observe
from evoopt.kernels.cuda.rollouts.plan import Plan
from evoopt.kernels.cuda.runtime.jit import DYNAMIC_ALIGNMENT, Kernel, kernel, name_of, part


@part
def _copy(t, threads, source, start, count, target):
    for i in range(t, count, threads):
        target[i] = source[start + i]


@functools.cache
def rollout_rows(  # noqa: PLR0915  (one episode, from its start to its end)
    layers: tuple[KernelLayer, ...], game: KernelGame, normalizes: bool, plan: Plan, alignment: int
) -> Kernel:
    """Make the kernel that plays the episodes of a population.

    ``kernel(population, n_params, frozen, uniforms, per_row, numbers, total, max_steps, results)``
    has rows and their `total` episodes as items. A block has a row and ``plan.episodes`` of its
    episodes, one for each of the first threads. The results are a tuple of `returns`, `lengths`
    (popsize, total) and `sums` of observations (popsize, total, 2 n_obs). The uniforms are (popsize
    or 1, total, n), `per_row` apart from row to row (0: the same for all). `numbers` are centre and
    half width of the actions' bounds, then mean and 1 / standard deviation of the observations. All
    arrays are 1-d. If the plan keeps no weights in shared memory, rows begin at multiples of
    `alignment` numbers, 1, 2 or 4.

    If a user's function raises, the thread leaves the kernel at once, and the NaN that it wrote
    before as its return stays.
    """
    begin, observe, act = make_begin(game), make_observe(game, normalizes), make_act(game)
    episodes, threads, cached = plan
    run, odd = samples.chain(layers, episodes, threads, 4 if cached else alignment), len(layers) % 2
    n_in, n_out, n_state, n_uniforms = layers[0].inputs, layers[-1].units, game.state_size, game.uniforms
    size, scratch_size = episodes * samples.widest(layers), samples.room(episodes, threads)
    n_spans = 0 if game.discrete else 2 * n_out
    n_sums, n_scaling = (2 * n_in, 2 * n_in) if normalizes else (0, 0)
    room_uniforms, room_sums = max(n_uniforms, 1), max(n_sums, 1)
    room_spans, room_scaling = max(n_spans, 1), max(n_scaling, 1)

    @kernel(threads, (1, episodes), plan.shared, name=name_of(layers, game, normalizes, plan, alignment))
    def play(population, n_params, frozen, uniforms, per_row, numbers, total, max_steps, results):
        returns, lengths, sums = results
        t, r, e = cuda.threadIdx.x, cuda.blockIdx.x, cuda.blockIdx.y * episodes + cuda.threadIdx.x
        x = cuda.shared.array(size, float32)  # (in the simulator two arrays of one line are the same)
        y = cuda.shared.array(size, float32)
        scratch = cuda.shared.array(scratch_size, float32)
        playing = cuda.shared.array(1, types.int32)
        spans = cuda.shared.array(room_spans, types.float64)
        scaling = cuda.shared.array(room_scaling, types.float64)
        weights, base = population, r * n_params
        if cached > 0:
            weights, base = cuda.shared.array(0, float32, DYNAMIC_ALIGNMENT), 0
            _copy(t, threads, population, r * n_params, cached, weights)
        _copy(t, threads, numbers, 0, n_spans, spans)
        _copy(t, threads, numbers, n_spans, n_scaling, scaling)
        for i in range(t, size, threads):
            x[i], y[i] = float32(0), float32(0)
        cuda.syncthreads()
        state, own = cuda.local.array(n_state, types.float64), cuda.local.array(room_uniforms, types.float64)
        observation = cuda.local.array(n_in, types.float64)
        action = cuda.local.array(n_out, types.float64)
        seen = cuda.local.array(room_sums, types.float64)
        for i in range(room_sums):
            seen[i] = 0.0
        mine = t < episodes and e < total
        earned, length = np.nan, 0
        if mine:
            returns[r * total + e] = np.nan
            if n_sums > 0:
                sums[(r * total + e) * n_sums] = np.nan
            earned = begin(uniforms, r * per_row + e * n_uniforms, own, state)
        done = not mine
        for _ in range(max_steps):
            if t == 0:
                playing[0] = 0
            cuda.syncthreads()
            if not done:
                playing[0] = 1
                observe(state, observation, scaling, seen, x, t * n_in)
            cuda.syncthreads()
            if playing[0] == 0:  # the same for all threads
                break
            run(t, weights, base, frozen, x, y, scratch)
            if not done:
                if odd:
                    reward, done = act(y, t * n_out, spans, action, state)
                else:
                    reward, done = act(x, t * n_out, spans, action, state)
                earned += reward
                length += 1
            cuda.syncthreads()
        if mine:
            returns[r * total + e], lengths[r * total + e] = earned, length
            for i in range(n_sums):
                sums[(r * total + e) * n_sums + i] = seen[i]

    return play
