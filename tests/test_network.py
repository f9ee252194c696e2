"""Networks against the naive definition."""

import pickle
import re
from functools import partial

import numba
import numpy as np
import pytest
import reference
from helpers import JIT_DISABLED
from helpers.networks import BATCHES, COLUMNS, LANES, TOLERANCES, close, draw
from hypothesis import given
from hypothesis import strategies as st

import evoopt
from evoopt.kernels.cpu.networks.products import BREADTH, DEPTH
from evoopt.networks.initializers import INITIALIZERS


def make(sizes, activations, biases=None):
    layers = [
        evoopt.Dense(n, activation, use_bias=bias)
        for n, activation, bias in zip(
            sizes[1:], activations, biases or [True] * len(activations), strict=True
        )
    ]
    return evoopt.Network(layers, (sizes[0],))


def definition(net):
    def function(activation):
        return python_of(activation) if callable(activation) else partial(reference.activated, activation)

    return [(layer.units, function(layer.activation), layer.use_bias) for layer in net.layers]


def python_of(function):
    return np.vectorize(getattr(function, "py_func", function), otypes=[float])


def expected_outputs(net, population, inputs):
    own = inputs if inputs.ndim == 3 else [inputs] * len(population)
    return np.array(
        [reference.forward(definition(net), row, x) for row, x in zip(population, own, strict=True)]
    )


@numba.njit
def bent(x):
    return x * x - 1


WITH_NUMBERS = [("leaky_relu", -0.2), ("elu", 0.5), ("hardtanh", 0.0, 6.0)]


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("activation", [*reference.ACTIVATIONS, *WITH_NUMBERS, bent])
@pytest.mark.parametrize("own", [False, True])
def test_matches_the_definition(activation, dtype, own, rng):
    net = make([3, 13, 4, 2], [activation, "tanh", activation], [True, False, True])
    population = draw(net, 3, dtype, rng)
    for batch in BATCHES:
        inputs = rng.normal(size=(3, batch, 3) if own else (batch, 3))
        close(net.forward(population, inputs), expected_outputs(net, population, inputs))


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.skipif(JIT_DISABLED, reason="the panels are large")
def test_wide_layers(dtype, rng):
    """Outputs and the reduction have several panels; copied weights serve some tiles together."""
    widths = [DEPTH + 37, BREADTH + 11, 2 * DEPTH + 1, 3]
    net = make(widths, ["tanh", "linear", "linear"], [True, False, True])
    population = draw(net, 2, dtype, rng) / 8
    for batch in (1, 5, COLUMNS + 1, 6 * COLUMNS + LANES + 1):
        inputs = rng.normal(size=(batch, widths[0]))
        checked = slice(None, None, 17)
        outputs, values = net.forward(population, inputs), inputs[checked]
        for row, found in zip(population.astype(np.float64), outputs, strict=True):
            tree = net.spec.unravel(row)
            first = np.tanh(values @ tree["dense_0"]["kernel"] + tree["dense_0"]["bias"])
            last = first @ tree["dense_1"]["kernel"] @ tree["dense_2"]["kernel"] + tree["dense_2"]["bias"]
            assert np.abs(found[checked] - last).max() <= 10 * TOLERANCES[dtype] * np.abs(last).max()


@given(
    sizes=st.lists(st.integers(1, 9 if JIT_DISABLED else 80), min_size=2, max_size=4),
    popsize=st.integers(1, 4),
    batch=st.integers(1, 6 if JIT_DISABLED else 140),
    own=st.booleans(),
    seed=st.integers(0, 2**32),
)
def test_any_shape(sizes, popsize, batch, own, seed):
    rng = np.random.default_rng(seed)
    net = make(sizes, ["tanh"] * (len(sizes) - 2) + ["linear"])
    population = draw(net, popsize, np.float64, rng)
    inputs = rng.normal(size=(popsize, batch, sizes[0]) if own else (batch, sizes[0]))
    close(net.forward(population, inputs), expected_outputs(net, population, inputs))


def test_a_row_has_the_same_bits_in_any_population(rng):
    net = make([5, 20, 3], ["gelu", "linear"])
    population = draw(net, 4, np.float32, rng)
    for batch in BATCHES:
        inputs = rng.normal(size=(batch, 5)).astype(np.float32)
        together = net.forward(population, inputs)
        for row, outputs in zip(population, together, strict=True):
            assert np.array_equal(net.predict(row, inputs), outputs)
            assert np.array_equal(net.predict(net.spec.unravel(row), inputs), outputs)


