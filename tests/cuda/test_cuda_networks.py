"""Networks and supervised tasks on CUDA against the reference in float64 and against the CPU."""

import copy
import pickle

import numba
import numpy as np
import pytest
from helpers import SIMULATED

import evoopt
from evoopt.kernels.cuda.networks.loss import loss_of
from evoopt.kernels.cuda.runtime.foreign import is_device_array
from evoopt.kernels.cuda.runtime.stream import Stream
from evoopt.rules.losses import ALL_OUTPUTS, LOSSES

TOLERANCE = 1e-5


def network(*units, activation="tanh", last="linear", input_size=3, **options):
    layers = [evoopt.Dense(n, activation, **options) for n in units[:-1]] + [evoopt.Dense(units[-1], last)]
    return evoopt.Network(layers, input_shape=(input_size,), device="cuda")


def on_cpu(net):
    return evoopt.Network(net.layers, net.input_shape)


def population_of(net, popsize, rng):
    return rng.normal(size=(popsize, net.spec.size)).astype(np.float32)


NETS = {
    "vectors": ((8, 4), {"input_size": 4}),
    "odd sizes": ((5, 7, 3), {}),
    "one layer": ((2,), {}),
    "one output": ((9, 1), {"use_bias": False}),
    "softmax": ((6, 5), {"last": "softmax"}),
    "wide": ((21, 2), {"activation": "gelu"}),
    "two buffers": ((66, 70, 2), {"input_size": 2}),
}


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize(("batch", "own"), [(1, True), (3, True), (2, False), (19, False), (10, True)])
def test_forward(name, batch, own, rng, poisoned):
    units, options = NETS[name]
    net = network(*units, **options)
    population = population_of(net, 3, rng)
    inputs = rng.normal(size=(*([3] if own else []), batch, *net.input_shape)).astype(np.float32)
    out = poisoned((3, batch, *net.output_shape))
    found = net.forward(Stream().to_device(population, np.float32), inputs, out=out)
    assert found is out
    expected = on_cpu(net).forward(population.astype(float), inputs.astype(float))
    np.testing.assert_allclose(np.asarray(out), expected, rtol=TOLERANCE, atol=TOLERANCE)


def test_frozen_layers(rng):
    whole = network(8, 4, 3)
    params = whole.spec.unravel(whole.init(seed=1))
    for trainable in ("dense_1", ["dense_0.bias", "dense_2.kernel"]):
        net = whole.freeze(params, trainable=trainable)
        assert net.device == "cuda"
        population = population_of(net, 2, rng)
        cpu = on_cpu(whole).freeze(params, trainable=trainable)
        for batch in (2, 20):
            inputs = rng.normal(size=(batch, 3))
            expected = cpu.forward(population.astype(float), inputs)
            found = np.asarray(net.forward(population, inputs))
            np.testing.assert_allclose(found, expected, rtol=TOLERANCE, atol=TOLERANCE)


def test_what_does_not_fit_is_refused(rng):
    net = network(2)
    with pytest.raises(ValueError, match="population must be float32"):
        net.forward(np.zeros((2, net.spec.size)), np.zeros((1, 3)))
    with pytest.raises(ValueError, match=r"shape \(popsize, 8\)"):
        net.forward(np.zeros((2, 3), np.float32), np.zeros((1, 3)))
    with pytest.raises(ValueError, match=r"shape \(batch, 3\)"):
        net.forward(population_of(net, 2, rng), np.zeros((1, 4)))
    with pytest.raises(ValueError, match="layers must be Dense"):
        evoopt.Network([evoopt.LSTM(2)], input_shape=(4, 3), device="cuda")


