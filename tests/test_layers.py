"""Every layer against its naive definition, and against torch if it is installed."""

import pickle
from functools import partial

import numba
import numpy as np
import pytest
import reference
from helpers import JIT_DISABLED
from helpers.networks import COLUMNS, LANES, close, draw
from hypothesis import given
from hypothesis import strategies as st
from same_bits import networks, public

import evoopt
from evoopt import (
    Activation,
    AvgPool1D,
    AvgPool2D,
    BatchNorm,
    Conv1D,
    Conv2D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GlobalAvgPool,
    LayerNorm,
    MaxPool1D,
    MaxPool2D,
    Permute,
    Rescaling,
    Reshape,
)
from evoopt.networks.layers import Layer

TOLERANCES = {np.float32: 3e-6, np.float64: 1e-13}
BATCHES = [1, Conv2D.few_samples, Layer.few_samples, Layer.few_samples + 1, COLUMNS + LANES, 2 * COLUMNS + 3]
IMAGE = (4, 5, 3)  # its rows of whole windows fill the vectors of a register tile, or some of them

CASES = {
    "conv": ([Conv2D(7, 3)], IMAGE),
    "conv, one channel": ([Conv2D(1, 2, activation="tanh")], (5, 9, 1)),
    "conv, many channels": ([Conv2D(LANES + 1, 2)], (3, 3, LANES + 2)),
    "conv, many filters": ([Conv2D(2 * LANES, (1, 2), activation="softmax")], (2, 7, 2)),
    "conv, same": ([Conv2D(3, (3, 2), padding="same", use_bias=False)], IMAGE),
    "conv, strides": ([Conv2D(5, 2, (3, 2))], (8, 7, 2)),
    "conv, same with strides": ([Conv2D(4, (2, 3), (2, 1), "same", activation="relu")], (5, 9, 2)),
    "conv, same with a window larger than the image": ([Conv2D(2, 5, padding="same")], (2, 3, 1)),
    "conv, wide": ([Conv2D(LANES + 1, 2, (1, 2), "same")], (2, 21, 1)),
    "conv, strides over gaps": ([Conv2D(2, 1, 3)], (7, 5, 2)),
    "conv, padded": ([Conv2D(4, (3, 2), padding=(2, 1))], (3, 9, 2)),
    "conv, padded, with strides": ([Conv2D(LANES + 1, 3, 2, 1)], (7, 6, 2)),
    "conv of a sequence": ([Conv1D(7, 3, activation="softmax")], (13, 3)),
    "conv of a sequence, same with strides": ([Conv1D(3, 4, 3, "same", use_bias=False)], (14, 2)),
    "conv of a sequence, padded": ([Conv1D(LANES + 1, 5, 2, 4)], (6, 2)),
    "conv after conv": ([Conv2D(6, 3, padding="same"), Conv2D(4, 2)], (4, 6, 2)),
    "max pool": ([MaxPool2D(2), Dense(2)], (5, 4, 3)),
    "max pool, same": ([MaxPool2D((2, 3), padding="same", activation="tanh"), Dense(2)], (5, 4, LANES + 1)),
    "max pool, strides": ([MaxPool2D(3, 1), Dense(2)], (5, 4, 1)),
    "max pool, padded": ([MaxPool2D((3, 2), 2, (1, 0)), Dense(2)], (5, 4, 3)),
    "max pool of a sequence": ([MaxPool1D(3, 2, padding=1, activation="tanh"), Dense(2)], (7, 3)),
    "average pool": ([AvgPool2D((1, 2)), Dense(2)], (5, 4, 3)),
    "average pool, same": ([AvgPool2D(3, (2, 1), "same"), Dense(2)], (5, 4, 3)),
    "average pool, padded": ([AvgPool2D((2, 3), 1, 1), Dense(2)], (2, 4, 3)),
    "average pool of a sequence": ([AvgPool1D(2, padding="same"), Dense(2)], (7, 3)),
    "mean of an image": ([GlobalAvgPool(), Dense(2)], (5, 4, LANES + 1)),
    "mean of a sequence": ([GlobalAvgPool(), Dense(2)], (7, 3)),
    "batch norm": ([BatchNorm(activation="relu")], (LANES + 1,)),
    "batch norm of an image": ([BatchNorm(0.1)], (2, 3, LANES + 3)),
    "rescaling first": ([Rescaling(0.5, -1.5), Dense(2)], (5,)),
    "dropout": ([Dense(3, "tanh"), Dropout(0.5), Dense(2)], (4,)),
    "reshape": ([Reshape((3, 4)), Dense(2)], (2, 6)),
    "permute, two axes": ([Permute((1, 0)), Dense(2)], (5, 3)),
    "permute, channels first": ([Permute((2, 0, 1)), Dense(2)], (3, 4, 5)),
    "permute, all axes move": ([Permute((3, 1, 0, 2)), Dense(2)], (2, 3, 4, 3)),
    "permute, an axis of 1": ([Permute((1, 2, 0, 3)), Dense(2)], (2, 1, 3, 4)),
    "permute, nothing moves": ([Permute((0, 2, 1)), Dense(2)], (3, 4, 1)),
    "dense on an image": ([Dense(3, "softmax"), LayerNorm()], (2, 3, 4)),
    "activation": ([Dense(3), Activation("sin"), Dense(2, "selu")], (4,)),
    "activation on an image": ([Dense(5), Activation("softmax"), Activation(("elu", 0.3))], (2, 3, 4)),
    "activations that do nothing": ([Activation("linear"), Dense(2), Activation("linear")], (4,)),
    "activation first": ([Activation("tanh"), Dense(3), Activation(("elu", 0.3))], (4,)),
    "activation first, on an image": ([Activation("softmax"), Dense(2)], (2, 3, 4)),
    "activations alone": ([Activation("sin"), Activation(("hardtanh", -0.5, 0.5)), LayerNorm()], (4,)),
    "norm": ([LayerNorm(activation="relu")], (LANES + 1,)),
    "norm of an image": ([LayerNorm(epsilon=0.1)], (2, 3, 4)),
    "all": (
        [
            Conv2D(4, 3, padding="same", activation="relu"),
            MaxPool2D(2),
            LayerNorm(),
            Conv2D(6, 2, activation="silu"),
            AvgPool2D((1, 2), 1),
            Flatten(),
            Dense(3, "tanh"),
        ],
        (5, 6, 2),
    ),
}


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_matches_the_definition(case, own, dtype, rng):
    layers, shape = CASES[case]
    net = evoopt.Network(layers, shape)
    population = draw(net, 2, dtype, rng)
    for batch in BATCHES:
        inputs = rng.normal(size=(2, batch, *shape) if own else (batch, *shape)).astype(dtype)
        expected = [reference.run(net, row, inputs[r] if own else inputs) for r, row in enumerate(population)]
        close(net.forward(population, inputs), np.array(expected), TOLERANCES)