def test_reads_any_layout(rng):
    net = make([5, 7, 3], ["tanh", "linear"])
    population = draw(net, 4, np.float64, rng)
    inputs = rng.normal(size=(20, 5))
    expected = net.forward(population, inputs)
    locked = population.copy()
    locked.flags.writeable = False
    for given_population in (locked, np.asfortranarray(population), population.tolist()):
        assert np.array_equal(net.forward(given_population, inputs), expected)
    assert np.array_equal(net.forward(population, np.asfortranarray(inputs)), expected)
    out = np.full_like(expected, np.nan)
    assert net.forward(population, inputs, out=out) is out
    assert np.array_equal(out, expected)


def test_nothing_gives_nothing():
    net = make([5, 7, 3], ["tanh", "linear"])
    assert net.forward(np.zeros((2, net.spec.size)), np.zeros((0, 5))).shape == (2, 0, 3)
    assert net.forward(np.zeros((0, net.spec.size)), np.zeros((20, 5))).shape == (0, 20, 3)


def test_nested_parameters_keep_their_precision(rng):
    net = make([5, 7, 3], ["tanh", "linear"])
    (row,), inputs = draw(net, 1, np.float64, rng), rng.normal(size=(20, 5))
    assert np.array_equal(net.predict(net.spec.unravel(row), inputs), net.predict(row, inputs))


def test_numpy_integers_are_integers():
    net = evoopt.Network([evoopt.Dense(np.int64(3))], np.int64(4))
    assert net.spec.size == 15


def test_frozen_parameters_come_from_the_shared_vector(rng):
    net = make([4, 6, 2], ["relu", "linear"])
    full = draw(net, 3, np.float32, rng)
    full[:] = full[0]
    part = net.freeze(net.spec.unravel(full[0]), trainable="dense_1")
    full[:, net.spec.slice("dense_1.kernel")] = rng.normal(size=(3, 12))
    population = np.stack([part.spec.ravel(net.spec.unravel(row)) for row in full])
    assert part.spec.names == ("dense_1.bias", "dense_1.kernel")
    for batch in BATCHES:
        inputs = rng.normal(size=(batch, 4))
        assert np.array_equal(part.forward(population, inputs), net.forward(full, inputs))
    assert net.spec.size == full.shape[1]  # the network itself is unchanged


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_freeze_takes_vectors_and_nested_parameters(dtype, rng):
    net = make([4, 6, 5, 2], ["relu", "tanh", "linear"])
    (row,), inputs = draw(net, 1, dtype, rng), rng.normal(size=(9, 4))
    part = net.freeze(row, trainable=["dense_1", "dense_2"])
    assert part.spec == net.freeze(net.spec.unravel(row), trainable=["dense_1", "dense_2"]).spec
    assert part.spec.dtype == dtype
    assert np.array_equal(part.predict(row[-part.spec.size :], inputs), net.predict(row, inputs))
    # Freezing again keeps the frozen parameters, and nested parameters replace all of them.
    less = part.freeze(part.spec.ravel(net.spec.unravel(row)), trainable="dense_2")
    assert less.spec == net.freeze(row, trainable="dense_2").spec
    other = net.spec.unravel(row + 1)
    assert part.freeze(other, trainable="dense_2").spec == net.freeze(other, trainable="dense_2").spec


def test_names_and_sizes():
    net = make([64, 32, 10], ["tanh", "linear"])
    assert net.spec.names == ("dense_0.bias", "dense_0.kernel", "dense_1.bias", "dense_1.kernel")
    assert net.spec.shapes == ((32,), (64, 32), (10,), (32, 10))
    assert (net.spec.size, net.input_shape, net.output_shape) == (2410, (64,), (10,))


@pytest.mark.parametrize("name", INITIALIZERS)
def test_initializers(name):
    net = evoopt.Network([evoopt.Dense(300, kernel_init=name)], (200,))
    params = net.spec.unravel(net.init(seed=3))["dense_0"]
    assert params["kernel"].dtype == np.float32
    assert not params["bias"].any()
    scheme = name.split("_")[0]
    variances = {"glorot": 2 / 500, "he": 2 / 200, "lecun": 1 / 200, "orthogonal": 1 / 300}
    variance, mean = variances.get(scheme, 0), name == "ones"
    assert params["kernel"].var() == pytest.approx(variance, rel=0.03)
    assert abs(params["kernel"].mean() - mean) <= 0.01 * variance**0.5
    assert np.array_equal(net.init(seed=3), net.init(seed=3))
    assert not variance or not np.array_equal(net.init(seed=3), net.init(seed=4))


def test_networks_are_pickled(rng):
    net = make([4, 6, 2], ["silu", "linear"])
    population, inputs = draw(net, 2, np.float32, rng), rng.normal(size=(30, 4))
    expected = net.forward(population, inputs)
    assert np.array_equal(pickle.loads(pickle.dumps(net)).forward(population, inputs), expected)


