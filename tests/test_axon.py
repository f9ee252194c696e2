"""Networks of Axon: the files that Elixir wrote, and the outputs that Axon computed.

tests/data/axon/write.exs wrote the files.
"""

import numpy as np
import pytest
from helpers import ROOT
from helpers.trees import same

from evoopt import (
    GRU,
    LSTM,
    Add,
    BatchNorm,
    Concat,
    Conv1D,
    Conv2D,
    Dense,
    Embedding,
    Flatten,
    GlobalAvgPool,
    Graph,
    LayerNorm,
    MaxPool2D,
    Network,
    load_safetensors,
    save_safetensors,
)

pytestmark = pytest.mark.frameworks


def path_of(name):
    pytest.importorskip("safetensors")
    return ROOT / "tests" / "data" / "axon" / f"{name}.safetensors"


def predict(net, params, inputs):
    """Return the outputs of a network with the parameters and statistics of a tree."""
    net = net.freeze(params, net.spec.names)
    return net.predict(net.spec.ravel(params), inputs)


def side_by_side(gates, *names):
    return np.concatenate([gates[name] for name in names], axis=-1)


def kernels(layer, gates):
    """Return the kernel and recurrent kernel of a recurrent layer, the gates side by side."""
    return {
        "kernel": side_by_side(layer["input_kernel"], *[f"wi{gate}" for gate in gates]),
        "recurrent_kernel": side_by_side(layer["hidden_kernel"], *[f"wh{gate}" for gate in gates]),
    }


def test_layers_of_images_have_the_layout_of_axon():
    tree, _ = load_safetensors(path_of("image"))
    params = tree["params"]
    first = [Conv2D(3, (3, 2), activation="relu"), MaxPool2D(2), Flatten()]
    net = Network([*first, *[Dense(4)] * 16, BatchNorm(), LayerNorm()], (6, 6, 2))
    del params["dropout_0"]
    outputs = predict(net, params, tree["inputs"])
    assert np.ptp(tree["outputs"], axis=0).max() > 0.1
    np.testing.assert_allclose(outputs, tree["outputs"], rtol=0, atol=1e-5)


def test_ids_become_the_vectors_of_axon():
    tree, _ = load_safetensors(path_of("ids"))
    params = tree["params"]
    params["embedding_0"] = {"embedding": params["embedding_0"]["kernel"]}
    layers = [Embedding(4, 3), Conv1D(4, 2, name="conv_0"), BatchNorm(activation="silu"), GlobalAvgPool()]
    outputs = predict(Network(layers, (5,)), params, tree["inputs"])
    np.testing.assert_allclose(outputs, tree["outputs"], rtol=0, atol=1e-5)


def test_branches_are_those_of_axon():
    tree, _ = load_safetensors(path_of("branches"))
    nodes = {
        "first": (Dense(4, "tanh"), "input"),
        "second": (Dense(4), "first"),
        "sum": (Add(), ("first", "second")),
        "both": (Concat(), ("sum", "input")),
        "dense_2": (Dense(2), "both"),
    }
    outputs = Network([Graph(nodes, "dense_2")], (4,)).predict(tree["params"], tree["inputs"])
    np.testing.assert_allclose(outputs, tree["outputs"], rtol=0, atol=1e-5)


def test_recurrent_layers_have_the_gates_of_axon():
    tree, _ = load_safetensors(path_of("sequence"))
    lstm, gru = tree["params"]["lstm_0"], tree["params"]["gru_0"]
    of_outputs = np.concatenate([np.zeros(6, np.float32), gru["bias"]["bhn"]])
    params = {
        "lstm_0": {**kernels(lstm, "ifgo"), "bias": side_by_side(lstm["bias"], "bi", "bf", "bg", "bo")},
        "gru_0": {
            **kernels(gru, "zrn"),
            "bias": np.stack([side_by_side(gru["bias"], "bz", "br", "bin"), of_outputs]),
        },
    }
    net = Network([LSTM(4, return_sequences=True), GRU(3, return_sequences=True)], (5, 3))
    outputs = net.predict(params, tree["inputs"])
    np.testing.assert_allclose(outputs, tree["outputs"], rtol=0, atol=1e-5)


def test_all_tensors_of_axon_come_back_bit_for_bit(tmp_path):
    """More than 32 tensors, of which Axon calls three state."""
    path = path_of("image")
    from safetensors.numpy import load_file

    tree, spec = load_safetensors(path)
    state = ["batch_norm_0.mean", "batch_norm_0.var", "dropout_0.key"]
    assert list(spec.frozen) == [f"params.{name}" for name in state]
    save_safetensors(tmp_path / "net", spec.unravel(spec.ravel(tree)), spec)
    written, given = load_file(tmp_path / "net"), load_file(path)
    assert len(given) > 32
    assert written.keys() == given.keys()
    assert all(same(written[name], given[name]) for name in given)
