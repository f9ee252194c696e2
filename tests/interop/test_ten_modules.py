"""Ten torch modules as their users write them go in and out, and into files."""

import copy
import importlib.util
import sys

import numpy as np
import pytest
from helpers import ROOT

import evoopt

sys.path.append(str(ROOT))  # benchmarks are not part of the installed package

modules = pytest.importorskip("benchmarks.harness.torch_modules", reason="torch is not installed")
torch = pytest.importorskip("torch")

pytestmark = pytest.mark.frameworks
TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}
SIGMA = 0.1


class Converted:
    """An example's module, evoopt's network of it, and rows around the module's own, the first."""

    def __init__(self, example):
        self.example = example
        self.module = example.make()
        self.net, self.vector = evoopt.from_torch(self.module, example.input_shape)
        noise = np.random.default_rng(0).normal(0, SIGMA, (4, len(self.vector)))
        noise[0] = 0
        self.rows = (self.vector + noise).astype(np.float32)
        self.changed = self.module_of(self.rows[1])

    def module_of(self, row):
        return evoopt.to_torch(self.net, row, copy.deepcopy(self.module))

    def outputs_of(self, module, batch):
        """Return the outputs of a module on `batch` samples, in evoopt's layout."""
        return self.example.outputs(module(*self.example.draw(batch)))

    def inputs(self, batch):
        return self.example.inputs(self.example.draw(batch))


@pytest.fixture(scope="module", params=modules.EXAMPLES)
def converted(request):
    return Converted(modules.EXAMPLES[request.param])


def state_of(module):
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def same_state(module, state):
    """Return whether the state of a module has the same names, types and bits."""
    found = module.state_dict()
    return list(found) == list(state) and all(
        found[name].dtype == state[name].dtype and torch.equal(found[name], state[name]) for name in state
    )


# --- in


@pytest.mark.parametrize("batch", [1, 2, 33])
def test_outputs_are_those_of_the_module(converted, batch):
    outputs = converted.net.forward(converted.rows, converted.inputs(batch))
    assert outputs.dtype == converted.vector.dtype == np.float32
    np.testing.assert_allclose(outputs[0], converted.outputs_of(converted.module, batch), **TOLERANCE)


@pytest.mark.parametrize("batch", [1, 33])
def test_each_row_is_a_module_with_its_parameters(converted, batch):
    outputs = converted.net.forward(converted.rows, converted.inputs(batch))
    expected = [converted.outputs_of(converted.module_of(row), batch) for row in converted.rows]
    assert not np.allclose(expected[0], expected[1], **TOLERANCE)
    np.testing.assert_allclose(outputs, expected, **TOLERANCE)


def test_several_outputs_are_heads(converted):
    outputs = converted.module(*converted.example.draw(1))
    if isinstance(outputs, tuple):
        assert converted.net.heads == {"0": slice(0, 4), "1": slice(4, 5)}
    else:
        assert not converted.net.heads


# --- out


def test_the_way_back_changes_no_bit(converted):
    before = state_of(converted.module)
    assert evoopt.to_torch(converted.net, converted.vector, converted.module) is converted.module
    assert same_state(converted.module, before)


def test_the_way_back_into_a_module_with_other_weights(converted):
    other = converted.example.make(seed=9)
    assert not same_state(other, converted.module.state_dict())
    evoopt.to_torch(converted.net, converted.vector, other)
    assert same_state(other, converted.module.state_dict())


def test_rows_come_back_in_bit_for_bit(converted):
    net, vector = evoopt.from_torch(converted.changed, converted.example.input_shape)
    assert net.spec == converted.net.spec
    np.testing.assert_array_equal(vector, converted.rows[1])


def test_a_module_is_made_of_any_network(converted):
    module = evoopt.to_torch(converted.net, converted.rows[1])
    outputs = module(torch.from_numpy(converted.inputs(5))).detach().numpy()
    np.testing.assert_allclose(outputs, converted.outputs_of(converted.changed, 5), **TOLERANCE)


# --- files


@pytest.mark.parametrize("batch", [1, 5])
def test_onnx(converted, batch, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    evoopt.to_onnx(converted.net, converted.rows[1], tmp_path / "net.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx")
    (outputs,) = session.run(None, {session.get_inputs()[0].name: converted.inputs(batch)})
    np.testing.assert_allclose(outputs, converted.outputs_of(converted.changed, batch), **TOLERANCE)


@pytest.mark.parametrize("batch", [1, 5])
def test_a_file_that_needs_numpy_alone(converted, batch, tmp_path):
    evoopt.to_python(converted.net, converted.rows[1], tmp_path / "net.py")
    spec = importlib.util.spec_from_file_location("net", tmp_path / "net.py")
    spec.loader.exec_module(file := importlib.util.module_from_spec(spec))
    outputs = file.predict(converted.inputs(batch))
    np.testing.assert_allclose(outputs, converted.outputs_of(converted.changed, batch), **TOLERANCE)


def test_safetensors(converted, tmp_path):
    pytest.importorskip("safetensors")
    spec = converted.net.spec
    for row in converted.rows:
        evoopt.save_safetensors(tmp_path / "net", spec.unravel(row), spec)
        tree, again = evoopt.load_safetensors(tmp_path / "net")
        assert again == spec
        np.testing.assert_array_equal(again.ravel(tree), row)
