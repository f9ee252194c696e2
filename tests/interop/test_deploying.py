"""Trained networks as torch modules, ONNX files and Python files have the outputs of `predict`."""

import re
from contextlib import suppress
from typing import get_args

import numba
import numpy as np
import pytest
from helpers import JIT_DISABLED, ROOT
from helpers.deploying import cases_of, check, each_format
from hypothesis import given, settings
from hypothesis import strategies as st
from same_bits import networks, public

from evoopt import (
    GRU,
    LSTM,
    RNN,
    Add,
    AvgPool2D,
    BatchNorm,
    Concat,
    Conv2D,
    Dense,
    Embedding,
    Flatten,
    FunctionNetwork,
    Graph,
    MaxPool2D,
    Multiply,
    Network,
    Parallel,
    Reshape,
    Residual,
    Slice,
    Split,
)
from evoopt.interop.onnx import activations as onnx_activations
from evoopt.interop.onnx import layers as onnx_layers
from evoopt.interop.python import layers as python_layers
from evoopt.interop.torch.building import activations as torch_activations
from evoopt.interop.torch.building import layers as torch_layers
from evoopt.networks.activations import ActivationName
from evoopt.networks.recurrent import RecurrentActivation
from evoopt.networks.wiring import Composite

BLOCK = [Conv2D(4, 3, padding="same", activation="relu"), Conv2D(4, 3, padding="same")]
NETWORKS = {
    "residual blocks": (
        [
            *(Conv2D(4, 3, padding="same"), Residual(BLOCK, activation="relu")),
            Residual([Conv2D(6, 3, 2, "same")], [Conv2D(6, 1, 2)], activation="softmax"),
            *(Flatten(), Dense(3)),
        ],
        (8, 7, 2),
    ),
    "two heads": ([Dense(5, "tanh"), Parallel([Dense(4)], [Dense(2), Dense(1)], names=("p", "v"))], (4,)),
    "an image and a vector": (
        [Split({"image": ((5, 5, 2), [Conv2D(3, 3), Flatten()]), "vector": ((3,), [])}), Dense(4)],
        (53,),
    ),
    "branches of an image": (
        [
            Conv2D(4, 3),
            Parallel([Conv2D(2, 1)], [MaxPool2D(3, 1, "same"), AvgPool2D(2, 1, "same")], []),
            *(Slice(1, 4), Slice(0, 2, 0), Reshape((9, 2))),
        ],
        (6, 5, 2),
    ),
    "a layer used twice": (
        [
            Graph(
                {
                    "a": (Dense(4, "tanh"), "input"),
                    "b": ("a", "a"),
                    "product": (Multiply("relu"), ("a", "b", "input")),
                    "all": (Concat(), ("product", "a")),
                },
                output={"first": "all", "second": "b"},
            )
        ],
        (4,),
    ),
    "memory used twice": (
        [
            Graph(
                {
                    "a": (GRU(4, return_sequences=True), "input"),
                    "b": ("a", "a"),
                    "sum": (Add(), ("a", "b", "input")),
                }
            )
        ],
        (5, 4),
    ),
    "memory used twice, step by step": (
        [
            Graph(
                {
                    "a": (GRU(4), "input"),
                    "b": ("a", "a"),
                    "c": (LSTM(4), "b"),
                    "d": (RNN(4, "sigmoid"), "c"),
                    "sum": (Add(), ("a", "b", "d")),
                }
            )
        ],
        (4,),
    ),
    "sequences": (
        [LSTM(4, return_sequences=True), RNN(3, "linear", return_sequences=True), Dense(2)],
        (5, 3),
    ),
    "one step after a sequence": ([GRU(3), LSTM(4, return_sequences=True)], (5, 3)),
    "odd names": (
        [
            Dense(3, "relu", name="graph"),
            *(Dense(3, name="a.train"), Dense(3, name="a b\"'\\"), Dense(3, name="a_b___")),
            *(Dense(2, name="outputs"), Dense(2, name="x1.inputs"), Dense(2, name="forward.0")),
        ],
        (4,),
    ),
}
WITH_NUMBERS = [("leaky_relu", 0.3), ("elu", 0.5), ("hardtanh", 0, 6)]
TABLES = {
    "torch": (torch_layers.LAYERS, torch_activations.ACTIVATIONS),
    "onnx": (onnx_layers.LAYERS, onnx_activations.ACTIVATIONS),
    "python": (python_layers.LAYERS, python_layers.ACTIVATIONS),
}
each_table = pytest.mark.parametrize(("layers", "activations"), TABLES.values(), ids=TABLES)


def solution(net, seed=0):
    """Return weights of which none is 0."""
    return networks.population(net, "float32")[seed]


# --- the tables


@each_table
def test_each_layer_has_a_row(layers, activations):
    single = {cls for cls in public.layers() if not issubclass(cls, Composite)}
    assert layers.keys() == single


@each_table
def test_each_activation_has_a_row(layers, activations):
    assert activations.keys() == {*get_args(ActivationName)}