@pytest.mark.parametrize("cls", [cls for cls in public.layers() if cls.kind in reference.LAYERS])
def test_each_layer_matches_its_definition(cls, rng):
    for layers, shape in ((networks.make(cls, shape), shape) for shape in networks.SHAPES):
        if layers is not None:
            net = evoopt.Network(layers, shape)
            population = draw(net, 2, np.float32, rng)
            for batch in (3, COLUMNS + LANES):
                inputs = networks.inputs_for(net, rng.normal(size=(batch, *shape)).astype(np.float32))
                expected = np.array([reference.run(net, row, inputs) for row in population])
                close(net.forward(population, inputs), expected, TOLERANCES)


sizes = st.integers(1, 4 if JIT_DISABLED else 12)
pairs = st.tuples(st.integers(1, 4), st.integers(1, 4))


@given(
    image=st.tuples(sizes, sizes, st.integers(1, 3 if JIT_DISABLED else 20)),
    filters=st.integers(1, 5 if JIT_DISABLED else 40),
    windows=st.tuples(pairs, pairs),
    strides=st.tuples(pairs, pairs),
    pool=st.sampled_from([MaxPool2D, AvgPool2D]),
    batch=st.integers(1, 12 if JIT_DISABLED else 80),
    seed=st.integers(0, 2**32),
)
def test_windows_of_any_shape(image, filters, windows, strides, pool, batch, seed):
    rng = np.random.default_rng(seed)
    layers = []
    for layer, size, steps in zip((lambda *a: Conv2D(filters, *a), pool), windows, strides, strict=True):
        height, width, _ = evoopt.Network([*layers, Dense(1)], image).output_shape
        fits = size[0] <= height and size[1] <= width
        layers.append(layer(size, steps, "valid" if fits and rng.random() < 0.5 else "same"))
    net = evoopt.Network([*layers, Dense(2)], image)
    population, inputs = draw(net, 1, np.float64, rng), rng.normal(size=(batch, *image))
    checked = [0, batch - 1]
    expected = reference.run(net, population[0], inputs[checked])
    close(net.forward(population, inputs)[:, checked], expected[None], TOLERANCES)


