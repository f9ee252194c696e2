"""Recurrent layers against the naive definition and against torch."""

import numpy as np
import pytest
import reference
from helpers import JIT_DISABLED, needs_jit
from helpers.networks import BATCHES, TOLERANCES, close

import evoopt

LAYERS = [evoopt.RNN, evoopt.GRU, evoopt.LSTM]
DEFINITIONS = {evoopt.RNN: reference.rnn, evoopt.GRU: reference.gru, evoopt.LSTM: reference.lstm}
TIMES, FEATURES, UNITS = (2, 1, 3) if JIT_DISABLED else (4, 3, 5)
BATCHES = BATCHES[:3] if JIT_DISABLED else BATCHES  # loops run in Python: one batch of each kind


def make(layer, shape=(TIMES, FEATURES), units=UNITS, **options):
    return evoopt.Network([layer(units, **options)], shape)


def draw(net, popsize, dtype, rng):
    return rng.normal(0, 0.7, (popsize, net.spec.size)).astype(dtype)


def expected(net, population, inputs, states, definition=None):
    """Return outputs (popsize, batch, time, units) and new states, individual by individual."""
    (layer,) = net.layers
    definition = definition or DEFINITIONS[type(layer)]
    outputs, new = [], []
    for row, xs, state in zip(population.astype(np.float64), inputs, states, strict=True):
        params = dict(next(iter(net.spec.unravel(row).values())))
        params.setdefault("bias", np.zeros((layer.biases, params["recurrent_kernel"].shape[1])))
        found = [definition(x, s, **params) for x, s in zip(xs, state, strict=True)]
        outputs.append([o for o, _ in found])
        new.append([s for _, s in found])
    return np.array(outputs), np.array(new)


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("own", [True, False])
def test_matches_the_definition(layer, dtype, use_bias, own, rng):
    """Sequences and last outputs, from own states and from zeros, match."""
    net = make(layer, use_bias=use_bias)
    sequences = make(layer, use_bias=use_bias, return_sequences=True)
    population = draw(net, 2, dtype, rng)
    for batch in BATCHES:
        inputs = rng.normal(size=(2, batch, TIMES, FEATURES))
        if not own:
            inputs[1] = inputs[0]
        passed = inputs if own else inputs[0]
        states = rng.normal(size=(2, batch, net.state_size))
        outputs, new = expected(net, population, inputs, states)
        found, state = net.forward(population, passed, states)
        close(found, outputs[:, :, -1])
        close(state, new)
        assert found.dtype == state.dtype == dtype
        all_found, all_state = sequences.forward(population, passed, states)
        close(all_found, outputs)
        assert np.array_equal(all_state, state)
        close(net.forward(population, passed), expected(net, population, inputs, 0 * states)[0][:, :, -1])


@pytest.mark.parametrize("layer", [evoopt.RNN, evoopt.LSTM])
@pytest.mark.parametrize("dtype", TOLERANCES)
def test_two_biases(layer, dtype, rng):
    net = make(layer, biases=2)
    assert net.spec.shapes[0] == (2, net.layers[0].gates * UNITS)
    population = draw(net, 2, dtype, rng)
    for batch in BATCHES:
        inputs, states = (
            rng.normal(size=(2, batch, TIMES, FEATURES)),
            rng.normal(size=(2, batch, net.state_size)),
        )
        outputs, new = expected(net, population, inputs, states)
        found, state = net.forward(population, inputs, states)
        close(found, outputs[:, :, -1])
        close(state, new)


