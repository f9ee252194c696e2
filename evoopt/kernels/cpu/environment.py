"""An environment's functions as code behind addresses; see `evoopt.Environment` for what they are.

Built-in ones are kernels, served from the disk cache. Around a user's functions a closure is compiled.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types

from evoopt.kernels.cpu.operation import Code, caller
from evoopt.kernels.jit import is_kernel


class _OfState(Code):
    """``reset(state, uniforms)`` or ``observe(state, observation)``."""

    @staticmethod
    def parameters(numbers: types.Array) -> tuple[types.Type, ...]:
        return numbers, numbers


class _Step(Code):
    """``step(state, action) -> (reward, done)`` of an array of numbers."""

    returns = types.Tuple((types.float64, types.boolean))

    @staticmethod
    def parameters(numbers: types.Array) -> tuple[types.Type, ...]:
        return numbers, numbers


class _DiscreteStep(_Step):
    """``step(state, action) -> (reward, done)`` of a number of an action."""

    @staticmethod
    def parameters(numbers: types.Array) -> tuple[types.Type, ...]:
        return numbers, types.intp


call_step = caller(_Step.returns)


@functools.lru_cache(maxsize=256)
def code_of_state(function: Callable[..., Any]) -> Code:
    """Make the code of a reset or observe; where it raises, all that it was to write is NaN."""
    if is_kernel(function):
        return _OfState(function)

    def apply(state, array):
        try:
            function(state, array)
        except Exception:  # numba knows no other
            state[:] = np.nan
            array[:] = np.nan

    return _OfState(apply, f"A reset or observe takes two vectors of float64, but {function} does not.")


@functools.lru_cache(maxsize=256)
def code_of_step(function: Callable[..., Any], discrete: bool) -> Code:
    """Make the code of a step; where it raises, the episode ends with NaN, which ranks worst."""
    kind = _DiscreteStep if discrete else _Step
    if is_kernel(function):
        return kind(function)

    def apply(state, action):
        reward, done = np.nan, True
        try:
            reward, done = function(state, action)
        except Exception:  # numba knows no other
            reward, done = np.nan, True
        return reward, done

    return kind(
        apply,
        f"A step takes a vector of float64 and {'an int' if discrete else 'a vector'}, and gives a reward "
        f"and whether the episode is done, but {function} does not.",
    )
