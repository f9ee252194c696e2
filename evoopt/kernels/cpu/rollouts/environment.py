"""An environment's functions as code behind addresses; see `evoopt.Environment` for what they are.

Around the rules of built-in ones are kernels, served from the disk cache; around a user's functions closures.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types

from evoopt.compiling.jit import closure, is_rule, kernel, named, widest_vectors
from evoopt.kernels.cpu.networks.code import Code, caller
from evoopt.kernels.cpu.rollouts.vector import put, take


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


class _StepLanes(Code):
    """``step(states, actions, rewards, dones)`` of all lanes; states and actions are (size, lanes), flat."""

    @staticmethod
    def parameters(numbers: types.Array) -> tuple[types.Type, ...]:
        return numbers, numbers, numbers, numbers


class _DiscreteStepLanes(_StepLanes):
    """The same for numbers of actions."""

    @staticmethod
    def parameters(numbers: types.Array) -> tuple[types.Type, ...]:
        return numbers, types.Array(types.int64, 1, "C"), numbers, numbers


call_step = caller(_Step.returns)


@functools.lru_cache(maxsize=256)
def code_of_state(function: Callable[..., Any]) -> Code:
    """Make the code of a reset or observe; where it raises, all that it was to write is NaN."""
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
    """Make the code of a step; where it raises, the episode ends with NaN, which ranks worst."""
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


_OBSERVE = "reset or observe takes two vectors of float64"
_STEP = "step takes a vector of float64 and {}, and gives a reward and whether the episode is done"


def _refusal(takes: str, function: Callable[..., Any]) -> str:
    return f"A {takes}, but {function} does not."


# All lanes of a vector. The sizes are constants of the code: so LLVM knows that numbers of a state, `lanes`
# apart, do not overlap, and turns a rule for one episode into vector instructions for all of them. A user's
# function gets vectors of its own, one episode after the other, and may raise.


@functools.lru_cache(maxsize=256)
def code_of_observing(
    observe: Callable[..., Any], state_size: int, observation_size: int, lanes: int
) -> Code:
    """Make ``code(states, observations)`` of all lanes."""

    def observe_lanes(states, observations):
        widest_vectors()
        states = states.reshape(state_size, lanes)
        observations = observations.reshape(observation_size, lanes)
        for s in range(lanes):
            observe(states[:, s], observations[:, s])

    if is_rule(observe):
        return _OfState(_kernel_around(observe, observe_lanes, lanes))
    alone = closure(code_of_state(observe).function)

    def observe_each(states, observations):
        state, observation = np.empty(state_size), np.empty(observation_size)
        for s in range(lanes):
            take(states, s, lanes, state)
            alone(state, observation)
            put(observation, s, lanes, observations)

    return _OfState(observe_each, _refusal(_OBSERVE, observe))


@functools.lru_cache(maxsize=256)
def code_of_stepping(step: Callable[..., Any], state_size: int, action_size: int, lanes: int) -> Code:
    """Make ``code(states, actions, rewards, dones)`` of all lanes; discrete actions have a size of 0."""
    kind = _StepLanes if action_size else _DiscreteStepLanes

    def step_lanes(states, actions, rewards, dones):
        widest_vectors()
        states = states.reshape(state_size, lanes)
        actions = actions.reshape(action_size, lanes)
        for s in range(lanes):
            rewards[s], dones[s] = step(states[:, s], actions[:, s])

    def choose_lanes(states, choices, rewards, dones):
        widest_vectors()
        states = states.reshape(state_size, lanes)
        for s in range(lanes):
            rewards[s], dones[s] = step(states[:, s], choices[s])

    if is_rule(step):
        return kind(_kernel_around(step, step_lanes if action_size else choose_lanes, lanes))
    alone = closure(code_of_step(step, not action_size).function)

    def step_each(states, actions, rewards, dones):
        state, action = np.empty(state_size), np.empty(action_size)
        for s in range(lanes):
            take(states, s, lanes, state)
            take(actions, s, lanes, action)
            rewards[s], dones[s] = alone(state, action)
            put(state, s, lanes, states)

    def choose_each(states, choices, rewards, dones):
        state = np.empty(state_size)
        for s in range(lanes):
            take(states, s, lanes, state)
            rewards[s], dones[s] = alone(state, choices[s])
            put(state, s, lanes, states)

    return kind(
        step_each if action_size else choose_each,
        _refusal(_STEP.format("a vector" if action_size else "an int"), step),
    )


def _kernel_around(function: Callable[..., Any], loop: Callable[..., None], lanes: int) -> Any:
    module = function.__module__.rpartition(".")[2]
    return kernel(named(loop, f"{module}_{function.__name__}_{lanes}"))