def test_each_layer_is_on_the_page():
    page = (ROOT / "docs/reference/formats.md").read_text()
    named = re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.*?) \|", page, re.MULTILINE)))
    assert sorted(named) == sorted(cls.__name__ for cls in TABLES["torch"][0])


# --- outputs


@each_format
@pytest.mark.parametrize("cls", public.layers(), ids=lambda cls: cls.__name__)
def test_each_layer(cls, deploy, tmp_path):
    for net in cases_of(cls):
        check(deploy, net, solution(net), tmp_path)


@each_format
@pytest.mark.parametrize("activation", [*get_args(ActivationName), *WITH_NUMBERS], ids=str)
def test_each_activation(activation, deploy, tmp_path):
    layers = [Dense(40, activation, kernel_init="he_normal"), Conv2D(3, 2, activation=activation)]
    net = Network([layers[0], Reshape((5, 4, 2)), layers[1]], (6,))
    check(deploy, net, 4 * solution(net), tmp_path)


@each_format
@pytest.mark.parametrize("activation", get_args(RecurrentActivation))
def test_each_activation_of_an_rnn(activation, deploy, tmp_path):
    for sequences in (False, True):
        for shape in ((5, 3), (3,)):
            net = Network([RNN(4, activation, return_sequences=sequences)], shape)
            check(deploy, net, solution(net), tmp_path)


@each_format
@pytest.mark.parametrize("name", NETWORKS)
def test_networks(name, deploy, tmp_path):
    net = Network(*NETWORKS[name])
    check(deploy, net, solution(net), tmp_path)


@st.composite
def chains(draw):
    """Draw a network of layers of any kind, as far as one takes the output of the one before it."""
    shape = draw(st.sampled_from([(5,), (5, 4), (6, 5, 3)]))
    net = Network([Dense(shape[-1])], shape)
    others = [cls for cls in public.layers() if cls is not Embedding]  # which takes whole numbers
    for cls in draw(st.lists(st.sampled_from(others), min_size=1, max_size=4)):
        options = [{name: value} for name in public.options(cls) for value in networks.VALUES.get(name, ())]
        layers = networks.make(cls, net.output_shape, **draw(st.sampled_from([{}, *options])))
        with suppress(ValueError):  # two layers have the same name
            net = Network([*net.layers, *(layers or ())], shape)
    return net


@each_format
@settings(max_examples=5 if JIT_DISABLED else 30)
@given(chains())
def test_chains_of_layers(deploy, tmp_path_factory, net):
    check(deploy, net, solution(net), tmp_path_factory.mktemp("net"), batches=(2,))


@each_format
def test_parameters_of_any_kind(deploy, tmp_path):
    net = Network([Dense(4, "tanh"), Dense(3)], (5,))
    vector = solution(net)
    check(deploy, net, net.spec.unravel(vector), tmp_path)
    check(deploy, net, vector.tolist(), tmp_path)
    frozen = net.freeze(vector, trainable="dense_1")
    check(deploy, frozen, solution(frozen, 1), tmp_path)


@each_format
@pytest.mark.parametrize("shape", [(3,), (5, 3), (4, 5, 3), (2, 2, 3, 3)])
def test_statistics_of_batch_normalization(shape, deploy, tmp_path):
    net = Network([BatchNorm(0.1), Dense(2)], shape)
    params = net.spec.unravel(solution(net))
    params["batch_norm_0"] |= {"mean": np.array([1.0, -2.0, 0.5]), "var": np.array([0.5, 2.0, 3.0])}
    net = net.freeze(params, trainable="dense_0")
    check(deploy, net, solution(net), tmp_path)


# --- refusals


@numba.njit
def bent(x):
    return x / (1 + abs(x))


@each_format
def test_what_only_evoopt_can_compute_is_refused(deploy, tmp_path):
    own = Network([Dense(3), networks.Scale(name="gains")], (4,))
    with pytest.raises(ValueError, match=r'^to_\w+ takes .*, but the layer "gains" is of the class Scale'):
        deploy(own, own.init(0), tmp_path)
    own = Network([Dense(3, bent)], (4,))
    with pytest.raises(ValueError, match=r'^to_\w+ takes .*, but the layer "dense_0" has a function'):
        deploy(own, own.init(0), tmp_path)
    assert [*tmp_path.iterdir()] == []


@each_format
def test_other_arguments_are_refused(deploy, tmp_path):
    net = Network([Dense(3)], (4,))
    for wrong in (np.zeros(3), np.zeros((2, net.spec.size)), {"dense_0": {"kernel": np.zeros((4, 3))}}):
        with pytest.raises(ValueError, match=r"parameters|bias"):
            deploy(net, wrong, tmp_path)
    function = FunctionNetwork(lambda population, inputs, state: inputs, net.spec, (4,), (4,))
    for other in ([Dense(3)], function):
        with pytest.raises(ValueError, match=r"^net must be an evoopt\.Network, of layers, got a \w+\.$"):
            deploy(other, np.zeros(15), tmp_path)
