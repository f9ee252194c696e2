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
    Conv2D,
    Dense,
    Flatten,
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
    convolution = [Conv2D(3, (3, 2), activation="relu"), MaxPool2D(2), Flatten()]
    net = Network([*convolution, *[Dense(4)] * 16], (6, 6, 2))
    own = {layer: params[layer] for layer in params if layer.startswith(("conv", "dense"))}
    hidden = net.predict(own, tree["inputs"])
    norm = params["batch_norm_0"]
    hidden = (hidden - norm["mean"]) / np.sqrt(norm["var"] + 1e-5) * norm["gamma"] + norm["beta"]
    outputs = Network([LayerNorm()], (4,)).predict({"layer_norm_0": params["layer_norm_0"]}, hidden)
    assert np.ptp(tree["outputs"], axis=0).max() > 0.1
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