@pytest.mark.parametrize("activation", ["linear", "tanh", "relu", "sigmoid"])
def test_activations_of_the_rnn(activation, rng):
    def definition(*args, **params):
        return reference.rnn(*args, **params, activation=reference.ACTIVATIONS[activation])

    net = make(evoopt.RNN, activation=activation)
    population, inputs = draw(net, 2, np.float64, rng), rng.normal(size=(2, 7, TIMES, FEATURES))
    outputs, _ = expected(net, population, inputs, np.zeros((2, 7, UNITS)), definition)
    close(net.forward(population, inputs), outputs[:, :, -1])


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("units", [4] if JIT_DISABLED else [17, 40])
def test_steps_give_the_same_bits_as_a_sequence(layer, units, rng):
    layers = [layer(units, return_sequences=True), layer(3, return_sequences=True)]
    whole, single = evoopt.Network(layers, (TIMES, FEATURES)), evoopt.Network(layers, (FEATURES,))
    assert (whole.output_shape, single.output_shape) == ((TIMES, 3), (3,))
    assert whole.spec.shapes == single.spec.shapes
    population = draw(whole, 2, np.float32, rng)
    for batch in BATCHES:
        inputs = rng.normal(size=(batch, TIMES, FEATURES)).astype(np.float32)
        state = given = whole.initial_state(2, batch)
        outputs, last = whole.forward(population, inputs, state)
        for time in range(TIMES):
            before = state.copy()
            found, new = single.forward(population, inputs[:, time], state)
            assert np.array_equal(found, outputs[:, :, time])
            assert np.array_equal(state, before)
            state = new
        assert np.array_equal(state, last)
        assert not given.any()


@pytest.mark.parametrize("layer", LAYERS)
def test_reset_starts_from_zeros(layer, rng):
    net = make(layer, (FEATURES,))
    population = draw(net, 3, np.float64, rng)
    for batch in BATCHES:
        inputs = rng.normal(size=(3, batch, FEATURES))
        state = rng.normal(size=(3, batch, net.state_size))
        for reset in (rng.random((3, batch)) < 0.5, rng.random(batch) < 0.5):
            masked = np.where(np.broadcast_to(reset, (3, batch))[:, :, None], 0, state)
            for found, wanted in zip(
                net.forward(population, inputs, state, reset),
                net.forward(population, inputs, masked),
                strict=True,
            ):
                assert np.array_equal(found, wanted)


def test_one_solution(rng):
    net = evoopt.Network([evoopt.LSTM(4), evoopt.GRU(3), evoopt.Dense(2)], (5,))
    assert net.state_size == 2 * 4 + 3
    population = draw(net, 1, np.float32, rng)
    for batch in BATCHES:
        inputs, state = rng.normal(size=(batch, 5)), rng.normal(size=(batch, 11))
        outputs, new = net.forward(population, inputs, state[None])
        for params in (population[0], net.spec.unravel(population[0])):
            found, found_state = net.predict(params, inputs, state)
            assert np.array_equal(found, outputs[0])
            assert np.array_equal(found_state, new[0])
        assert np.array_equal(net.predict(population[0], inputs), net.forward(population, inputs)[0])


@pytest.mark.parametrize("layer", LAYERS)
def test_a_stack_is_its_layers(layer, rng):
    """Each layer has its own part of the state."""
    first, second = make(layer, return_sequences=True), make(layer, (TIMES, UNITS), 2)
    both = evoopt.Network([*first.layers, *second.layers], (TIMES, FEATURES))
    rows = draw(first, 2, np.float64, rng), draw(second, 2, np.float64, rng)
    inputs = rng.normal(size=(2, 6, TIMES, FEATURES))
    state = rng.normal(size=(2, 6, both.state_size))
    outputs, new_first = first.forward(rows[0], inputs, state[:, :, : first.state_size])
    outputs, new_second = second.forward(rows[1], outputs, state[:, :, first.state_size :])
    found, new = both.forward(np.hstack(rows), inputs, state)
    assert np.array_equal(found, outputs)
    assert np.array_equal(new, np.concatenate([new_first, new_second], axis=2))


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("part", ["kernel", "recurrent_kernel", "bias"])
def test_frozen_parameters_come_from_the_shared_vector(layer, part, rng):
    net = make(layer)
    full = draw(net, 3, np.float32, rng)
    name = f"{layer.kind}_0.{part}"
    full[:] = full[0]
    full[:, net.spec.slice(name)] = rng.normal(size=full[:, net.spec.slice(name)].shape)
    one = net.freeze(net.spec.unravel(full[0]), trainable=name)
    rest = [n for n in net.spec.names if n != name]
    others = net.freeze(net.spec.unravel(full[0]), trainable=rest)
    for batch in BATCHES:
        inputs = rng.normal(size=(batch, TIMES, FEATURES))
        outputs = net.forward(full, inputs)
        trained = full[:, net.spec.slice(name)]
        assert np.array_equal(one.forward(trained, inputs), outputs)
        left = np.hstack([full[:1, net.spec.slice(n)] for n in rest])
        assert np.array_equal(others.forward(left, inputs)[0], outputs[0])


