"""Trained networks in other formats, each as a function like `Network.predict`."""

import runpy

import numpy as np
import pytest
from same_bits import networks, public

import evoopt
from evoopt.networks.recurrent import Recurrent

TOLERANCE = 1e-5


def as_python(net, params, folder):
    """Return the function of a generated file."""
    evoopt.to_python(net, params, folder / "net.py")
    return runpy.run_path(str(folder / "net.py"))["predict"]


def as_onnx(net, params, folder):
    """Return a function that runs an ONNX file by onnxruntime."""
    runtime = pytest.importorskip("onnxruntime")
    evoopt.to_onnx(net, params, folder / "net.onnx")
    session = runtime.InferenceSession(folder / "net.onnx", providers=["CPUExecutionProvider"])

    def predict(*arrays):
        found = session.run(None, dict(zip(("inputs", "state"), arrays, strict=False)))
        return found[0] if len(found) == 1 else tuple(found)

    return predict


def as_torch(net, params, folder):
    """Return a function that calls a module of torch."""
    torch = pytest.importorskip("torch")
    module = evoopt.to_torch(net, params)

    def predict(*arrays):
        with torch.no_grad():
            found = module(*map(torch.from_numpy, arrays))
        return tuple(each.numpy() for each in found) if isinstance(found, tuple) else found.numpy()

    return predict


each_format = pytest.mark.parametrize(
    "deploy",
    [
        as_python,
        pytest.param(as_onnx, marks=pytest.mark.frameworks),
        pytest.param(as_torch, marks=pytest.mark.frameworks),
    ],
    ids=["python", "onnx", "torch"],
)


def takes_state(net):
    """Return whether a recurrent layer takes one time step a call."""
    recurrent = [node for node in net.nodes if isinstance(node.layer, Recurrent)]
    return any(len(node.input_shape) == 1 for node in recurrent)


def check(deploy, net, params, folder, batches=(1, 3)):
    """Require that a deployed network has the outputs of `Network.predict`."""
    predict = deploy(net, params, folder)
    for batch in batches:
        arrays = [networks.inputs_for(net, networks.numbers((batch, *net.input_shape))).astype(np.float32)]
        if takes_state(net):
            arrays.append(networks.numbers((batch, net.state_size), 5).astype(np.float32))
        expected, found = net.predict(params, *arrays), predict(*arrays)
        assert type(found) is type(expected)
        pairs = zip(found, expected, strict=True) if isinstance(found, tuple) else [(found, expected)]
        for one, other in pairs:
            assert one.dtype == np.float32
            assert one.shape == other.shape
            assert np.abs(one - other).max() <= TOLERANCE * max(1, np.abs(other).max())


def cases_of(cls):
    """Yield networks with a layer of a class: plain, and with each other value of its options."""
    for shape in networks.SHAPES:
        options = [{name: value} for name in public.options(cls) for value in networks.VALUES.get(name, ())]
        for given in ({}, *options):
            layers = networks.make(cls, shape, **given)
            if layers is not None:
                yield evoopt.Network(layers, shape)
