"""Tests on a GPU at the sizes of benchmarks: float64 definitions, arrays of other libraries."""

import numpy as np
import pytest
from helpers.strategies import ON_DEVICE

import evoopt
from evoopt.kernels.cuda.runtime.stream import Stream

pytestmark = pytest.mark.gpu


def dense_outputs(net, row, inputs):
    """Return outputs by definition, in float64."""
    tree = net.spec.unravel(row.astype(float))
    values = inputs.astype(float)
    for i, layer in enumerate(net.layers):
        values = values @ tree[f"dense_{i}"]["kernel"] + tree[f"dense_{i}"]["bias"]
        values = np.tanh(values) if layer.activation == "tanh" else values
    return values


def network(*units):
    layers = [*(evoopt.Dense(n, "tanh") for n in units[1:-1]), evoopt.Dense(units[-1])]
    return evoopt.Network(layers, input_shape=(units[0],), device="cuda")


def population_of(net, popsize, rng):
    return (rng.normal(size=(popsize, net.spec.size)) / 8).astype(np.float32)


@pytest.mark.parametrize("batch", [1, 8, 31])
def test_own_inputs(batch, rng, poisoned):
    net, popsize = network(8, 64, 64, 4), 65_536 if batch == 1 else 1024
    population, inputs = population_of(net, popsize, rng), rng.normal(size=(popsize, batch, 8))
    out = poisoned((popsize, batch, 4))
    net.forward(population, inputs.astype(np.float32), out=out)
    found = np.asarray(out)
    assert np.isfinite(found).all()
    for i in rng.integers(0, popsize, 20):
        expected = dense_outputs(net, population[i], inputs[i].astype(np.float32))
        np.testing.assert_allclose(found[i], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("units", [(64, 256, 256, 10), (64, 32, 10), (784, 64, 10), (4, 16, 16, 2)])
def test_shared_inputs_and_loss(units, rng, poisoned):
    net, popsize, samples = network(*units), 128, 1797
    population, inputs = population_of(net, popsize, rng), rng.normal(size=(samples, units[0]))
    labels = rng.integers(0, units[-1], samples)
    out = poisoned((popsize, samples, units[-1]))
    net.forward(population, inputs.astype(np.float32), out=out)
    found = np.asarray(out)
    assert np.isfinite(found).all()
    fitness = np.asarray(evoopt.Supervised(net, inputs, labels)(population))
    for i in (0, 77, popsize - 1):
        expected = dense_outputs(net, population[i], inputs)
        np.testing.assert_allclose(found[i], expected, rtol=1e-4, atol=1e-5)
        logits = expected - expected.max(axis=1, keepdims=True)
        loss = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(samples), labels]
        np.testing.assert_allclose(fitness[i], loss.mean(), rtol=1e-5)


@pytest.mark.parametrize("name", ["cartpole", "pendulum", "acrobot", "cartpole_swingup_hard"])
def test_rollouts(name, rng):
    env = getattr(evoopt.envs, name)
    net = network(env.observation_size, 32, 32, env.n_actions)
    population = population_of(net, 256, rng)
    tasks = [evoopt.Rollout(net, env, episodes=16, max_steps=40, device=device) for device in ("cpu", "cuda")]
    cpu, cuda = (np.asarray(task(population)) for task in tasks)
    # Rounding may change a choice in a few episodes.
    assert np.isclose(cpu, cuda, rtol=1e-4, atol=1e-4).mean() > 0.95


def test_noise_is_that_of_the_cpu():
    rows = {}
    for device in ("cpu", "cuda"):
        es = evoopt.SNES(np.zeros(100_003, np.float32), 1.0, popsize=64, seed=5, device=device)
        rows[device] = np.asarray(es.ask())
    np.testing.assert_allclose(rows["cuda"], rows["cpu"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("strategy", ON_DEVICE.values(), ids=ON_DEVICE)
def test_a_large_search(strategy):
    results = {}
    for device in ("cpu", "cuda"):
        es = strategy(np.ones(20_000, np.float32), 0.1, popsize=128, seed=5, device=device)
        for _ in range(5):
            population = es.ask()
            es.tell(population, (np.asarray(population, float) ** 2).sum(axis=1))
        results[device] = es.mean, es.history["best"]
    np.testing.assert_allclose(results["cuda"][0], results["cpu"][0], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(results["cuda"][1], results["cpu"][1], rtol=1e-4)


@pytest.mark.parametrize("library", ["torch", "cupy", "jax"])
def test_arrays_of_other_libraries(library, rng):
    module = pytest.importorskip({"jax": "jax.numpy"}.get(library, library))
    net = network(8, 16, 4)
    population, inputs = population_of(net, 6, rng), rng.normal(size=(6, 1, 8)).astype(np.float32)
    make = (lambda x: module.from_numpy(x).cuda()) if library == "torch" else module.asarray
    theirs = [make(x) for x in (population, inputs)]
    found = net.forward(*theirs)
    np.testing.assert_allclose(np.asarray(found), np.asarray(net.forward(population, inputs)))
    es = evoopt.SNES(net.init(seed=0), 0.5, popsize=6, seed=1, device="cuda")
    rows = es.ask()
    if library == "jax":
        copy = np.asarray(module.asarray(rows))
    else:
        view = module.as_tensor(rows, device="cuda") if library == "torch" else module.asarray(rows)
        pointer = view.data_ptr() if library == "torch" else view.data.ptr
        assert pointer == rows.__cuda_array_interface__["data"][0]  # the same memory
        copy = view.cpu().numpy() if library == "torch" else module.asnumpy(view)
    np.testing.assert_array_equal(copy, np.asarray(rows))
    fitness = make((copy**2).sum(axis=1).astype(np.float64))
    es.tell(rows, fitness)
    assert es.generation == 1


def test_threads_of_python_do_not_disturb_each_other(rng):
    from concurrent.futures import ThreadPoolExecutor

    net = network(64, 32, 10)
    population, inputs = population_of(net, 64, rng), rng.normal(size=(500, 64)).astype(np.float32)
    task = evoopt.Supervised(net, inputs, rng.integers(0, 10, 500))
    expected = np.asarray(task(population))
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(
            lambda _: np.asarray(task(Stream().to_device(population, np.float32))), range(16)
        ):
            np.testing.assert_array_equal(found, expected)