@needs_jit
@pytest.mark.parametrize("layer", LAYERS)
def test_same_bits_for_any_number_of_threads(layer, rng):
    net = make(layer, (30, FEATURES), 20)
    population, inputs = draw(net, 9, np.float32, rng), rng.normal(size=(150, 30, FEATURES))
    state = rng.normal(size=(9, 150, net.state_size)).astype(np.float32)
    found = []
    before = evoopt.get_num_threads()
    try:
        for n in (1, 3):
            evoopt.set_num_threads(n)
            found.append(net.forward(population, inputs, state))
    finally:
        evoopt.set_num_threads(before)
    for one, other in zip(*found, strict=True):
        assert np.array_equal(one, other)


def test_first_weights():
    layers = [evoopt.GRU(12), evoopt.LSTM(12), evoopt.LSTM(12, biases=2), evoopt.RNN(12, biases=2)]
    for layer in layers:
        net = evoopt.Network([layer], (5, 7))
        params = net.spec.unravel(net.init(seed=1))[f"{layer.kind}_0"]
        recurrent = params["recurrent_kernel"]
        np.testing.assert_allclose(recurrent @ recurrent.T, np.eye(12), atol=1e-6)
        assert np.array_equal(net.init(seed=1), net.init(seed=1))
        bias = params["bias"].reshape(-1, 12)
        ones = [0] * len(bias)
        ones[1] = int(isinstance(layer, evoopt.LSTM))
        assert np.array_equal(bias, np.outer(ones, np.ones(12)))
    tall = evoopt.Network([evoopt.Dense(4, kernel_init="orthogonal", use_bias=False)], (9,)).init(seed=0)
    np.testing.assert_allclose(tall.reshape(9, 4).T @ tall.reshape(9, 4), np.eye(4), atol=1e-6)


def test_names_and_shapes():
    net = evoopt.Network(
        [evoopt.LSTM(4, return_sequences=True), evoopt.GRU(3), evoopt.RNN(2, use_bias=False)], (6,)
    )
    assert dict(zip(net.spec.names, net.spec.shapes, strict=True)) == {
        "gru_0.bias": (2, 9),
        "gru_0.kernel": (4, 9),
        "gru_0.recurrent_kernel": (3, 9),
        "lstm_0.bias": (16,),
        "lstm_0.kernel": (6, 16),
        "lstm_0.recurrent_kernel": (4, 16),
        "rnn_0.kernel": (3, 2),
        "rnn_0.recurrent_kernel": (2, 2),
    }
    assert net.initial_state(5, 7, np.float64).shape == (5, 7, 8 + 3 + 2)


def test_feed_forward_networks_have_an_empty_state(rng):
    net = evoopt.Network([evoopt.Dense(2)], (3,))
    population, inputs = rng.normal(size=(4, 8)), rng.normal(size=(5, 3))
    outputs, state = net.forward(population, inputs, net.initial_state(4, 5))
    assert state.shape == (4, 5, 0)
    assert np.array_equal(outputs, net.forward(population, inputs))


def torch_order(kind, array):
    """Return gates in torch's order: GRU z, r, n -> r, z, n; LSTM i, f, g, o as in Keras."""
    if kind != "gru":
        return array
    z, r, n = np.split(array, 3, axis=-1)
    return np.concatenate([r, z, n], axis=-1)