@pytest.mark.parametrize("wrong", [lambda x: x + 1j, lambda x: x.astype(str), np.ma.masked_less_equal])
def test_arrays_are_read_as_on_the_cpu(wrong, rng):
    net = network(2)
    rows, inputs = population_of(net, 2, rng), rng.normal(size=(5, 3))
    bad = (lambda x: wrong(x, np.inf)) if wrong is np.ma.masked_less_equal else wrong
    for call in (lambda: net.forward(bad(rows), inputs), lambda: net.forward(rows, bad(inputs))):
        with pytest.raises(ValueError, match=r"^(population|inputs) must be .*, got .*\.$"):
            call()


@pytest.mark.parametrize(("wrong", "words"), [(np.nan, "in sample 3"), (1e39, "that float32 holds")])
def test_samples_are_read_as_on_the_cpu(wrong, words, rng):
    net, inputs = network(2), rng.normal(size=(5, 3))
    inputs[3, 1] = wrong
    with pytest.raises(ValueError, match=rf"^inputs .*must be .*{words}"):
        evoopt.Supervised(net, inputs, np.zeros(5, int))


def test_an_out_that_overlaps_is_refused(rng):
    net, stream = network(8), Stream()
    rows = stream.to_device(population_of(net, 2, rng), np.float32)
    inputs = stream.to_device(rng.normal(size=(8, 3)).astype(np.float32), np.float32)
    before = np.asarray(rows).copy()
    with pytest.raises(ValueError, match="out must share no memory with population"):
        net.forward(rows, inputs[:4], out=rows.reshape(rows.size)[:64].reshape(2, 4, 8))
    with pytest.raises(ValueError, match="out must share no memory with inputs"):
        net.forward(rows[:1], inputs[:2], out=inputs.reshape(24)[4:20].reshape(1, 2, 8))
    np.testing.assert_array_equal(np.asarray(rows), before)
    complex_rows = stream.to_device(np.zeros((2, net.spec.size), complex), complex)
    with pytest.raises(ValueError, match="population must be real numbers"):
        net.forward(complex_rows, inputs)