def test_a_conv_and_a_dense_layer_are_named_and_shaped_as_elsewhere():
    net = evoopt.Network([Conv2D(8, (3, 2)), MaxPool2D(2), Flatten(), LayerNorm(), Dense(10)], (28, 28, 1))
    assert net.output_shape == (10,)
    assert dict(zip(net.spec.names, net.spec.shapes, strict=True)) == {
        "conv_0.bias": (8,),
        "conv_0.kernel": (3, 2, 1, 8),
        "dense_0.bias": (10,),
        "dense_0.kernel": (13 * 13 * 8, 10),
        "layer_norm_0.beta": (13 * 13 * 8,),
        "layer_norm_0.gamma": (13 * 13 * 8,),
    }


@pytest.mark.parametrize("make", [partial(Dense, 2), partial(Conv2D, 2, 3, 1, "valid"), Activation])
def test_numbers_of_an_activation_are_floats_in_a_tuple(make):
    layers = [make(("hardtanh", 0, 6)), make(["hardtanh", 0.0, np.int64(6)])]
    assert layers[0] == layers[1] != make(("hardtanh", 0, 5))
    assert len({*layers}) == 1
    assert [repr(layer.activation) for layer in layers] == ["('hardtanh', 0.0, 6.0)"] * 2


def test_first_values():
    net = evoopt.Network([Conv2D(50, 4, kernel_init="he_normal", bias_init="ones"), LayerNorm()], (9, 9, 20))
    drawn = net.spec.unravel(net.init(seed=0))
    assert np.isclose(drawn["conv_0"]["kernel"].std(), (2 / (4 * 4 * 20)) ** 0.5, rtol=0.02)
    assert set(drawn["conv_0"]["bias"]) == set(drawn["layer_norm_0"]["gamma"]) == {1.0}
    assert set(drawn["layer_norm_0"]["beta"]) == {0.0}


def test_frozen_parameters_and_pickled_networks_give_the_same_bits(rng):
    layers, shape = CASES["all"]
    net = evoopt.Network(layers, shape)
    row, inputs = net.init(seed=0), rng.normal(size=(70, *shape))
    expected = net.predict(row, inputs)
    assert np.array_equal(pickle.loads(pickle.dumps(net)).predict(row, inputs), expected)
    for trainable in ("conv_1.bias", "layer_norm_0", "dense_0"):
        frozen = net.freeze(net.spec.unravel(row), trainable)
        assert np.array_equal(frozen.predict(frozen.spec.ravel(net.spec.unravel(row)), inputs), expected)


@pytest.mark.parametrize("batch", BATCHES)
def test_an_activation_of_the_inputs_leaves_them_as_they_are(batch, rng):
    net = evoopt.Network([Activation("relu"), Dense(2)], (4,))
    population, inputs = draw(net, 3, np.float32, rng), rng.normal(size=(batch, 4)).astype(np.float32)
    given = inputs.copy()
    alone = [net.forward(population[r : r + 1], inputs)[0] for r in range(3)]
    assert np.array_equal(net.forward(population, inputs), alone)
    assert np.array_equal(inputs, given)


def test_statistics_of_batch_norm_come_from_freeze_and_never_evolve(rng):
    net = evoopt.Network([Dense(3), BatchNorm(activation="tanh"), Dense(2)], (4,))
    assert [*net.spec.frozen] == ["batch_norm_0.mean", "batch_norm_0.var"]
    params = net.spec.unravel(rng.normal(size=net.spec.size))
    statistics = {"mean": rng.normal(size=3), "var": rng.uniform(0.5, 2, 3)}
    params["batch_norm_0"] = {**params["batch_norm_0"], **statistics}
    for trainable in (None, "batch_norm_0", lambda name: True, ["dense_1", "batch_norm_0.var"]):
        own = net.freeze(params, trainable)
        assert {"batch_norm_0.mean", "batch_norm_0.var"} <= own.spec.frozen.keys()
        again = own.freeze(own.spec.ravel(params), "dense_0")  # which has the statistics of `own`
        for trained in (own, again):
            row = trained.spec.ravel(params)
            for batch in (3, COLUMNS + LANES):
                inputs = rng.normal(size=(batch, 4))
                hidden = inputs @ params["dense_0"]["kernel"] + params["dense_0"]["bias"]
                hidden = np.tanh(reference.batch_norm(hidden, **params["batch_norm_0"], epsilon=1e-5))
                expected = hidden @ params["dense_1"]["kernel"] + params["dense_1"]["bias"]
                close(trained.predict(row, inputs), expected, TOLERANCES)
    with pytest.raises(ValueError, match="trainable leaf"):
        net.freeze(params, "batch_norm_0.mean")


