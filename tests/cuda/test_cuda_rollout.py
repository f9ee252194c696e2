"""Rollouts on CUDA against the same episodes on the CPU."""

import pickle
from dataclasses import replace

import numba
import numpy as np
import pytest
from helpers.environments import BUILT_IN

import evoopt
from evoopt.kernels.cuda.rollouts import plan
from evoopt.kernels.cuda.runtime.foreign import is_device_array
from evoopt.kernels.cuda.runtime.jit import SIMULATED
from evoopt.kernels.cuda.runtime.stream import Stream


@numba.njit
def reset(state, uniforms):
    """Draw two numbers that move; uniform numbers are used up."""
    for i in range(len(uniforms)):
        state[i] = 4 * uniforms[i] - 2
        uniforms[i] = 0


@numba.njit
def observe(state, observation):
    observation[0] = state[0]
    observation[1] = 3 + 2 * state[1]


@numba.njit
def step(state, action):
    """End after 1 to 12 steps; the reward shows all actions."""
    state[0] += 0.2 * action[0]
    state[1] += 0.1 * action[1] - 0.3
    return action[0] + 10 * action[1], abs(state[0]) > 2.2 or state[1] < -1.5


@numba.njit
def step_without_reward(state, action):
    state[0] += 0.2 * action[0]
    return (np.nan if state[0] > 0 else 1), False


@numba.njit
def reset_to_nothing(state, uniforms):
    for i in range(len(state)):
        state[i] = np.nan


@numba.njit
def observe_nothing(state, observation):
    observation[0] = 0
    observation[1] = 1


@numba.njit
def raise_beyond(state, action):
    if state[0] > 0:
        raise ValueError("too far")
    return 1.0, False


@numba.njit
def allocate(state, action):
    return np.zeros(2).sum() + action[0], False


# One action has bounds that are not around 0, one has no bounds.
drift = evoopt.Environment(
    reset,
    observe,
    step,
    state_size=2,
    observation_size=2,
    actions=([-0.5, -np.inf], [2, np.inf]),
    uniforms=2,
    max_steps=40,
)


def tasks(env, units=(6,), last="linear", **options):
    layers = [*(evoopt.Dense(n, "tanh") for n in units), evoopt.Dense(env.n_actions, last)]
    net = evoopt.Network(layers, input_shape=(env.observation_size,))
    return net, *(evoopt.Rollout(net, env, device=device, **options) for device in ("cpu", "cuda"))


