"""Files of `to_onnx`: their operators, names and metadata."""

import json
import sys
from collections import Counter

import numpy as np
import pytest
from same_bits import networks

import evoopt
from evoopt import GRU, AvgPool2D, Conv2D, Dense, Flatten, LayerNorm, MaxPool2D, Network, Parallel, Residual

IMAGE = [
    Conv2D(4, 3, padding="same", activation="relu"),
    MaxPool2D(2),
    Residual([Conv2D(4, 3, padding="same", activation="silu"), Conv2D(4, 1)], activation="relu"),
    AvgPool2D(2, padding="same"),
    Flatten(),
    Dense(3, "softmax"),
]


@pytest.fixture
def model_of(tmp_path):
    """Return a function that writes a network as ONNX, and reads it."""
    onnx = pytest.importorskip("onnx")

    def write(layers, shape):
        net = Network(layers, shape)
        evoopt.to_onnx(net, networks.population(net, "float32")[0], tmp_path / "net.onnx")
        return onnx.load(tmp_path / "net.onnx")

    return write


def shapes(values):
    """Return the shapes of inputs or outputs, by name."""
    return {
        each.name: [axis.dim_param or axis.dim_value for axis in each.type.tensor_type.shape.dim]
        for each in values
    }


@pytest.mark.frameworks
def test_inputs_and_outputs_have_any_batch(model_of):
    graph = model_of(IMAGE, (9, 8, 2)).graph
    assert shapes(graph.input) == {"inputs": ["batch", 9, 8, 2]}
    assert shapes(graph.output) == {"outputs": ["batch", 3]}
    graph = model_of([GRU(4), Dense(2)], (3,)).graph
    assert shapes(graph.input) == {"inputs": ["batch", 3], "state": ["batch", 4]}
    assert shapes(graph.output) == {"outputs": ["batch", 2], "new_state": ["batch", 4]}


@pytest.mark.frameworks
def test_images_are_permuted_at_the_ends_alone(model_of):
    graph = model_of(IMAGE, (9, 8, 2)).graph
    assert Counter(node.op_type for node in graph.node)["Transpose"] == 2


@pytest.mark.frameworks
def test_nodes_and_constants_have_names_of_the_network(model_of):
    model = model_of([Dense(3, "tanh", name="body.first"), LayerNorm()], (4,))
    assert {"body.first.kernel", "body.first.bias", "layer_norm_0.gamma"} <= {
        each.name for each in model.graph.initializer
    }
    assert {"body.first", "layer_norm_0"} <= {node.name for node in model.graph.node}


@pytest.mark.frameworks
def test_a_file_is_read_by_runtimes_of_the_last_years(model_of):
    model = model_of(IMAGE, (9, 8, 2))
    assert model.ir_version == 8
    assert [(each.domain, each.version) for each in model.opset_import] == [("", 17)]


@pytest.mark.frameworks
def test_heads_are_in_the_metadata(model_of):
    model = model_of([Parallel([Dense(4)], [Dense(1)], names=("policy", "value"))], (3,))
    (entry,) = model.metadata_props
    assert (entry.key, json.loads(entry.value)) == ("heads", {"policy": [0, 4], "value": [4, 5]})


def test_without_onnx(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    net = Network([Dense(2)], (3,))
    with pytest.raises(ImportError, match=r"^to_onnx needs the package onnx, .*: pip install onnx\.$"):
        evoopt.to_onnx(net, np.zeros(8), tmp_path / "net.onnx")
    assert not (tmp_path / "net.onnx").exists()