def test_predict_copies_and_pickles(rng):
    net = network(4, 2)
    vector, inputs = net.init(seed=0), rng.normal(size=(2, 3))
    expected = on_cpu(net).predict(vector, inputs)
    for same in (net, copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        np.testing.assert_allclose(same.predict(vector, inputs), expected, rtol=TOLERANCE, atol=TOLERANCE)
        np.testing.assert_allclose(
            same.predict(net.spec.unravel(vector), inputs), expected, rtol=1e-5, atol=1e-5
        )


# ---------------------------------------------------------------- supervised


def targets_of(meaning, samples, outputs, rng):
    if meaning == "labels":
        return rng.integers(0, outputs, samples)
    if meaning == "signs":
        return rng.integers(0, 2, (samples, outputs)) * 2 - 1
    values = rng.random((samples, outputs))
    return values / values.sum(axis=1, keepdims=True) if meaning == "probabilities" else values


@pytest.mark.parametrize(
    ("loss", "meaning"), [(name, meaning) for name in LOSSES for meaning in LOSSES[name]]
)
def test_losses_are_those_of_the_cpu(loss, meaning, rng):
    outputs = 1 if (loss, meaning) == ("error_rate", "signs") else 3
    net = network(5, outputs, input_size=4)
    inputs, targets = rng.normal(size=(21, 4)), targets_of(meaning, 21, outputs, rng)
    weights = rng.random(21)
    task = evoopt.Supervised(net, inputs, targets, loss, sample_weight=weights)
    cpu = evoopt.Supervised(on_cpu(net), inputs, targets, loss, sample_weight=weights)
    population = population_of(net, 4, rng)
    population[3, 2] = np.nan
    found = task(Stream().to_device(population, np.float32))
    assert is_device_array(found)
    np.testing.assert_allclose(np.asarray(found), cpu(population.astype(float)), rtol=TOLERANCE, atol=1e-6)


def test_a_row_over_all_outputs_needs_a_loop(monkeypatch):
    monkeypatch.setitem(LOSSES, "planted", {"labels": ALL_OUTPUTS})
    with pytest.raises(KeyError, match=r"'planted', 'labels'"):
        loss_of("planted", "labels")


def test_minibatches_and_explicit_device(rng):
    cpu_net = on_cpu(network(4, 2))
    inputs, labels = rng.normal(size=(30, 3)), rng.integers(0, 2, 30)
    task = evoopt.Supervised(cpu_net, inputs, labels, batch_size=10, device="cuda")
    cpu = evoopt.Supervised(cpu_net, inputs, labels, batch_size=10)
    population = population_of(cpu_net, 2, rng)
    for generation in (0, 1, 5):
        found = np.asarray(pickle.loads(pickle.dumps(task))(population, generation))
        np.testing.assert_allclose(found, cpu(population, generation), rtol=TOLERANCE)
    assert task.evaluate(population[0]) == cpu.evaluate(population[0])
    for wrong in (-1, 0.5, "1"):
        with pytest.raises(ValueError, match=r"^generation must be a whole number"):
            task(population, wrong)


@numba.njit
def pinball(outputs, target):
    error = target - outputs[0]
    return max(0.3 * error, -0.7 * error)


@numba.njit
def logit_of_class(outputs, target):
    return -outputs[target]


@numba.njit
def product(outputs, target):
    total = -target[3]
    for i in range(3):
        total += outputs[i] * target[i]
    return total


@numba.njit
def picky(outputs, target):
    if outputs[0] > target:
        raise ValueError("too large")
    return outputs[0]


@numba.njit
def allocating(outputs, target):
    return (outputs * target).sum()


@pytest.mark.parametrize("function", [pinball, logit_of_class, product])
def test_a_loss_of_ones_own(function, rng):
    net = network(5, 3)
    inputs = rng.normal(size=(21, 3))
    targets = {
        pinball: rng.normal(size=21),
        logit_of_class: rng.integers(0, 3, 21),
        product: rng.normal(size=(21, 4)),
    }[function]
    cuda, cpu = (evoopt.Supervised(each, inputs, targets, function) for each in (net, on_cpu(net)))
    population = population_of(net, 3, rng)
    expected = cpu(population.astype(float))
    np.testing.assert_allclose(np.asarray(cuda(population)), expected, rtol=TOLERANCE, atol=1e-6)


@pytest.mark.skipif(SIMULATED, reason="in the simulator, what functions raise comes through")
def test_what_a_loss_raises_counts_as_nan():
    net = network(1, input_size=1)
    population = np.array([[0.5, 0.0], [2.0, 0.0]], np.float32)
    for samples in (2, 1000):
        targets = np.ones(samples)
        targets[-1] = 1.5
        found = evoopt.Supervised(net, np.zeros((samples, 1)), targets, picky)(population)
        np.testing.assert_array_equal(np.asarray(found), [0.5, np.nan])
    task = evoopt.Supervised(net, np.zeros((3, 1)), np.ones((3, 1)), allocating)
    with pytest.raises(ValueError, match="and no new arrays"):
        task(population)


def test_xor_is_solved_and_ranked_as_on_the_cpu():
    inputs, targets = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0.0, 1, 1, 0])
    runs = {}
    for device in ("cpu", "cuda"):
        net = evoopt.Network([evoopt.Dense(4, "tanh"), evoopt.Dense(1)], input_shape=(2,), device=device)
        task = evoopt.Supervised(net, inputs, targets, loss="binary_cross_entropy")
        es = evoopt.SNES(net.init(seed=0), sigma=1.0, popsize=16, seed=1, device=device)
        orders = []
        for _ in range(10):
            population = es.ask()
            fitness = task(population)
            orders.append(np.asarray(fitness).argsort(kind="stable"))
            es.tell(population, fitness)
        runs[device] = orders, es, task
    np.testing.assert_array_equal(runs["cpu"][0], runs["cuda"][0])
    _, es, task = runs["cuda"]
    assert task.evaluate(es.best.x)["accuracy"] == 1
