"""The functions of an `evoopt.Environment` as machine code behind addresses.

The rules of built-in environments run in kernels, which the disk cache keeps; a user's functions
run in closures. There are codes for one episode, and for all lanes of a vector.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types

from evoopt.compiling.jit import closure, is_rule, kernel, named, widest_vectors
from evoopt.kernels.cpu.networks.code import Code, caller
from evoopt.kernels.cpu.rollouts.vector import put, take

_OBSERVE = "reset and observe must take two vectors of float64"
_STEP = "step must take a vector of float64 and {}, and return a reward and whether the episode is done"


class _OfState(Code):
    """``reset(state, uniforms)`` or ``observe(state, observation)``."""

    @staticmethod
    def parameters(numbers: types.Array) -> tuple[types.Type, ...]:
        return numbers, numbers


class _Step(Code):
    """``step(state, action) -> (reward, done)`` with an array as action."""

    returns = types.Tuple((types.float64, types.boolean))

    @staticmethod
    def parameters(numbers: types.Array) -> tuple[types.Type, ...]:
        return numbers, numbers


class _DiscreteStep(_Step):
    """``step(state, action) -> (reward, done)`` with the number of an action."""

    @staticmethod
    def parameters(numbers: types.Array) -> tuple[types.Type, ...]:
        return numbers, types.intp


class _StepLanes(Code):
    """``step(states, actions, rewards, dones)`` for all lanes, in 1-d arrays."""

    @staticmethod
    def parameters(numbers: types.Array) -> tuple[types.Type, ...]:
        return numbers, numbers, numbers, numbers


class _DiscreteStepLanes(_StepLanes):
    """``step(states, choices, rewards, dones)`` for all lanes, with the numbers of actions."""

    @staticmethod
    def parameters(numbers: types.Array) -> tuple[types.Type, ...]:
        return numbers, types.Array(types.int64, 1, "C"), numbers, numbers


call_step = caller(_Step.returns)


@functools.lru_cache(maxsize=256)
def code_of_state(function: Callable[..., Any]) -> Code:
    """Make the code of a reset or observe; if it raises, both of its arrays become NaN."""
    if is_rule(function):
        return _OfState(getattr(function, "py_func", function))

    def apply(state, array):
        try:
            function(state, array)
        except Exception:  # numba knows no other
            state[:] = np.nan
            array[:] = np.nan

    return _OfState(apply, _refusal(_OBSERVE, function))


@functools.lru_cache(maxsize=256)
def code_of_step(function: Callable[..., Any], discrete: bool) -> Code:
    """Make the code of a step; if it raises, the episode ends with NaN, which ranks worst."""
    kind = _DiscreteStep if discrete else _Step
    if is_rule(function):
        return kind(getattr(function, "py_func", function))

    def apply(state, action):
        try:
            reward, done = function(state, action)
        except Exception:  # numba knows no other
            reward, done = np.nan, True
        return reward, done

    return kind(apply, _refusal(_STEP.format("an int" if discrete else "a vector"), function))


@functools.lru_cache(maxsize=256)
def code_of_observe_lanes(
    observe: Callable[..., Any], state_size: int, observation_size: int, lanes: int
) -> Code:
    """Make ``code(states, observations)`` for all lanes."""
    if is_rule(observe):
        loop = _observe_by_rule(observe, state_size, observation_size, lanes)
        return _OfState(_kernel_around(observe, loop, lanes))
    alone = closure(code_of_state(observe).function)
    loop = _observe_each(alone, state_size, observation_size, lanes)
    return _OfState(loop, _refusal(_OBSERVE, observe))


@functools.lru_cache(maxsize=256)
def code_of_step_lanes(step: Callable[..., Any], state_size: int, action_size: int, lanes: int) -> Code:
    """Make ``code(states, actions, rewards, dones)`` for all lanes; `action_size` 0 is discrete."""
    discrete = action_size == 0
    kind = _DiscreteStepLanes if discrete else _StepLanes
    sizes = (state_size, lanes) if discrete else (state_size, action_size, lanes)
    if is_rule(step):
        loop = (_choose_by_rule if discrete else _steer_by_rule)(step, *sizes)
        return kind(_kernel_around(step, loop, lanes))
    alone = closure(code_of_step(step, discrete).function)
    loop = (_choose_each if discrete else _steer_each)(alone, *sizes)
    return kind(loop, _refusal(_STEP.format("an int" if discrete else "a vector"), step))


def _refusal(takes: str, function: Callable[..., Any]) -> str:
    return f"{takes}, but {function} does not."


def _kernel_around(function: Callable[..., Any], loop: Callable[..., None], lanes: int) -> Any:
    module = function.__module__.rpartition(".")[2]
    return kernel(named(loop, f"{module}_{function.__name__}_{lanes}"))


# Loops around rules. The sizes are constants of the code, so LLVM knows that the numbers of a
# state, `lanes` apart, do not overlap, and turns a rule for one episode into vector instructions
# for all.


def _observe_by_rule(observe, state_size, observation_size, lanes):
    def observe_lanes(states, observations):
        widest_vectors()
        states = states.reshape(state_size, lanes)
        observations = observations.reshape(observation_size, lanes)
        for s in range(lanes):
            observe(states[:, s], observations[:, s])

    return observe_lanes


def _steer_by_rule(step, state_size, action_size, lanes):
    def step_lanes(states, actions, rewards, dones):
        widest_vectors()
        states = states.reshape(state_size, lanes)
        actions = actions.reshape(action_size, lanes)
        for s in range(lanes):
            rewards[s], dones[s] = step(states[:, s], actions[:, s])

    return step_lanes


def _choose_by_rule(step, state_size, lanes):
    def choose_lanes(states, choices, rewards, dones):
        widest_vectors()
        states = states.reshape(state_size, lanes)
        for s in range(lanes):
            rewards[s], dones[s] = step(states[:, s], choices[s])

    return choose_lanes


# Loops around a user's function, which may raise, and gets vectors of its own, one episode after
# the other.


def _observe_each(observe, state_size, observation_size, lanes):
    def observe_each(states, observations):
        state, observation = np.empty(state_size), np.empty(observation_size)
        for s in range(lanes):
            take(states, s, lanes, state)
            observe(state, observation)
            put(observation, s, lanes, observations)

    return observe_each


def _steer_each(step, state_size, action_size, lanes):
    def steer_each(states, actions, rewards, dones):
        state, action = np.empty(state_size), np.empty(action_size)
        for s in range(lanes):
            take(states, s, lanes, state)
            take(actions, s, lanes, action)
            rewards[s], dones[s] = step(state, action)
            put(state, s, lanes, states)

    return steer_each


def _choose_each(step, state_size, lanes):
    def choose_each(states, choices, rewards, dones):
        state = np.empty(state_size)
        for s in range(lanes):
            take(states, s, lanes, state)
            rewards[s], dones[s] = step(state, choices[s])
            put(state, s, lanes, states)

    return choose_each