@pytest.mark.parametrize("name", BUILT_IN)
def test_returns_are_those_of_the_cpu(name, rng):
    net, cpu, cuda = tasks(getattr(evoopt.envs, name), max_steps=9, episodes=2, seed=3)
    population = rng.normal(size=(3, net.spec.size)).astype(np.float32)
    found = cuda(Stream().to_device(population, np.float32), 4)
    assert is_device_array(found)
    np.testing.assert_allclose(np.asarray(found), cpu(population, 4), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("new_episodes", ["generation", "row", "never"])
def test_blocks_of_episodes_that_end_early(new_episodes, rng, monkeypatch):
    monkeypatch.setattr(plan, "MOST_EPISODES", 3)
    net, cpu, cuda = tasks(
        evoopt.envs.cartpole, units=(), episodes=4, max_steps=14, new_episodes=new_episodes
    )
    population = rng.normal(size=(3, net.spec.size)).astype(np.float32) * 3
    population[2, 1] = np.nan
    for generation in (0, 1):
        expected = cpu(population, generation)
        assert len(set(expected)) > 1
        np.testing.assert_allclose(np.asarray(cuda(population, generation)), expected)


def test_weights_beyond_shared_memory_and_frozen_ones(rng, monkeypatch):
    monkeypatch.setattr(plan, "CACHED_BYTES", 0)
    net, *_ = tasks(evoopt.envs.pendulum, units=(4, 3))
    net = net.freeze(net.spec.unravel(net.init(seed=0)), trainable=["dense_0", "dense_2.kernel"])
    cpu, cuda = (evoopt.Rollout(net, evoopt.envs.pendulum, max_steps=6, device=d) for d in ("cpu", "cuda"))
    population = rng.normal(size=(2, net.spec.size)).astype(np.float32)
    np.testing.assert_allclose(np.asarray(cuda(population)), cpu(population), rtol=1e-5)


def test_normalized_observations(rng):
    net, cpu, cuda = tasks(evoopt.envs.pendulum, normalize=True, max_steps=5, episodes=2)
    population = rng.normal(size=(2, net.spec.size)).astype(np.float32)
    for generation in range(3):
        expected = cpu(population, generation)
        found = pickle.loads(pickle.dumps(cuda))(population, generation)
        np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-5)
        cuda(population, generation)
        np.testing.assert_allclose(cuda.observation_mean, cpu.observation_mean, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(cuda.observation_std, cpu.observation_std, rtol=1e-5)
    assert cuda.evaluate(population[0], episodes=2)["length"] == 5


def test_a_generation_on_the_device():
    env = evoopt.envs.cartpole
    fitness = {}
    for device in ("cpu", "cuda"):
        net = evoopt.Network([evoopt.Dense(2)], input_shape=(4,), device=device)
        task = evoopt.Rollout(net, env, max_steps=12)
        es = evoopt.PGPE(net.init(seed=0), 0.5, popsize=6, maximize=True, noisy=True, seed=1, device=device)
        evoopt.evolve(es, task, max_generations=2)
        fitness[device] = es.history["median"]
    assert fitness["cpu"] == fitness["cuda"]


def test_other_precisions_are_refused():
    net, _, cuda = tasks(evoopt.envs.cartpole)
    with pytest.raises(ValueError, match="population must be float32"):
        cuda(np.zeros((2, net.spec.size)))


@pytest.mark.parametrize("env", [drift, replace(drift, uniforms=0)])
def test_functions_of_the_user(env, rng):
    net, cpu, cuda = tasks(env, units=(4, 8, 3), episodes=5)
    population = rng.normal(size=(3, net.spec.size)).astype(np.float32)
    lengths = cpu.play(population, 2).lengths
    assert 1 < lengths.max() < env.max_steps
    assert env.uniforms == 0 or lengths.min() < lengths.max()
    np.testing.assert_allclose(np.asarray(cuda(population, 2)), cpu(population, 2), rtol=1e-5)


def test_probabilities_as_outputs(rng):
    net, cpu, cuda = tasks(evoopt.envs.acrobot, last="softmax", max_steps=6, episodes=2)
    population = rng.normal(size=(3, net.spec.size)).astype(np.float32)
    np.testing.assert_array_equal(np.asarray(cuda(population)), cpu(population))


def test_rewards_of_nan_end_no_episode(rng):
    """Observations after such rewards count like on the CPU."""
    env = replace(drift, step=step_without_reward, max_steps=6)
    net, cpu, cuda = tasks(env, units=(), episodes=3, normalize=True)
    population = rng.normal(size=(4, net.spec.size)).astype(np.float32)
    expected = cpu(population)
    assert np.isnan(expected).any()
    np.testing.assert_allclose(np.asarray(cuda(population)), expected, rtol=1e-5)
    assert cuda.state()["count"] == cpu.state()["count"] == 4 * 3 * 6
    np.testing.assert_allclose(cuda.observation_mean, cpu.observation_mean, rtol=1e-5)


def test_a_first_state_of_nan_alone_is_worth_nan(rng):
    env = replace(drift, reset=reset_to_nothing, observe=observe_nothing, max_steps=2)
    net, cpu, cuda = tasks(env, units=())
    population = rng.normal(size=(2, net.spec.size)).astype(np.float32)
    assert np.isnan(cpu(population)).all()
    assert np.isnan(np.asarray(cuda(population))).all()


@pytest.mark.parametrize(("units", "vectors"), [((4, 6), True), ((4, 8), False)])
def test_rows_in_global_memory_by_vectors(units, vectors, rng, monkeypatch):
    monkeypatch.setattr(plan, "CACHED_BYTES", 0)
    net, cpu, cuda = tasks(drift, units=units, episodes=2)
    assert (net.spec.size % 4 == 0) is vectors
    population = rng.normal(size=(3, net.spec.size)).astype(np.float32)
    np.testing.assert_allclose(np.asarray(cuda(population)), cpu(population), rtol=1e-5)


def test_wide_layers(rng, monkeypatch):
    """A block has fewer episodes; a sentence says if not even one fits."""
    with pytest.raises(ValueError, match="Layers must have at most about 5000 inputs or units"):
        tasks(drift, units=(8000,))
    monkeypatch.setattr(plan, "SHARED_BYTES", 2000)
    net, cpu, cuda = tasks(replace(drift, max_steps=3), units=(40,), episodes=5)
    kernels, launch = [], Stream.launch

    def noted(stream, kernel, *arguments):
        kernels.append(kernel)
        launch(stream, kernel, *arguments)

    monkeypatch.setattr(Stream, "launch", noted)
    population = rng.normal(size=(1, net.spec.size)).astype(np.float32)
    np.testing.assert_allclose(np.asarray(cuda(population)), cpu(population), rtol=1e-5)
    _, episodes_of_a_block = kernels[0].per_block
    assert episodes_of_a_block < 5


def test_no_rows():
    net, _, cuda = tasks(drift, normalize=True)
    assert np.asarray(cuda(np.empty((0, net.spec.size), np.float32))).shape == (0,)
    assert cuda.state()["count"] == 0


@pytest.mark.parametrize(("new_episodes", "expected"), [("never", []), ("generation", [3])])
def test_uniforms_are_copied_when_they_are_others(new_episodes, expected, rng, monkeypatch):
    net, _, cuda = tasks(drift, units=(), new_episodes=new_episodes, max_steps=2)
    population = Stream().to_device(rng.normal(size=(1, net.spec.size)), np.float32)
    cuda(population, 0)
    copied, to_device = [], Stream.to_device

    def noted(stream, array, dtype):
        if isinstance(array, np.ndarray):
            copied.append(array.size)
        return to_device(stream, array, dtype)

    monkeypatch.setattr(Stream, "to_device", noted)
    cuda(population, 1)
    assert copied == expected  # an episode's uniform numbers, and one number more


@pytest.mark.skipif(SIMULATED, reason="in the simulator, what functions raise comes through")
def test_what_functions_raise_counts_as_nan(rng):
    env = replace(drift, step=raise_beyond, max_steps=5)
    net, cpu, cuda = tasks(env, units=(40,), episodes=4, normalize=True)
    population = rng.normal(size=(50, net.spec.size)).astype(np.float32)
    found, expected = np.asarray(cuda(population)), cpu(population)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    assert np.isfinite(cuda.observation_mean).all()


@pytest.mark.skipif(SIMULATED, reason="the simulator compiles nothing")
def test_functions_that_do_not_compile(rng):
    net, _, cuda = tasks(replace(drift, step=allocate))
    with pytest.raises(ValueError, match="and no new arrays"):
        cuda(np.zeros((2, net.spec.size), np.float32))


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("name", "units", "episodes"),
    [
        ("cartpole", (32, 32), 1),
        ("cartpole_swingup", (64, 64), 16),
        ("pendulum", (200, 200), 3),
        ("acrobot", (1024,), 8),
    ],
)
def test_real_sizes(name, units, episodes, rng):
    """With 256 rows nearly all agree; rounding may change a choice and with it an episode."""
    net, cpu, cuda = tasks(getattr(evoopt.envs, name), units=units, episodes=episodes)
    population = np.stack([net.init(seed) for seed in range(256)])
    found, expected = np.asarray(cuda(population)), cpu(population)
    assert np.isclose(found, expected, rtol=1e-3).mean() > 0.95
    np.testing.assert_array_equal(np.asarray(cuda(population)), found)
