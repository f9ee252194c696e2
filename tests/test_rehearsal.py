"""Users' environments: a task reports errors of their functions when it is made."""

import math
import random
import types
from dataclasses import replace

import numba
import numpy as np
import pytest
from helpers import JIT_DISABLED
from helpers.environments import BUILT_IN

import evoopt
from evoopt import envs
from evoopt.compiling import jit
from evoopt.compiling.remade import remade
from evoopt.tasks import rehearsal

helpers = types.ModuleType("helpers")  # a module that a user imports


@numba.njit
def reset(state, uniforms):
    state[0] = 2 * uniforms[0] - 1


@numba.njit
def observe(state, observation):
    observation[0] = state[0]
    observation[1] = state[1]


@numba.njit
def step(state, action):
    state[1] += 0.05 * action[0]
    state[0] += 0.05 * state[1]
    return -abs(state[0]), abs(state[0]) > 2


@numba.njit
def choose(state, action):
    state[0] += action - 1
    return 1.0, False


SIZES = {"state_size": 2, "observation_size": 2, "actions": (-1, 1), "uniforms": 1, "max_steps": 10}
point = evoopt.Environment(reset, observe, step, **SIZES)
chosen = replace(point, step=choose, actions=3)


@pytest.fixture
def in_python(monkeypatch):
    """Skip the compiled confirmation of Python's errors, which takes half a second."""
    monkeypatch.setattr(rehearsal, "CHECKED", lambda function: function)


def network(env):
    return evoopt.Network([evoopt.Dense(env.n_actions)], (env.observation_size,))


def refusal(env):
    """Return the sentence in which a task refuses an environment."""
    rehearsal.rehearse.cache_clear()
    with pytest.raises(ValueError, match=r"^[a-z].* must .* got .*\.$") as caught:
        evoopt.Rollout(network(env), env)
    return str(caught.value)


def njit_of(source, **names):
    """Return a compiled function of one line of code."""
    scope = {"np": np, "math": math, **names}
    exec(source, scope)
    return numba.njit(scope[source[4 : source.index("(")]])


@numba.njit
def at(array, index):
    return array[index]


helpers.at = at


@numba.njit
def down_to(array, index):
    return array[index] if index > 4 else down_to(array, index + 1)


def closed_over(function):
    """Return a step that calls a function from its closure."""

    @numba.njit
    def inner(state, action):
        return function(state, 5), False

    return inner


def table_of(numbers):
    @numba.njit
    def inner(state, action):
        return numbers[action], False

    return inner


# --- indices, of each array in each function, read and written


def of_step(body, **names):
    return {"step": njit_of(f"def step(state, action):\n {body}", **names)}


OUTSIDE = {
    "the state, far": (of_step("return state[100000], False"), "step", 100000, 2),
    "the state, near": (of_step("return state[5], False"), "step", 5, 2),
    "the state, written": (of_step("state[2] = 1\n return 1.0, False"), "step", 2, 2),
    "the state, from its end": (of_step("return state[-3], False"), "step", -3, 2),
    "the action": (of_step("return action[1], False"), "step", 1, 1),
    "the action, written": (of_step("action[1] = 0\n return 1.0, False"), "step", 1, 1),
    "for a high action": (of_step("if action[0] > 0.9: state[7] = 0\n return 1.0, False"), "step", 7, 2),
    "for a low action": (of_step("if action[0] < -0.9: state[7] = 0\n return 1.0, False"), "step", 7, 2),
    "for an action between": (of_step("if action[0] == 0: state[7] = 0\n return 1.0, False"), "step", 7, 2),
    "after some steps": (
        of_step("state[1] += 1\n state[0] = state[int(state[1])]\n return 1.0, False"), "step", 2, 2,
    ),
    "in a function that is called": (of_step("return at(state, 5), False", at=at), "step", 5, 2),
    "in a function of a module": (of_step("return m.at(state, 5), False", m=helpers), "step", 5, 2),
    "in a function that calls itself": (of_step("return f(state, 0), False", f=down_to), "step", 5, 2),
    "in a function that is closed over": ({"step": closed_over(at)}, "step", 5, 2),
    "a table": ({"step": table_of(np.zeros(2)), "actions": 3}, "step", 2, 2),
    "uniform numbers": (
        {"reset": njit_of("def reset(state, uniforms):\n for i in range(4): state[0] += uniforms[i]"),
         "uniforms": 3}, "reset", 3, 3,
    ),
    "no uniform numbers": ({"uniforms": 0}, "reset", 0, 0),
    "the first state": ({"reset": njit_of("def reset(state, uniforms): state[2] = 0")}, "reset", 2, 2),
    "a high uniform number": (
        {"reset": njit_of("def reset(state, uniforms): state[round(2 * uniforms[0])] = 1")}, "reset", 2, 2,
    ),
    "a state that is too small": ({"state_size": 1}, "observe", 1, 1),
    "the observation": ({"observation_size": 1}, "observe", 1, 1),
    "an observed state": ({"observe": njit_of("def observe(state, observation): observation[0] = state[8]")},
                          "observe", 8, 2),
}  # fmt: skip
CONFIRMED = ["the state, far", "in a function that is closed over", "uniform numbers", "the observation"]


