"""Rollouts on CUDA play the episodes of the CPU."""

import pickle

import numpy as np
import pytest

import evoopt
from evoopt.kernels.cuda.launch import Stream, is_device_array
from evoopt.tasks import rollout_cuda

ENVIRONMENTS = [
    "cartpole",
    "cartpole_swingup",
    "cartpole_swingup_hard",
    "pendulum",
    "acrobot",
    "mountain_car",
    "mountain_car_continuous",
]


def tasks(env, units=(6,), **options):
    layers = [*(evoopt.Dense(n, "tanh") for n in units), evoopt.Dense(env.n_actions)]
    net = evoopt.Network(layers, input_shape=(env.observation_size,))
    return net, *(evoopt.Rollout(net, env, device=device, **options) for device in ("cpu", "cuda"))


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_returns_are_those_of_the_cpu(name, rng):
    net, cpu, cuda = tasks(getattr(evoopt.envs, name), max_steps=9, episodes=2, seed=3)
    population = rng.normal(size=(3, net.spec.size)).astype(np.float32)
    found = cuda(Stream().to_device(population, np.float32), 4)
    assert is_device_array(found)
    np.testing.assert_allclose(np.asarray(found), cpu(population, 4), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("new_episodes", ["generation", "row", "never"])
def test_chunks_of_episodes_that_end_early(new_episodes, rng, monkeypatch):
    monkeypatch.setattr(rollout_cuda, "MOST_EPISODES", 3)
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
    monkeypatch.setattr(rollout_cuda, "CACHED_BYTES", 0)
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
    with pytest.raises(ValueError, match="float32 population was expected"):
        cuda(np.zeros((2, net.spec.size)))