def test_parameters_that_never_evolve_keep_their_first_values():
    class Fixed(Mix):
        def parameters(self, input_shape):
            own = super().parameters(input_shape)
            return own | {"matrix": own["matrix"]._replace(trainable=False)}

    net = evoopt.Network([Fixed()], (4,))
    assert net.spec.names == ("mix_0.gain", "mix_0.shift")
    matrix = net.spec.frozen["mix_0.matrix"]
    assert np.array_equal(evoopt.Network([Fixed()], (4,)).spec.frozen["mix_0.matrix"], matrix)
    inputs = np.ones((2, 4))
    close(net.predict(net.init(), inputs), (inputs @ matrix.T).reshape(2, 2, 3), TOLERANCES)


@pytest.mark.parametrize("dtype", TOLERANCES)
def test_an_embedding_has_a_vector_for_each_id(dtype, rng):
    net = evoopt.Network([Embedding(7, LANES + 1), Dense(2)], (3,))
    population = draw(net, 2, dtype, rng)
    for batch in BATCHES:
        ids = rng.integers(0, 7, (batch, 3))
        expected = np.array([reference.run(net, row, ids) for row in population])
        close(net.forward(population, ids), expected, TOLERANCES)


@pytest.mark.parametrize("wrong", [-1, 3, 1e30, -1e30, 0.5, np.nan, np.inf, -np.inf])
def test_an_id_without_a_vector_gives_nan(wrong):
    net = evoopt.Network([Embedding(3, 2)], (2,))
    for batch in (2, COLUMNS + LANES):
        inputs = np.full((batch, 2), 2.0)
        inputs[1, 0] = wrong
        for dtype in TOLERANCES:
            found = net.forward(np.arange(6, dtype=dtype)[None], inputs)[0]
            assert np.isnan(found[1, 0]).all()
            found[1, 0] = [4, 5]
            assert (found == [4, 5]).all()


def test_layers_that_only_rename_places_run_nothing():
    layers = [Dropout(0.1), Reshape((4, 1, 3)), Permute((0, 2, 1)), Flatten(), Dense(1)]
    net = evoopt.Network(layers, (12,))
    assert len(net.engine().description.operations) == 1


def test_pooling_lets_nan_through():
    inputs = np.arange(2.0 * 4 * 4).reshape(2, 4, 4, 1)
    inputs[0, 1, 2], inputs[1, 0, 0] = np.nan, np.nan
    for pool in (MaxPool2D(2), AvgPool2D(2)):
        net = evoopt.Network([pool, Dense(1, use_bias=False)], (4, 4, 1))
        for batch in ([0, 1], [0, 1] * 10):
            found = np.isnan(net.predict([1.0], inputs[batch])[..., 0])
            assert found[0].tolist() == [[False, True], [False, False]]
            assert found[1].tolist() == [[True, False], [False, False]]


def test_a_task_on_images(rng):
    layers, shape = CASES["all"]
    net = evoopt.Network(layers, shape)
    population, inputs = draw(net, 3, np.float32, rng), rng.normal(size=(90, *shape)).astype(np.float32)
    labels = rng.integers(0, 3, 90)
    expected = [
        reference.mean_loss(reference.cross_entropy, z, labels) for z in net.forward(population, inputs)
    ]
    assert np.allclose(evoopt.Supervised(net, inputs, labels)(population), expected, rtol=1e-5)