@pytest.mark.parametrize("kind", OUTSIDE)
def test_an_index_outside_of_its_array_is_told_with_the_function_and_the_size(kind, request):
    change, function, index, size = OUTSIDE[kind]
    if kind not in CONFIRMED:
        request.getfixturevalue("in_python")
    text = refusal(replace(point, **change))
    assert text.startswith(f"{function} of an environment must keep to its arrays")
    assert f"index {index} is out of bounds for axis 0 with size {size}" in text


@pytest.mark.parametrize("n", [2, 3, 7])
def test_each_discrete_action_is_tried(n, in_python):
    for wrong in range(n):
        body = f"if action == {wrong}: state[5] = 0\n return 1.0, False"
        text = refusal(replace(chosen, actions=n, **of_step(body)))
        assert f"index 5 is out of bounds for axis 0 with size 2 (state of 2, action {wrong})" in text


@pytest.mark.parametrize("name", BUILT_IN)
@pytest.mark.parametrize("size", ["state_size", "observation_size", "uniforms"])
def test_built_in_functions_on_smaller_arrays_are_refused(name, size, in_python):
    env = getattr(envs, name)
    assert f" of {getattr(env, size) - 1}" in refusal(replace(env, **{size: getattr(env, size) - 1}))


def test_what_only_numba_can_call_is_compiled_to_see():
    """The sine of the built-in environments is such a function."""
    text = refusal(replace(envs.pendulum, observation_size=2))
    assert text.startswith("observe of an environment must keep to its arrays, got IndexError")
    assert "(state of 2, observation of 2)" in text
    evoopt.Rollout(network(envs.pendulum), replace(envs.pendulum, reset=reset, step=step))


def test_an_observation_must_be_written_in_full():
    assert refusal(replace(point, observation_size=4)) == (
        "observe must write all 4 numbers of an observation, got none at 2, 3; write them, or make "
        "observation_size smaller."
    )
    body = "def observe(state, observation):\n observation[1] = 0\n if state[0] > 0: observation[0] = 0"
    assert "all 2 numbers of an observation, got none at 0" in refusal(replace(point, observe=njit_of(body)))


# --- arguments and returns


@pytest.mark.parametrize(("name", "expected"), [
    ("reset", "(state, uniforms)"), ("observe", "(state, observation)"), ("step", "(state, action)"),
])  # fmt: skip
@pytest.mark.parametrize("arguments", ["", "a", "a, b, c"])
def test_the_number_of_arguments_is_told(name, expected, arguments):
    function = njit_of(f"def {name}({arguments}): return 1.0, False")
    text = refusal(replace(point, **{name: function}))
    assert text == f"{name} must take {expected}, got a function of ({arguments})."


def test_more_arguments_may_have_defaults():
    env = replace(point, **of_step("return 1.0, False"))
    function = njit_of("def step(state, action, scale=2.0): return scale * state[0], False")
    for step in (env.step, function):
        evoopt.Rollout(network(point), replace(point, step=step))


@pytest.mark.parametrize(
    "returned",
    [
        *("1.0", "1.0,", "1.0, False, 0", "state, False", "1.0, state", "'one', False", "1j, False"),
        *("False, 1.0", "False, -1", "1.0, state[0]", "1.0, 2"),  # numbers as done
    ],
)
def test_another_return_than_reward_and_done_is_told(returned):
    text = refusal(replace(point, **of_step(f"return {returned}")))
    assert text.startswith("step must return a number and a bool, (reward, done), got ")
    assert "got None" in refusal(replace(point, **of_step("state[0] = 1")))


@pytest.mark.parametrize("returned", ["1, False", "state[0], state[1] > 0", "np.float32(1), 0", "True, True"])
def test_numbers_of_any_type_are_returned(returned):
    evoopt.Rollout(network(point), replace(point, **of_step(f"return {returned}")))


# --- exceptions of the functions themselves


