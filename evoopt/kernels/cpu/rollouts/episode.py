"""The arguments of kernels that describe a game and its results, and the start of an episode."""

from typing import NamedTuple

import numpy as np

from evoopt.compiling.jit import inline
from evoopt.kernels.cpu.networks.code import call
from evoopt.types import Array, Vector


class KernelGame(NamedTuple):
    """A game in the form that kernels take: addresses of its codes, its numbers, and its episodes.

    For tiles and lanes the codes of `observe` and `step` are for all lanes of a vector. With a
    mean, observations become (observation - mean) * scale.
    """

    reset: int
    observe: int
    step: int
    state_size: int
    discrete: bool
    middle: Vector  # (n_actions,), the centre of the bounds of continuous actions
    half: Vector  # (n_actions,), half their distance; 0 where they are open
    mean: Vector  # (n_obs,), or empty
    scale: Vector  # (n_obs,), or empty
    uniforms: Array  # (popsize or 1, episodes, n), random numbers for reset
    max_steps: int


class Results(NamedTuple):
    """The arrays that kernels write.

    If the game has a mean, `sums` takes the sums of observation - mean, of its square and of 1,
    over the episodes of a chunk; else its n_obs is 0. Without tiles a row has one chunk.
    """

    returns: Array  # (popsize, episodes)
    lengths: Array  # (popsize, episodes)
    sums: Array  # (popsize, chunks, 3, n_obs)


@inline
def begin(game, row, episode, state, uniforms):
    """Write a first state; return the reward so far: 0, or NaN if reset left only NaN."""
    drawn = game.uniforms[min(row, len(game.uniforms) - 1), episode]
    for i in range(len(drawn)):
        uniforms[i] = drawn[i]  # rows share them, and a reset may change its own
    state[:] = 0
    call(game.reset, state, uniforms)
    for value in state:
        if value == value:  # noqa: PLR0124  (not NaN)
            return 0.0
    return np.nan