@pytest.mark.frameworks
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("batch", [2, 70])
def test_matches_torch(padding, batch, rng):
    torch = pytest.importorskip("torch")
    net = evoopt.Network(
        [
            Conv2D(6, 3, padding=padding, activation="relu"),
            MaxPool2D(2),
            LayerNorm(),
            Conv2D(9, (2, 3), (2, 1)),
            AvgPool2D(2, 1),
            Flatten(),
            Dense(4),
        ],
        (12, 15, 3),
    )
    row, inputs = rng.normal(0, 0.3, net.spec.size), rng.normal(size=(batch, 12, 15, 3))
    tree = net.spec.unravel(row)
    twin = torch.nn.Sequential(
        torch.nn.Conv2d(3, 6, 3, padding=padding),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        ChannelsLast(torch.nn.LayerNorm(6)),
        torch.nn.Conv2d(6, 9, (2, 3), (2, 1)),
        torch.nn.AvgPool2d(2, 1),
        torch.nn.Flatten(),
        torch.nn.Linear(len(tree["dense_0"]["kernel"]), 4),
    ).double()
    image = twin[:6](torch.zeros(1, 3, 12, 15, dtype=torch.float64)).shape[1:]  # (channels, height, width)
    order = np.arange(np.prod(image)).reshape(*image[1:], image[0]).transpose(2, 0, 1).reshape(-1)
    state = {
        **{f"{k}.weight": tree[f"conv_{n}"]["kernel"].transpose(3, 2, 0, 1) for n, k in enumerate((0, 4))},
        **{f"{k}.bias": tree[f"conv_{n}"]["bias"] for n, k in enumerate((0, 4))},
        "3.norm.weight": tree["layer_norm_0"]["gamma"],
        "3.norm.bias": tree["layer_norm_0"]["beta"],
        "7.weight": tree["dense_0"]["kernel"][order].T,
        "7.bias": tree["dense_0"]["bias"],
    }
    twin.load_state_dict({name: torch.tensor(np.ascontiguousarray(value)) for name, value in state.items()})
    expected = twin(torch.tensor(inputs.transpose(0, 3, 1, 2))).detach().numpy()
    assert np.allclose(net.predict(row, inputs), expected, rtol=1e-10, atol=1e-10)


# A layer, the shape of an input, and the function of torch.nn.functional; images and sequences of
# torch are channels-first.
FUNCTIONS_OF_TORCH = {
    "conv2d": (
        Conv2D(6, (3, 4), 2, (1, 3)),
        (8, 9, 3),
        lambda f, x, p: f.conv2d(x, p["kernel"].permute(3, 2, 0, 1), p["bias"], 2, (1, 3)),
    ),
    "conv1d": (
        Conv1D(6, 5, 2, 2),
        (13, 3),
        lambda f, x, p: f.conv1d(x, p["kernel"].permute(2, 1, 0), p["bias"], 2, 2),
    ),
    "max_pool2d": (MaxPool2D((3, 2), 2, 1), (7, 6, 3), lambda f, x, p: f.max_pool2d(x, (3, 2), 2, 1)),
    "max_pool1d": (MaxPool1D(5, 2, 2), (11, 3), lambda f, x, p: f.max_pool1d(x, 5, 2, 2)),
    "avg_pool2d": (
        AvgPool2D((3, 2), 2, (1, 0)),
        (7, 6, 3),
        lambda f, x, p: f.avg_pool2d(x, (3, 2), 2, (1, 0), count_include_pad=False),
    ),
    "avg_pool1d": (
        AvgPool1D(5, 2, 2),
        (11, 3),
        lambda f, x, p: f.avg_pool1d(x, 5, 2, 2, count_include_pad=False),
    ),
    "adaptive_avg_pool2d": (
        GlobalAvgPool(),
        (7, 6, 3),
        lambda f, x, p: f.adaptive_avg_pool2d(x, 1)[..., 0, 0],
    ),
    "batch_norm": (
        BatchNorm(0.01),
        (4, 3, 5),
        lambda f, x, p: f.batch_norm(x, p["mean"], p["var"], p["gamma"], p["beta"], eps=0.01),
    ),
    "embedding": (
        Embedding(7, 3),
        (5,),
        lambda f, x, p: f.embedding(x.long(), p["embedding"]).movedim(-1, 1),
    ),
}


