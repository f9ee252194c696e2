"""Every kind of operation in layers has a row in each device's table, or is refused there.

Every layer and activation has a definition in reference.py.
"""

import re

import numba
import pytest
import reference
from helpers import ROOT
from same_bits import networks, public

import evoopt
from evoopt.devices.cpu import operations as cpu
from evoopt.kernels.cpu.networks.code import OperationCode
from evoopt.kernels.cpu.networks.program import N_SIZES
from evoopt.networks.wiring import Composite
from evoopt.rules.math import ELEMENTWISE, NUMBERS


@numba.njit
def doubled(x):
    return x + x


@numba.njit
def copied(x, y):
    y[:] = x


class Copy(evoopt.Layer):
    """A user's layer."""

    def function(self, input_shape):
        return copied


WITH_NUMBERS = [("leaky_relu", 0.2), ("elu", 0.5), ("hardtanh", 0.0, 6.0)]
LAYERS = [
    *((networks.make(cls, shape), shape) for cls in public.layers() for shape in networks.SHAPES),
    *(([evoopt.Dense(3, word)], (4,)) for word in public.words(lambda word: evoopt.Dense(1, word))),
    *(([evoopt.RNN(3, word)], (4,)) for word in public.words(lambda word: evoopt.RNN(1, word))),
    *(([evoopt.Dense(3, activation)], (4,)) for activation in WITH_NUMBERS),
    ([evoopt.Dense(3, doubled), evoopt.Dense(2, use_bias=False)], (4,)),
    ([evoopt.Dense(3), Copy()], (4,)),
    ([evoopt.Dense(3)], (4, 1)),
    ([evoopt.Dense(3)], (1, 4)),
]
NETWORKS = [evoopt.Network(*each) for each in LAYERS if each[0] is not None]


def operations():
    return [operation for net in NETWORKS for operation in net.engine("cpu").description.operations]


def test_the_cpu_has_each_kind_and_no_other():
    assert {operation.kind for operation in operations()} == cpu.OPERATIONS.keys()
    for operation in operations():
        compiled = cpu.OPERATIONS[operation.kind](operation)
        assert isinstance(compiled.tiles, OperationCode)
        assert len(compiled.columns) <= N_SIZES


@pytest.mark.parametrize("net", NETWORKS, ids=range(len(NETWORKS)))
def test_cuda_has_layers_of_its_kinds_and_refuses_the_others(net):
    pytest.importorskip("numba_cuda", reason="the package numba-cuda is not installed")
    from evoopt.devices.cuda import operations as cuda

    layers = net.engine("cpu").description.layers
    kinds = {layer.operations[0].kind if layer.operations else None for layer in layers}
    following = [operation for layer in layers for operation in layer.operations[1:]]
    activates = {each.kind for each in following} <= cuda.ACTIVATIONS.keys()
    has_numbers = any(operation.numbers for operation in following)
    takes = kinds <= cuda.OPERATIONS.keys() and activates and not has_numbers
    if takes and len(net.input_shape) == 1:
        found = cuda.kernel_layers(layers)
        first = [layer.operations[0] for layer in layers]
        expected = [(operation.kind, operation.inputs, operation.outputs) for operation in first]
        assert [(layer.kind, layer.inputs, layer.units) for layer in found] == expected
        assert [layer.activation for layer in found] == [
            getattr(node.layer, "activation", "linear") for node in net.nodes
        ]
    else:
        with pytest.raises(
            ValueError, match=r"^layers must be Dense, with inputs of one axis, .*, got .*\.$"
        ):
            cuda.kernel_layers(layers)


def test_each_name_takes_its_numbers():
    assert {name: len(numbers) for name, *numbers in WITH_NUMBERS} == {
        name: len(numbers) for name, numbers in NUMBERS.items()
    }


def test_each_activation_is_defined_and_documented():
    known = {"linear", *ELEMENTWISE, "softmax", "log_softmax"}
    assert known == reference.ACTIVATIONS.keys()
    documented = evoopt.Dense.__doc__.partition("activation : ")[2].partition("use_bias : ")[0]
    assert known == set(re.findall(r'"(\w+)"', documented))
    page = (ROOT / "docs" / "reference" / "layers.md").read_text()
    table = page.partition("| activation |")[2].partition("\n\n")[0]
    assert known == set(re.findall(r'"(\w+)"', table))


def last_classes(base):
    """Return the classes of evoopt that are derived from a base, and are no base themselves."""
    derived = [cls for cls in base.__subclasses__() if cls.__module__.startswith("evoopt.")]
    return set().union(*map(last_classes, derived)) if derived else {base}


def test_each_layer_is_public():
    assert last_classes(evoopt.Layer) == {*public.layers()}


def test_layers_on_cuda_are_described():
    pytest.importorskip("numba_cuda", reason="the package numba-cuda is not installed")
    from evoopt.devices.cuda import operations as cuda

    def is_taken(layers):
        try:
            cuda.kernel_layers(evoopt.Network(layers, (7,)).engine("cpu").description.layers)
        except ValueError:
            return False
        return True

    made = {cls.__name__: networks.make(cls, (7,)) for cls in public.layers()}
    page = (ROOT / "docs" / "reference" / "cuda.md").read_text()
    (row,) = re.findall(r"^\| `Network` \| (.*)", page, re.MULTILINE)
    assert {*re.findall(r"`(\w+)`", row)} == {
        name for name, layers in made.items() if layers and is_taken(layers)
    }


@pytest.mark.parametrize("cls", public.layers())
def test_each_layer_is_defined_and_documented(cls):
    defined = cls.kind in reference.LAYERS or hasattr(reference, cls.kind)
    assert defined or issubclass(cls, Composite)  # (which tests/test_graphs.py defines)
    pages = [(ROOT / "docs" / "reference" / name).read_text() for name in ("layers.md", "recurrent.md")]
    assert re.search(rf"^\|.*`{cls.__name__}\b", "\n".join(pages), re.MULTILINE), "no row of a table"