@pytest.mark.parametrize("name", ["reset", "observe", "step"])
def test_what_a_function_always_raises_is_shown(name, in_python):
    function = njit_of(f"def {name}(state, array): raise ValueError('The valve is stuck')")
    text = refusal(replace(point, **{name: function}))
    assert text.startswith(
        f"{name} of an environment must run without an exception, got ValueError: The valve"
    )


def test_discrete_actions_are_no_vectors():
    text = refusal(replace(chosen, **of_step("return action[0], False")))
    assert "step of an environment must run without an exception, got TypeError: 'int' object is not" in text


@pytest.mark.skipif(JIT_DISABLED, reason="Python raises in an episode, too")
@pytest.mark.parametrize(
    "body",
    [
        "return math.log(0 * state[0]), False",
        "return math.sqrt(-1 - state[0] ** 2), False",
        "return math.exp(1e4 + state[0]), False",
        "return state[(int(state[0]) + 4611686018427387904) * 4 >> 60], False",
    ],
)
def test_what_only_python_raises_is_no_mistake(body):
    with pytest.raises((ValueError, ArithmeticError, IndexError)):
        njit_of(f"def step(state, action):\n {body}").py_func(np.zeros(2), np.zeros(1))
    evoopt.Rollout(network(point), replace(point, **of_step(body)))


# --- nothing else happens


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_environments_pass_and_nothing_is_compiled(name, monkeypatch):
    def refuse(*arguments):
        raise AssertionError("compiled")

    rehearsal.rehearse.cache_clear()
    monkeypatch.setattr(rehearsal, "CHECKED", refuse)
    env = getattr(envs, name)
    evoopt.Rollout(network(env), env)
    before = rehearsal.rehearse.cache_info().misses
    evoopt.Rollout(network(env), env)
    assert rehearsal.rehearse.cache_info().misses == before


@pytest.mark.skipif(not JIT_DISABLED, reason="Python cannot call the intrinsics of compiled ones")
@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_environments_would_pass_a_rehearsal(name, monkeypatch):
    monkeypatch.setattr(rehearsal, "BUILT_IN", [])
    rehearsal.rehearse.cache_clear()
    rehearsal.rehearse(getattr(envs, name))


def test_good_environments_of_users_pass_and_nothing_is_compiled(monkeypatch):
    monkeypatch.setattr(rehearsal, "CHECKED", None)
    for env in (point, chosen, replace(point, actions=([-np.inf, 0], [np.inf, 2]))):
        rehearsal.rehearse.cache_clear()
        evoopt.Rollout(network(env), env)
        if not JIT_DISABLED:
            assert not any(getattr(env, name).signatures for name in ("reset", "observe", "step"))


def test_random_numbers_are_as_they_were():
    draw = "return np.random.rand() + np.random.randn() + random.random(), False"
    env = replace(point, **of_step(draw, random=random))
    random.seed(1), np.random.seed(1)
    expected = random.random(), np.random.rand()
    random.seed(1), np.random.seed(1)
    rehearsal.rehearse.cache_clear()
    evoopt.Rollout(network(env), env)
    assert (random.random(), np.random.rand()) == expected


def test_a_slow_function_ends_the_rehearsal(monkeypatch):
    calls = []
    env = replace(point, actions=(-1, 1))
    monkeypatch.setattr(rehearsal, "SECONDS", 0)
    monkeypatch.setattr(rehearsal, "remade", lambda f, decorate: counting(remade(f, decorate), calls))
    rehearsal.rehearse.cache_clear()
    rehearsal.rehearse(env)
    assert calls == ["reset", "observe", "step"]


def counting(function, calls):
    def counted(state, array):
        calls.append(function.__name__)
        return function(state, array)

    return counted


# --- functions that are made again


@pytest.mark.skipif(JIT_DISABLED, reason="nothing is compiled")
def test_a_function_made_again_calls_nothing_of_the_original():
    def count(index):
        return index

    @numba.njit
    def inner(array, index):
        return at(array, index) + helpers.at(array, 0) + down_to(array, 3)

    def outer(array):
        return inner(array, count.__code__.co_argcount)

    plain = remade(numba.njit(outer), lambda function: function)
    assert isinstance(plain, types.FunctionType)
    assert plain.__globals__ is not outer.__globals__
    assert not inner.signatures
    assert at is remade(at, lambda function: at)
    assert helpers.at is at  # the module is unchanged
    checked = remade(inner, numba.njit(boundscheck=True))
    with pytest.raises(IndexError):
        checked(np.zeros(3), 7)
    assert not at.signatures
    assert remade(math.sin, jit.kernel) is math.sin