@pytest.mark.frameworks
@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("biases", [1, 2])
def test_agrees_with_torch(layer, biases, rng):
    torch = pytest.importorskip("torch")
    net = make(layer, return_sequences=True, **({} if layer is evoopt.GRU else {"biases": biases}))
    (row,) = draw(net, 1, np.float64, rng)
    params = net.spec.unravel(row)[f"{layer.kind}_0"]
    given = np.atleast_2d(params["bias"])
    bias = np.pad(given, ((0, 2 - len(given)), (0, 0)))
    peer = getattr(torch.nn, layer.__name__)(FEATURES, UNITS, batch_first=True, dtype=torch.float64)
    peer.load_state_dict(
        {
            name: torch.tensor(torch_order(layer.kind, value).T)
            for name, value in {
                "weight_ih_l0": params["kernel"],
                "weight_hh_l0": params["recurrent_kernel"],
                "bias_ih_l0": bias[0],
                "bias_hh_l0": bias[1],
            }.items()
        }
    )
    inputs, state = rng.normal(size=(11, TIMES, FEATURES)), rng.normal(size=(11, net.state_size))
    parts = [torch.tensor(part[None]) for part in np.split(state, net.state_size // UNITS, axis=1)]
    with torch.no_grad():
        outputs, last = peer(torch.tensor(inputs), tuple(parts) if len(parts) == 2 else parts[0])
    found, new = net.predict(row, inputs, state)
    close(found, outputs.numpy())
    close(new, np.concatenate([part.numpy()[0] for part in (last if len(parts) == 2 else [last])], axis=1))


@needs_jit
def test_learns_to_remember_a_bit(rng):
    """The bit is the first input; the others are noise."""
    inputs = rng.normal(0, 0.5, (128, 6, 1))
    bits = rng.integers(0, 2, 128)
    inputs[:, 0, 0] = 2 * bits - 1
    net = evoopt.Network([evoopt.GRU(6), evoopt.Dense(2)], (6, 1))
    task = evoopt.Supervised(net, inputs, bits)
    strategy = evoopt.SNES(net.init(seed=0), 0.3, popsize=64, seed=1)
    result = evoopt.evolve(strategy, task, max_generations=300, target=0.02)
    assert task.evaluate(result.x)["accuracy"] == 1


NET = evoopt.Network([evoopt.GRU(2)], (3,))
POPULATION = np.zeros((2, NET.spec.size))
INPUTS = np.zeros((5, 3))
STATE = np.zeros((2, 5, 2))


@pytest.mark.parametrize(
    ("call", "parts"),
    [
        (lambda: evoopt.GRU(0), ["units", "at least 1", "got 0"]),
        (lambda: evoopt.RNN(2, biases=3), ["biases", "from 1 to 2", "got 3"]),
        (lambda: evoopt.RNN(2, "gelu"), ['"tanh", "relu"', "got 'gelu'"]),
        (lambda: evoopt.LSTM(2, recurrent_init="unit"), ["orthogonal", "got 'unit'"]),
        (lambda: evoopt.LSTM(2, kernel_init="forget_ones"), ["he_uniform", "got 'forget_ones'"]),
        (lambda: evoopt.Network([evoopt.LSTM(2)], (2, 3, 4)), ["LSTM", "(time, features)", "got (2, 3, 4)"]),
        (lambda: NET.forward(POPULATION, INPUTS, STATE[0]), ["(2, 5, 2)", "got float64 (5, 2)"]),
        (lambda: NET.forward(POPULATION, INPUTS, STATE[:, :, 1:]), ["(2, 5, 2)", "got float64 (2, 5, 1)"]),
        (lambda: NET.forward(POPULATION, INPUTS, STATE.astype(complex)), ["real numbers", "complex128"]),
        (lambda: NET.forward(POPULATION, INPUTS, reset=np.ones(5, bool)), ["without a state"]),
        (lambda: NET.forward(POPULATION, INPUTS, STATE, np.ones(5)), ["bool", "got float64 (5,)"]),
        (lambda: NET.forward(POPULATION, INPUTS, STATE, np.ones(2, bool)), ["(2, 5)", "got bool (2,)"]),
        (lambda: NET.predict(POPULATION[0], INPUTS, STATE), ["(batch, 2)", "got (2, 5, 2)"]),
        (lambda: NET.initial_state(-1, 2), ["popsize", "got -1"]),
    ],
)
def test_bad_input_is_refused_in_a_sentence(call, parts):
    with pytest.raises(ValueError, match=r"\.$") as error:
        call()
    for part in parts:
        assert part in str(error.value)
