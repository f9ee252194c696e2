"""Environments: built-in ones against Gymnasium's and the reference; arguments of `Environment`."""

import pickle
from dataclasses import replace
from types import SimpleNamespace

import gymnasium
import numba
import numpy as np
import pytest
import reference
from gymnasium.envs.classic_control import continuous_mountain_car
from helpers import JIT_DISABLED
from helpers.environments import BUILT_IN
from scipy import stats

from evoopt import envs
from evoopt.compiling.jit import is_rule

NAMES = {
    "cartpole": "CartPole-v1",
    "pendulum": "Pendulum-v1",
    "acrobot": "Acrobot-v1",
    "mountain_car": "MountainCar-v0",
    "mountain_car_continuous": "MountainCarContinuous-v0",
}
SWING_UPS = ("cartpole_swingup", "cartpole_swingup_hard")  # they are in tests/reference.py
# States inside and outside the limits of each environment
WIDE = {
    "cartpole": (3, 3, 0.3, 3),
    "pendulum": (12, 9),
    "acrobot": (3.2, 3.2, 14, 30),
    "mountain_car": (1.3, 0.08),
    "mountain_car_continuous": (1.3, 0.08),
}


def start(env, rng):
    """Return the first state of an episode."""
    state = np.full(env.state_size, np.nan)
    env.reset(state, rng.random(env.uniforms))
    return state


def observe(env, state):
    observation = np.full(env.observation_size, np.nan)
    env.observe(state, observation)
    return observation


def random_action(env, rng):
    """Return a random action; continuous ones exceed the bounds, too."""
    return int(rng.integers(env.n_actions)) if env.discrete else 1.3 * rng.uniform(env.low, env.high)


def held(env, rng):
    """Yield random actions, each held for some steps."""
    while True:
        action = random_action(env, rng)
        for _ in range(rng.integers(1, 30)):
            yield lambda state, action=action: action


def pumped(env, rng):
    """Push along the velocity most of the time, which reaches the goals and balances CartPole."""

    def act(state):
        forward = state[-1] + (state[2] if env is envs.cartpole else 0) > 0
        if env.discrete:
            return (env.n_actions - 1) * int(forward)
        return np.array(env.high if forward else env.low)

    while True:
        action = random_action(env, rng)
        yield act if rng.random() > 0.05 else lambda state, action=action: action


def gymnasium_environment(name):
    theirs = gymnasium.make(NAMES[name], disable_env_checker=True).unwrapped
    theirs.reset(seed=0)
    return theirs


def play(name, theirs, policy, seed, tolerance=1e-5):
    """Play an episode in both, equal at each step; return its length, and whether it ended itself.

    Where rounding errors grow exponentially, by thousands in 100 steps, Gymnasium's environment
    then goes on from our state.
    """
    env, rng = getattr(envs, name), np.random.default_rng(seed)
    state = start(env, rng)
    theirs.state, theirs.steps_beyond_terminated = state.copy(), None
    for t, act in zip(range(env.max_steps), policy(env, rng), strict=False):
        action = act(state)
        if t % 100 == 0 and name in {"cartpole", "acrobot"}:
            theirs.state = state.copy()
        seen, expected, theirs_done, _, _ = theirs.step(action)
        reward, done = env.step(state, action)
        np.testing.assert_allclose(observe(env, state), seen, rtol=0, atol=tolerance)
        assert reward == pytest.approx(expected, abs=tolerance)
        assert done == theirs_done
        if done:
            break
    return t + 1, done


def test_each_environment_has_another_program_to_agree_with():
    assert {*NAMES, *SWING_UPS} == set(BUILT_IN)


@pytest.mark.parametrize("policy", [held, pumped])
@pytest.mark.parametrize("name", NAMES)
def test_whole_episodes_are_gymnasiums(name, policy, monkeypatch):
    theirs = gymnasium_environment(name)
    if name == "mountain_car_continuous":  # it rounds its state to float32; errors grow up to 1e-4
        double = SimpleNamespace(array=lambda values, dtype: np.array(values), float32=np.float32)
        monkeypatch.setattr(continuous_mountain_car, "np", double)
    episodes = [play(name, theirs, policy, seed) for seed in range(2 if JIT_DISABLED else 8)]
    ended = [done for _, done in episodes]
    if name == "pendulum":
        assert not any(ended)
    elif name == "cartpole":
        assert all(ended) if policy is held else max(steps for steps, _ in episodes) > 100
    elif policy is pumped:
        assert any(ended)