@pytest.mark.frameworks
@pytest.mark.parametrize("batch", [2, 70])
@pytest.mark.parametrize("name", FUNCTIONS_OF_TORCH)
def test_matches_a_function_of_torch(name, batch, rng):
    torch = pytest.importorskip("torch")
    layer, shape, function = FUNCTIONS_OF_TORCH[name]
    channels = layer.output_shape(shape)[-1]
    net = evoopt.Network([layer, Dense(channels, use_bias=False)], shape)  # which changes nothing
    params = {
        f"{layer.kind}_0": {key: rng.uniform(0.1, 2, p.shape) for key, p in layer.parameters(shape).items()}
    }
    params = {key: own for key, own in params.items() if own} | {"dense_0": {"kernel": np.eye(channels)}}
    inputs = networks.inputs_for(net, rng.normal(size=(batch, *shape)))
    own = {key: torch.tensor(value) for key, value in params.get(f"{layer.kind}_0", {}).items()}
    expected = function(torch.nn.functional, torch.tensor(inputs).movedim(-1, 1), own).movedim(1, -1)
    found = net.freeze(params, "*").predict(net.spec.ravel(params, out=np.empty(net.spec.size)), inputs)
    assert np.allclose(found, expected.numpy(), rtol=1e-12, atol=1e-12)


def ChannelsLast(norm):  # noqa: N802
    import torch

    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = norm

        def forward(self, x):
            return self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

    return Module()


@pytest.mark.parametrize(
    ("call", "parts"),
    [
        (lambda: Conv2D(0, 3), ["filters", "at least 1", "got 0"]),
        (lambda: Conv2D(2, (3, 3, 3)), ["kernel_size", "got (3, 3, 3)"]),
        (lambda: Conv2D(2, 3, 0), ["strides", "got 0"]),
        (lambda: Conv2D(2, 3, padding="full"), ['"valid" or "same"', "got 'full'"]),
        (lambda: Conv2D(2, 3, kernel_init="one"), ['"zeros", "ones"', "got 'one'"]),
        (lambda: Conv2D(2, 3, activation="tan"), ["tanh", "got 'tan'"]),
        (lambda: Dense(2, ("tanh", 1)), ['("leaky_relu", slope)', "got ('tanh', 1)"]),
        (lambda: Dense(2, ()), ['("hardtanh", lowest, highest)', "got ()"]),
        (lambda: Dense(2, (3, 1)), ['("elu", alpha)', "got (3, 1)"]),
        (lambda: Conv2D(2, 3, activation=("elu",)), ['("elu", alpha)', "got ('elu',)"]),
        (lambda: MaxPool2D(2, activation=("elu", np.nan)), ["The alpha of elu", "got nan"]),
        (lambda: LayerNorm(activation=("leaky_relu", np.inf)), ["The slope of leaky_relu", "got inf"]),
        (lambda: Activation(("leaky_relu", "steep")), ["The slope of leaky_relu", "got 'steep'"]),
        (lambda: Activation(("hardtanh", 1, 1)), ["lowest of hardtanh", "got ('hardtanh', 1, 1)"]),
        (lambda: Activation("tan"), ["tanh", '("hardtanh", lowest, highest)', "got 'tan'"]),
        (lambda: MaxPool2D(2.5), ["pool_size", "got 2.5"]),
        (lambda: AvgPool2D((2, 3), padding=2), ["padding", "at most 1 for windows of (2, 3)", "got 2"]),
        (lambda: Conv2D(2, (3, 1), padding=1), ["padding", "(2, 0)", "(3, 1)", "got 1"]),
        (lambda: Conv2D(2, 3, padding=(1, 1, 1)), ["padding", "a pair", "got (1, 1, 1)"]),
        (lambda: Conv1D(2, (3, 3)), ["kernel_size", "a whole number, got (3, 3)"]),
        (lambda: MaxPool1D(2, padding=-1), ["padding", "got -1"]),
        (lambda: BatchNorm(0), ["epsilon", "got 0"]),
        (lambda: Embedding(2**24 + 1, 2), ["n must be", "16777216", "got 16777217"]),
        (lambda: Dropout(1.0), ["rate", "from 0 to 1", "got 1.0"]),
        (lambda: Rescaling(np.inf), ["scale", "1e+30", "got inf"]),
        (lambda: Permute((1, 2)), ["axes", "(2, 0, 1)", "got (1, 2)"]),
        (lambda: evoopt.Network([Permute((1, 0))], (3,)), ["Permute((1, 0))", "2 axes", "got (3,)"]),
        (lambda: evoopt.Network([GlobalAvgPool()], (3,)), ["(..., channels)", "got (3,)"]),
        (lambda: evoopt.Network([Conv1D(2, 3)], (64,)), ["Conv1D", "(length, channels)", "got (64,)"]),
        (lambda: evoopt.Network([Conv1D(2, 5, padding=1)], (2, 1)), ["(5,)", "(2, 1)", "its padding"]),
        (lambda: LayerNorm(0), ["epsilon", "got 0"]),
        (
            lambda: evoopt.Network([Conv2D(2, 3)], (64,)),
            ["Conv2D", "(height, width, channels)", "got (64,)"],
        ),
        (lambda: evoopt.Network([Conv2D(2, (2, 4))], (3, 3, 1)), ["(2, 4)", "(3, 3, 1)", 'padding="same"']),
        (lambda: evoopt.Network([Dense(3), MaxPool2D(4)], (3, 3, 1)), ["MaxPool2D", "(3, 3, 3)"]),
    ],
)
def test_bad_input_is_refused_in_a_sentence(call, parts):
    with pytest.raises(ValueError, match=r"\.$") as error:
        call()
    for part in parts:
        assert part in str(error.value)


