"""CUDA's steps: by kind of operation, how it joins the dense layers that kernels are specialised for."""

from collections.abc import Callable, Iterable

from evoopt.devices.interface.network import LayerDescription, Location, Operation
from evoopt.kernels.cuda.networks.dense import NONE, DenseLayer


def _dense(before: DenseLayer | None, operation: Operation) -> DenseLayer:
    if before is not None:
        raise LookupError("a layer begins with its product")
    _, inputs, units = operation.sizes
    kernel, bias = operation.parameters
    return DenseLayer(inputs, units, *_place(kernel), *_place(bias), "linear")


def _place(location: Location | None) -> tuple[int, bool]:
    return (NONE, False) if location is None else (location.offset, location.frozen)


def _elementwise(before: DenseLayer | None, operation: Operation) -> DenseLayer:
    if before is None or before.activation != "linear":
        raise LookupError("one activation follows a product")
    return before._replace(activation=operation.function)


def _softmax(before: DenseLayer | None, operation: Operation) -> DenseLayer:
    return _elementwise(before, operation._replace(function="softmax"))


# The operations of a layer are one function of the device: each takes what those before it made, None at
# first, and raises LookupError where it cannot follow.
STEPS: dict[str, Callable[[DenseLayer | None, Operation], DenseLayer]] = {
    "dense": _dense,
    "elementwise": _elementwise,
    "softmax": _softmax,
}


def dense_layers(layers: Iterable[LayerDescription]) -> tuple[DenseLayer, ...]:
    """Return layers as kernels take them; ValueError for one whose operations CUDA does not have."""
    return tuple(map(_dense_layer, layers))


def _dense_layer(layer: LayerDescription) -> DenseLayer:
    found = None
    try:
        for operation in layer.operations:
            found = STEPS[operation.kind](found, operation)
    except LookupError:
        found = None
    if found is None or len(layer.input_shape) != 1:
        raise ValueError(
            f'A network with device="cuda" takes Dense layers of inputs with one axis, but {layer.name} is '
            f"{layer.layer!r} of inputs {layer.input_shape}; leave out device, or take other layers."
        )
    return found