NET = make([4, 3], ["linear"])
POPULATION = np.zeros((2, 15))
INPUTS = np.zeros((5, 4))


RAGGED = np.array([np.ones(2), np.ones(3), None], object)


@pytest.mark.parametrize(
    ("call", "parts"),
    [
        (lambda: evoopt.Dense(0), ["at least 1", "got 0"]),
        (lambda: evoopt.Dense(True), ["whole number", "got True"]),
        (lambda: evoopt.Dense(2.0), ["whole number", "got 2.0"]),
        (lambda: evoopt.Dense(2, "tanhh"), ["tanh, relu", "got 'tanhh'"]),
        (lambda: evoopt.Dense(2, kernel_init="twos"), ["he_uniform", "got 'twos'"]),
        (lambda: evoopt.Network([], (2,)), ["layers", "got []"]),
        (lambda: evoopt.Network([evoopt.Dense(2)], (0,)), ["input_shape", "at least 1", "got 0"]),
        (lambda: evoopt.Network([evoopt.Dense(2)], RAGGED), ["input_shape", "sizes of one sample"]),
        (lambda: NET.forward(POPULATION[:, 1:], INPUTS), ["(popsize, 15)", "got (2, 14)"]),
        (lambda: NET.forward(POPULATION[0], INPUTS), ["(popsize, 15)", "got (15,)"]),
        (lambda: NET.forward(POPULATION.astype(int), INPUTS), ["float32 or float64", "got int64"]),
        (lambda: NET.forward(POPULATION, INPUTS[:, 1:]), ["(batch, 4)", "got (5, 3)"]),
        (lambda: NET.forward(POPULATION, np.zeros((3, 5, 4))), ["popsize 2", "got (3, 5, 4)"]),
        (lambda: NET.forward(POPULATION, INPUTS, out=np.zeros((2, 5, 2))), ["(2, 5, 3)", "(2, 5, 2)"]),
        (lambda: NET.forward(POPULATION, INPUTS, out=np.zeros((2, 5, 3), "f")), ["float64", "float32"]),
        (lambda: NET.forward(POPULATION, INPUTS, out=[1]), ["(2, 5, 3)", "got a list"]),
        (lambda: NET.predict(POPULATION, INPUTS), ["15 parameters", "got (2, 15)"]),
        (lambda: NET.predict(POPULATION[0], INPUTS[0]), ["(batch, 4)", "got (4,)", "inputs[None]"]),
        (
            lambda: NET.freeze(NET.spec.unravel(POPULATION), "dense_0.bias"),
            ["15 parameters", "got (2, 15)", "population"],
        ),
        (lambda: NET.freeze(POPULATION, "dense_0.bias"), ["15 parameters", "got (2, 15)"]),
        (lambda: NET.freeze(POPULATION[0, 1:], "dense_0.bias"), ["15 parameters", "got (14,)"]),
        (lambda: NET.freeze({"dense_0": {"bias": np.zeros(3)}}, "dense_0"), ["kernel"]),
    ],
)
def test_bad_input_is_refused_in_a_sentence(call, parts):
    with pytest.raises(ValueError, match=r"\.$") as error:
        call()
    for part in parts:
        assert part in str(error.value)


@pytest.mark.skipif(JIT_DISABLED, reason="nothing is compiled")
def test_a_function_that_raises_gives_nan():
    @numba.njit
    def root(x):
        if x < 0:
            raise ValueError("no root")
        return x**0.5

    net = evoopt.Network([evoopt.Dense(1, root)], (1,))
    weights = np.array([0.0, 1.0])
    assert np.isnan(net.predict(weights, [[4.0], [-1.0]])).any()
    assert net.predict(weights, [[4.0], [9.0]]).tolist() == [[2.0], [3.0]]


@pytest.mark.skipif(JIT_DISABLED, reason="nothing is compiled")
@pytest.mark.parametrize("function", [lambda x, y: x * y, lambda x: len(f"{x:.2f}")])
def test_what_is_no_compiled_function_of_a_number_is_refused(function):
    net = evoopt.Network([evoopt.Dense(1, numba.njit(function))], (1,))
    with pytest.raises(ValueError, match="must take one number"):
        net.predict(np.zeros(2), [[4.0]])


@pytest.mark.skipif(JIT_DISABLED, reason="plain functions are taken without the JIT")
def test_a_plain_function_is_no_activation():
    with pytest.raises(ValueError, match=r"numba\.njit"):
        evoopt.Dense(2, lambda x: x)


def test_a_network_is_shown_in_one_line():
    net = evoopt.Network([evoopt.Dense(2), evoopt.Flatten()], input_shape=(3,))
    assert re.fullmatch(r"Network\(\[Dense\(units=2, .*\), Flatten\(\)\], .*\): 8 parameters", repr(net))
