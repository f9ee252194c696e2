"""Modules of torch that `to_torch` builds: their layers, names and weights."""

import copy
import pickle
import sys

import numpy as np
import pytest
from same_bits import networks

from evoopt import GRU, LSTM, RNN, Conv2D, Dense, Flatten, LayerNorm, Network, to_torch

CNN = [Conv2D(4, 3, activation="relu", name="features.0"), Flatten(), LayerNorm(), Dense(3, use_bias=False)]


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


def built(layers, shape):
    """Return a network, its parameters as a tree, and the module."""
    net = Network(layers, shape)
    row = networks.population(net, "float32")[0]
    return net, net.spec.unravel(row), to_torch(net, row)


@pytest.mark.frameworks
def test_layers_are_those_of_torch(torch):
    _, params, module = built(CNN, (6, 5, 2))
    classes = {
        "features.0": "Conv2d",
        "flatten_0": "Flatten",
        "layer_norm_0": "LayerNorm",
        "dense_0": "Linear",
    }
    assert {name: type(module.get_submodule(name)).__name__ for name in classes} == classes
    state = {name: tensor.numpy() for name, tensor in module.state_dict().items()}
    expected = {
        "features.0.weight": params["features"]["0"]["kernel"].transpose(3, 2, 0, 1),
        "features.0.bias": params["features"]["0"]["bias"],
        "layer_norm_0.weight": params["layer_norm_0"]["gamma"],
        "layer_norm_0.bias": params["layer_norm_0"]["beta"],
        "dense_0.weight": params["dense_0"]["kernel"].T,
    }
    assert state.keys() == expected.keys()
    assert all(np.array_equal(state[name], array) for name, array in expected.items())


@pytest.mark.frameworks
@pytest.mark.parametrize(("layer", "name"), [(RNN(3), "RNN"), (GRU(3), "GRU"), (LSTM(3), "LSTM")])
def test_recurrent_layers_are_those_of_torch(layer, name, torch):
    _, _, module = built([layer], (5, 2))
    assert type(module.get_submodule(f"{name.lower()}_0")) is getattr(torch.nn, name)


@pytest.mark.frameworks
def test_a_module_can_be_saved_copied_and_trained(torch):
    net, _, module = built(CNN, (6, 5, 2))
    inputs = torch.from_numpy(networks.numbers((4, *net.input_shape)).astype(np.float32))
    outputs = module(inputs)
    for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert torch.equal(other(inputs), outputs)
    other = to_torch(net, net.init(3))
    other.load_state_dict(module.state_dict())
    assert torch.equal(other(inputs), outputs)
    outputs.square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in module.parameters())
    assert not module.training


@pytest.mark.frameworks
def test_names_that_modules_have_for_themselves_get_a_stroke(torch):
    _, _, module = built([Dense(3, name="graph"), Dense(2, name="a.train"), Dense(2, name="a.b c")], (4,))
    names = [name for name, child in module.named_modules() if not list(child.children())]
    assert sorted(names) == ["a.b_c", "a.train_", "graph_"]


def test_without_torch(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    net = Network([Dense(2)], (3,))
    with pytest.raises(ImportError, match=r"^to_torch needs the package torch, .*: pip install torch\.$"):
        to_torch(net, np.zeros(8))
