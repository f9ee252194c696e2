"""Files of `to_python`: they need NumPy alone, and can be read."""

import ast
import inspect
import runpy

import numpy as np
import pytest
from helpers.deploying import as_python
from same_bits import networks

import evoopt
from evoopt import GRU, Dense, LayerNorm, Network, Parallel
from evoopt.interop.python import formulas, layers
from evoopt.interop.python.layers import ACTIVATIONS
from evoopt.interop.python.text import FORMULAS

HEADS = [Dense(5, "tanh"), Parallel([Dense(4)], [Dense(1)], names=("policy", 'the "value"'))]
MEMORY = [GRU(4), LayerNorm(), Dense(2, ("leaky_relu", 0.3))]


def written(layers, shape, folder):
    """Return a network, its weights and the text of its file."""
    net = Network(layers, shape)
    row = networks.population(net, "float32")[0]
    evoopt.to_python(net, row, folder / "net.py")
    return net, row, (folder / "net.py").read_text()


def test_a_file_needs_numpy_alone(run_python, tmp_path):
    net, row, _ = written(HEADS, (3,), tmp_path)
    inputs = networks.numbers((2, 3)).astype(np.float32)
    np.save(tmp_path / "inputs.npy", inputs)
    run_python(
        """
import sys
import numpy as np
sys.modules |= dict.fromkeys(("evoopt", "numba", "scipy", "torch", "onnx"))  # cannot be imported
sys.path.insert(0, ".")
import net
np.save("outputs.npy", net.predict(np.load("inputs.npy")))
""",
        cwd=tmp_path,
    )
    np.testing.assert_allclose(np.load(tmp_path / "outputs.npy"), net.predict(row, inputs), 1e-5, 1e-6)


def test_a_file_says_how_to_call_it(tmp_path):
    _, _, text = written(HEADS, (3,), tmp_path)
    assert text.startswith('"""A trained network that needs NumPy 1.20 or newer, and nothing else;')
    assert "\n    outputs = predict(inputs)\n\ninputs: (batch, 3)\noutputs: (batch, 5);" in text
    assert '\n    x1 = tanh(dense(x0, **WEIGHTS["dense_0"]))\n' in text
    _, _, text = written(MEMORY, (3,), tmp_path)
    assert "\n    outputs, state = predict(inputs, state)\n" in text
    assert "\nstate: (batch, 4), zeros at first\n" in text
    assert '\n    x3 = leaky_relu(dense(x2, **WEIGHTS["dense_0"]), 0.3)\n' in text


@pytest.mark.parametrize(("net", "names"), [(HEADS, {"dense", "tanh"}), (MEMORY, {"gru", "sigmoid"})])
def test_a_file_has_the_formulas_that_it_needs(net, names, tmp_path):
    _, _, text = written(net, (3,), tmp_path)
    tree = ast.parse(text, feature_version=(3, 7))  # as old as NumPy 1.20
    defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert names <= defined
    called = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert defined - called == {"predict"}


def test_files_have_the_bits_of_weights_and_the_heads(tmp_path):
    net, row, _ = written(HEADS, (3,), tmp_path)
    found = runpy.run_path(str(tmp_path / "net.py"))
    assert found["HEADS"] == net.heads
    weights = {f"{name}.{key}": array for name, own in found["WEIGHTS"].items() for key, array in own.items()}
    expected = net.spec.flat(net.spec.unravel(row))
    assert weights.keys() == expected.keys()
    assert all(np.array_equal(weights[name], array) for name, array in expected.items())


def test_wrong_shapes_are_refused(tmp_path):
    net = Network(MEMORY, (3,))
    predict = as_python(net, net.init(0), tmp_path)
    state = np.zeros((2, 4))
    for inputs in (np.zeros(3), np.zeros((2, 4)), np.zeros((2, 1, 3))):
        with pytest.raises(ValueError, match=r"^inputs must have the shape \(batch, 3\), got \(.*\)\.$"):
            predict(inputs, state)
    with pytest.raises(ValueError, match=r"^state must have the shape \(batch, 4\), got \(2, 3\)\.$"):
        predict(np.zeros((2, 3)), np.zeros((2, 3)))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_large_numbers_have_no_overflow(activation, tmp_path):
    net = Network([Dense(2, activation, use_bias=False)], (2,))
    params, inputs = np.eye(2).reshape(-1), np.array([[-1e3, 1e3], [-88.0, 88.0]], np.float32)
    outputs = as_python(net, params, tmp_path)(inputs)
    np.testing.assert_allclose(outputs, net.predict(params.astype(np.float32), inputs), 1e-5, 1e-5)


def test_each_formula_is_in_some_file():
    called = {node.id for node in nodes_of(formulas) if isinstance(node, ast.Name)}
    called |= {node.attr for node in nodes_of(layers) if isinstance(node, ast.Attribute)}
    assert FORMULAS.keys() - called == {"as_samples", "decoded"}  # which every file has


def nodes_of(module):
    return ast.walk(ast.parse(inspect.getsource(module)))