# ---------------------------------------------------------------- users' layers


@numba.njit
def mix(x, y, gain, shift, matrix):
    for f in range(len(y)):
        for s in range(y.shape[1]):
            y[f, s] = shift[f]
            for g in range(len(x)):
                y[f, s] += x[g, s] * gain[0] * matrix[f * len(x) + g]


class Mix(evoopt.Layer):
    def output_shape(self, input_shape):
        return (2, 3)

    def parameters(self, input_shape):
        return {
            "gain": evoopt.Parameter((), "ones"),
            "shift": evoopt.Parameter((6,), "zeros"),
            "matrix": evoopt.Parameter((6, *input_shape), "lecun_normal", input_shape[0], 6),
        }

    def function(self, input_shape):
        return mix


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("trainable", [None, "mix_0.shift"])
def test_a_layer_of_ones_own(trainable, dtype, rng):
    net = evoopt.Network([Dense(5, "tanh"), Mix()], (4,))
    assert net.output_shape == (2, 3)
    full, row = net, draw(net, 1, dtype, rng)[0]
    tree = net.spec.unravel(row.astype(np.float64))
    if trainable:
        net = net.freeze(net.spec.unravel(row), trainable)
        row = net.spec.ravel(full.spec.unravel(row), out=np.empty(6, dtype))
    for batch in BATCHES:
        inputs = rng.normal(size=(batch, 4))
        hidden = np.tanh(inputs @ tree["dense_0"]["kernel"] + tree["dense_0"]["bias"])
        p = tree["mix_0"]
        expected = hidden @ (p["gain"] * p["matrix"]).T + p["shift"]
        close(net.predict(row, inputs), expected.reshape(batch, 2, 3), TOLERANCES)


class Made(evoopt.Layer):
    """A layer with one function and one parameter."""

    kind = "made"

    def __init__(self, function):
        self._function = function

    def parameters(self, input_shape):
        return {"gain": evoopt.Parameter(input_shape, "ones")}

    def function(self, input_shape):
        return self._function


@pytest.mark.parametrize("batch", [1, 30])
def test_a_layer_that_raises_gives_nan(batch):
    @numba.njit
    def root(x, y, gain):
        for f in range(len(x)):
            for s in range(x.shape[1]):
                if x[f, s] < 0:
                    raise ValueError("no root")
                y[f, s] = gain[f] * x[f, s] ** 0.5

    net = evoopt.Network([Made(root)], (1,))
    assert net.predict([2.0], np.full((batch, 1), 4.0)).tolist() == [[4.0]] * batch
    assert np.isnan(net.predict([2.0], np.full((batch, 1), -4.0))).all()


@pytest.mark.skipif(JIT_DISABLED, reason="nothing is compiled")
def test_functions_that_are_no_layer_are_refused():
    def of_two(x, y):
        y[:] = x

    def of_text(x, y, gain):
        y[:] = len(f"{gain[0]:.2f}")  # an error of numba that is not a NumbaError

    for function in (of_two, of_text):
        net = evoopt.Network([Made(numba.njit(function))], (3,))
        with pytest.raises(ValueError, match="1 parameters"):
            net.predict(np.ones(3), np.ones((1, 3)))
    with pytest.raises(ValueError, match=r"numba\.njit"):
        evoopt.Network([Made(lambda x, y, gain: None)], (3,)).predict(np.ones(3), np.ones((1, 3)))


def test_a_layer_without_a_function_is_refused():
    class Nothing(evoopt.Layer):
        pass

    with pytest.raises(ValueError, match=r"function\(input_shape\)"):
        evoopt.Network([Dense(1), Nothing()], (3,)).predict(np.ones(4), np.ones((1, 3)))
