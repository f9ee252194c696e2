"""Whole episodes of a population: a block of threads for a row and some of its episodes.

The row's weights stay in shared memory while its episodes last, where they fit. All threads run the network,
and one for each episode plays it: observe, choose, step, in float64.
"""

import functools
from typing import Any, NamedTuple

import numpy as np
from numba import cuda, float32, types

from evoopt.kernels.cuda.networks import few
from evoopt.kernels.cuda.networks.layer import KernelLayer
from evoopt.kernels.cuda.runtime.jit import DYNAMIC_ALIGNMENT, kernel, name_of, part
from evoopt.rules.ranges import FARTHEST, clip, spanned


class KernelGame(NamedTuple):
    """A game as kernels are specialised for it: functions, sizes, and whether observations are normalised."""

    reset: Any
    observe: Any
    step: Any
    state_size: int
    observation_size: int
    n_actions: int
    discrete: bool
    uniforms: int
    normalizes: bool


@functools.cache
def _begin(game: KernelGame) -> Any:
    """Make ``begin(uniforms, start, own, state) -> earned``: 0, or NaN where the state has only NaN."""
    n_state, n_uniforms, reset = game.state_size, game.uniforms, game.reset

    @part
    def begin(uniforms, start, own, state):
        for i in range(n_uniforms):
            own[i] = uniforms[start + i]  # rows share them, and a reset may change its own
        for i in range(n_state):
            state[i] = 0.0
        reset(state, own[:n_uniforms])
        earned = np.nan
        for i in range(n_state):  # (all of it: a loop that is left would keep the state on the stack)
            earned = 0.0 if state[i] == state[i] else earned  # (not NaN)
        return earned

    return begin


@functools.cache
def _write_observation(game: KernelGame) -> Any:
    """Make ``write(state, observation, scaling, sums, x, start)``, into the inputs from x[start] on."""
    n_in, normalizes, observe = game.observation_size, game.normalizes, game.observe

    @part
    def write(state, observation, scaling, sums, x, start):
        observe(state, observation)
        for i in range(n_in):
            value = observation[i]
            if normalizes:
                value -= scaling[i]
                sums[i] += value
                sums[n_in + i] += value * value
                value = clip(value * scaling[n_in + i], -FARTHEST, FARTHEST)
            x[start + i] = float32(value)

    return write


@functools.cache
def _act(game: KernelGame) -> Any:
    """Make ``act(y, start, spans, action, state) -> (reward, done)``; outputs of NaN end it with NaN."""
    n_out, discrete, step = game.n_actions, game.discrete, game.step

    @part
    def choose(y, start, spans, action, state):
        finite, best = True, 0
        for i in range(n_out):
            output = y[start + i]
            finite &= output == output  # noqa: PLR0124  (not NaN)
            best = i if output > y[start + best] else best
        if not finite:
            return np.nan, True
        return step(state, best)

    @part
    def steer(y, start, spans, action, state):
        finite = True
        for i in range(n_out):
            output = y[start + i]
            finite &= output == output  # noqa: PLR0124
            action[i] = spanned(types.float64(output), spans[i], spans[n_out + i])
        if not finite:
            return np.nan, True
        return step(state, action)

    return choose if discrete else steer


@part
def _copy(t, threads, source, start, count, target):
    for i in range(t, count, threads):
        target[i] = source[start + i]


@functools.cache
def rollout_rows(  # noqa: PLR0915  (one episode, from its start to its end)
    layers: tuple[KernelLayer, ...],
    game: KernelGame,
    episodes: int,
    threads: int,
    cached: int,
    alignment: int,
) -> Any:
    """Make ``kernel(population, n_params, frozen, uniforms, per_row, numbers, total, max_steps, ...)``.

    The other arguments are `returns`, `lengths` (popsize, total) and `sums` (popsize, total, 2 n_obs); all
    arrays are 1-d. A block is a row (x) and a chunk of `episodes` of its `total` ones (y), one for each of
    the first threads. `uniforms` are (popsize or 1, total, n), `per_row` apart from row to row (0: the same
    for all). `numbers` are middle and half width of the actions, then mean and 1 / standard deviation of the
    observations. With `cached`, the number of parameters, a row's weights are copied to shared memory; else
    rows begin at multiples of `alignment` numbers, 1, 2 or 4.

    A thread in which a user's function raises leaves the kernel there and then: the return that it wrote
    before stays, which is NaN.
    """
    begin, write, act = _begin(game), _write_observation(game), _act(game)
    run, odd = few.chain(layers, episodes, threads, 4 if cached else alignment), len(layers) % 2
    n_in, n_out, n_state, n_uniforms = layers[0].inputs, layers[-1].units, game.state_size, game.uniforms
    size, scratch_size = episodes * few.widest(layers), few.room(episodes, threads)
    n_spans = 0 if game.discrete else 2 * n_out
    n_sums, n_scaling = (2 * n_in, 2 * n_in) if game.normalizes else (0, 0)
    room_uniforms, room_sums = max(n_uniforms, 1), max(n_sums, 1)
    room_spans, room_scaling = max(n_spans, 1), max(n_scaling, 1)

    @kernel(threads, name=name_of(layers, game, episodes, threads, cached, alignment))
    def play(
        population, n_params, frozen, uniforms, per_row, numbers, total, max_steps, returns, lengths, sums
    ):
        t, r, e = cuda.threadIdx.x, cuda.blockIdx.x, cuda.blockIdx.y * episodes + cuda.threadIdx.x
        x = cuda.shared.array(size, float32)  # (the simulator takes two on one line for the same)
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
                write(state, observation, scaling, seen, x, t * n_in)
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


def shared_bytes(layers: tuple[KernelLayer, ...], game: KernelGame, episodes: int, threads: int) -> int:
    """Give the shared memory of a block, without that of the weights, which is dynamic."""
    numbers = 2 * episodes * few.widest(layers) + few.room(episodes, threads) + 1
    return 4 * numbers + 16 * (game.n_actions + game.observation_size + 1)