def test_the_continuous_mountain_car_in_single_precision():
    name = "mountain_car_continuous"
    for seed in range(4):
        play(name, gymnasium_environment(name), held, seed, tolerance=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_a_step_from_any_state_is_gymnasiums(name, rng):
    """Acrobot is chaotic, so single steps show more than whole episodes."""
    env, theirs = getattr(envs, name), gymnasium_environment(name)
    finished = 0
    for _ in range(300):
        state, action = rng.uniform(-1, 1, env.state_size) * WIDE[name], random_action(env, rng)
        theirs.state, theirs.steps_beyond_terminated = state.copy(), None
        _, expected, theirs_done, _, _ = theirs.step(action)
        reward, done = env.step(state, action)
        np.testing.assert_allclose(state, theirs.state, rtol=0, atol=1e-7 if "continuous" in name else 1e-12)
        assert reward == pytest.approx(expected, abs=1e-12)
        assert done == theirs_done
        finished += bool(done)
    assert (0 < finished < 300) is (name != "pendulum")


@pytest.mark.parametrize("name", NAMES)
def test_first_states_have_the_distribution_of_gymnasiums(name, rng):
    env, theirs = getattr(envs, name), gymnasium_environment(name)
    ours = np.array([start(env, rng) for _ in range(2000)])
    others = np.empty_like(ours)
    for row in others:
        theirs.reset()
        row[:] = theirs.state
    for a, b in zip(ours.T, others.T, strict=True):
        if np.ptp(b) == 0:
            assert (a == b).all()
        else:
            assert stats.ks_2samp(a, b, method="asymp").pvalue > 0.001
            assert a.std() == pytest.approx(b.std(), rel=0.05)
    spread = ours[:, ours.std(axis=0) > 0]
    assert np.abs(np.corrcoef(spread.T) - np.eye(spread.shape[1])).max() < 0.08


@pytest.mark.parametrize(
    ("name", "distributions"),
    [
        ("cartpole_swingup", [stats.norm(mean, 0.2) for mean in (0, 0, np.pi, 0)]),
        (
            "cartpole_swingup_hard",
            [
                stats.uniform(mean - width, 2 * width)
                for mean, width in ((0, 2.4), (0, 10), (np.pi, np.pi / 2), (0, 10))
            ],
        ),
    ],
)
def test_first_states_of_the_swing_up(name, distributions, rng):
    states = np.array([start(getattr(envs, name), rng) for _ in range(5000)])
    for column, distribution in zip(states.T, distributions, strict=True):
        assert stats.kstest(column, distribution.cdf).pvalue > 0.001
        assert column.mean() == pytest.approx(distribution.mean(), abs=4 * distribution.std() / 5000**0.5)
        assert column.std() == pytest.approx(distribution.std(), rel=0.05)
    for squared in (False, True):  # Box-Muller makes deviates in pairs
        columns = (states - states.mean(axis=0)).T ** (1 + squared)
        assert np.abs(np.corrcoef(columns) - np.eye(4)).max() < 0.06


@pytest.mark.parametrize("name", SWING_UPS)
@pytest.mark.parametrize("policy", [held, pumped])
def test_episodes_of_the_swing_up_are_the_references(name, policy):
    env, ended = getattr(envs, name), 0
    for seed in range(2 if JIT_DISABLED else 6):
        rng = np.random.default_rng(seed)
        state = start(env, rng)
        expected = state.copy()
        for _, act in zip(range(env.max_steps), policy(env, rng), strict=False):
            action = act(state)
            expected, expected_reward = reference.cartpole_swingup(expected, action)
            reward, done = env.step(state, action)
            x, x_dot, theta, theta_dot = expected
            seen = [x, x_dot, np.cos(theta), np.sin(theta), theta_dot]
            np.testing.assert_allclose(observe(env, state), seen, rtol=0, atol=1e-5)
            assert reward == pytest.approx(expected_reward, abs=1e-5)
            assert done == (abs(x) > 2.4)
            if done:
                break
        ended += done
    assert ended


def test_the_swing_up_rewards_standing_in_the_middle():
    state = np.zeros(4)
    assert envs.cartpole_swingup.step(state, np.zeros(1)) == (1, False)
    state = np.array([0, 0, np.pi, 0])
    assert envs.cartpole_swingup.step(state, np.zeros(1))[0] == pytest.approx(0)
    state = np.array([2.39, 2, 0, 0])
    reward, done = envs.cartpole_swingup.step(state, np.ones(1))
    assert done
    assert reward == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("name", BUILT_IN)
@pytest.mark.parametrize("uniform", [0, np.nextafter(1, 0)])
def test_extreme_uniform_numbers_give_finite_states(name, uniform):
    env = getattr(envs, name)
    state = np.full(env.state_size, np.nan)
    env.reset(state, np.full(env.uniforms, float(uniform)))
    assert np.isfinite(state).all()
    assert np.isfinite(observe(env, state)).all()


@pytest.mark.parametrize("name", [name for name in BUILT_IN if not getattr(envs, name).discrete])
def test_a_nan_action_gives_nan(name):
    env = getattr(envs, name)
    state, action = np.zeros(env.state_size), np.full(env.n_actions, np.nan)
    env.step(state, action)
    reward, done = env.step(state, action)
    assert np.isnan(reward)
    assert not done


@pytest.mark.parametrize("name", SWING_UPS)
def test_spaces_of_the_swing_up(name):
    env = getattr(envs, name)
    assert (env.observation_size, env.low, env.high, env.max_steps) == (5, (-1,), (1,), 1000)


@pytest.mark.parametrize("name", NAMES)
def test_spaces_are_gymnasiums(name):
    env = getattr(envs, name)
    theirs = gymnasium.make(NAMES[name], disable_env_checker=True)
    assert env.max_steps == theirs.spec.max_episode_steps
    assert theirs.observation_space.shape == (env.observation_size,)
    if env.discrete:
        assert env.n_actions == theirs.action_space.n
    else:
        assert (env.low, env.high) == (tuple(theirs.action_space.low), tuple(theirs.action_space.high))


@pytest.mark.parametrize("name", BUILT_IN)
def test_functions_are_rules_which_the_disk_cache_holds(name):
    env = getattr(envs, name)
    assert all(is_rule(function) for function in (env.reset, env.observe, env.step))


@pytest.mark.skipif(JIT_DISABLED, reason="nothing is compiled")
def test_a_second_process_compiles_nothing(run_python, tmp_path):
    """The cache has the network's operations, a pickled environment's code and the loop."""
    program = """
import logging, pickle, sys
import numpy as np
import evoopt

records = []
handler = logging.Handler()
handler.emit = lambda record: records.append(record.getMessage())
logging.getLogger("evoopt").addHandler(handler)
logging.getLogger("evoopt").setLevel(logging.INFO)
env = pickle.loads(bytes.fromhex(sys.argv[1]))
assert env == evoopt.envs.cartpole_swingup
net = evoopt.Network([evoopt.Dense(1)], (5,))
evoopt.Rollout(net, env, max_steps=2)(np.zeros((1, 6), np.float32))
print(sum("compiling" in record for record in records))
"""
    sent = pickle.dumps(envs.cartpole_swingup).hex()
    assert int(run_python(program, sent, NUMBA_CACHE_DIR=str(tmp_path))) >= 5
    assert run_python(program, sent, NUMBA_CACHE_DIR=str(tmp_path)) == "0\n"


@numba.njit
def stay(state, action):
    return 0.0, False


@pytest.mark.parametrize(
    ("actions", "low", "high"),
    [
        ((-1, 2), (-1,), (2,)),
        (([-1, 0], 3.5), (-1, 0), (3.5, 3.5)),
        ((np.array([-1, -np.inf]), np.array([1, np.inf])), (-1, -np.inf), (1, np.inf)),
    ],
)
def test_bounds_of_actions(actions, low, high):
    env = replace(envs.pendulum, actions=actions)
    assert (env.discrete, env.n_actions, env.low, env.high) == (False, len(low), low, high)
    assert all(type(bound) is float for bound in env.low + env.high)
    assert hash(env) == hash(replace(env))


def test_discrete_actions():
    env = replace(envs.cartpole, actions=np.int32(3))
    assert (env.discrete, env.n_actions, env.low, env.high) == (True, 3, (), ())
    assert type(env.actions) is int


def test_pickled_with_a_users_function():
    env = replace(envs.pendulum, step=stay)
    again = pickle.loads(pickle.dumps(env))
    assert again == env
    assert again.step(np.zeros(2), np.zeros(1)) == (0, False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"state_size": 0}, "state_size must be a whole number of at least 1, got 0"),
        ({"observation_size": 2.0}, "observation_size must be a whole number"),
        ({"uniforms": -1}, "uniforms must be a whole number of at least 0"),
        ({"max_steps": None}, "max_steps must be a whole number"),
        ({"actions": 1}, "number of discrete actions must be a whole number of at least 2, got 1"),
        ({"actions": True}, "at least 2, got True"),
        ({"actions": (0, 1, 2)}, "pair"),
        ({"actions": ("a", "b")}, "pair"),
        ({"actions": ([0, 0], [1, 1, 1])}, "pair"),
        ({"actions": (1, 1)}, "low < high"),
        ({"actions": (np.nan, 1)}, "low < high"),
        ({"actions": ([], [])}, "low < high"),
        ({"actions": (np.zeros((2, 2)), 1)}, "low < high"),
        ({"actions": (0, np.inf)}, "must be finite, or both infinite"),
        ({"reset": None}, "decorated with numba.njit, got None for reset"),
    ],
)
def test_refused(change, message):
    with pytest.raises(ValueError, match=message):
        replace(envs.cartpole, **change)


@pytest.mark.skipif(JIT_DISABLED, reason="plain functions are taken without the JIT")
def test_a_plain_function_is_refused():
    with pytest.raises(ValueError, match="decorated with numba"):
        replace(envs.cartpole, step=lambda state, action: (0.0, False))


@pytest.mark.parametrize("name", BUILT_IN)
def test_an_environment_has_its_name(name):
    assert getattr(envs, name).name == name


def test_an_environment_is_shown_in_one_line():
    assert repr(replace(envs.pendulum, name="mine")) == (
        "Environment('mine', state_size=2, observation_size=3, n_actions=1, discrete=False, max_steps=200)"
    )


def test_a_name_is_for_people():
    assert replace(envs.pendulum, name="mine") == envs.pendulum
    with pytest.raises(ValueError, match=r'^name must be a word such as "cartpole", got 3\.$'):
        replace(envs.pendulum, name=3)
