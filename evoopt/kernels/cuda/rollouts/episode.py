"""The parts of an episode that one thread runs: beginning, observation and action, in float64."""

import functools
from typing import Any, NamedTuple

import numpy as np
from numba import float32, types

from evoopt.kernels.cuda.runtime.jit import part
from evoopt.rules.ranges import FARTHEST, clip, spanned


class KernelGame(NamedTuple):
    """A game that kernels are specialised for: its functions and sizes."""

    reset: Any
    observe: Any
    step: Any
    state_size: int
    observation_size: int
    n_actions: int
    discrete: bool
    uniforms: int


@functools.cache
def make_begin(game: KernelGame) -> Any:
    """Make ``begin(uniforms, start, own, state) -> earned``, which resets an episode.

    `earned` is 0, or NaN if the state has nothing but NaN. The episode's uniforms begin at
    uniforms[start]; `own` has room for a copy.
    """
    n_state, n_uniforms, reset = game.state_size, game.uniforms, game.reset

    @part
    def begin(uniforms, start, own, state):
        for i in range(n_uniforms):
            own[i] = uniforms[start + i]  # rows share them, and a reset may change its own
        for i in range(n_state):
            state[i] = 0.0
        reset(state, own[:n_uniforms])
        earned = np.nan
        for i in range(n_state):  # (to its end: a loop with a break would keep the state on the stack)
            earned = 0.0 if state[i] == state[i] else earned  # (not NaN)
        return earned

    return begin


@functools.cache
def make_observe(game: KernelGame, normalizes: bool) -> Any:
    """Make ``observe(state, observation, scaling, sums, x, start)``, which writes x[start] and on.

    The numbers in x are the network's inputs. If it `normalizes`, `scaling` holds means and 1 /
    standard deviations, and the differences from the means and their squares are added to `sums`.
    """
    n_in, write_observation = game.observation_size, game.observe

    @part
    def observe(state, observation, scaling, sums, x, start):
        write_observation(state, observation)
        for i in range(n_in):
            value = observation[i]
            if normalizes:
                value -= scaling[i]
                sums[i] += value
                sums[n_in + i] += value * value
                value = clip(value * scaling[n_in + i], -FARTHEST, FARTHEST)
            x[start + i] = float32(value)

    return observe


@functools.cache
def make_act(game: KernelGame) -> Any:
    """Make ``act(y, start, spans, action, state) -> (reward, done)``, for outputs from y[start] on.

    `spans` are the centres and half widths of the actions' bounds. An output of NaN ends the
    episode, with a reward of NaN.
    """
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
