"""CUDA's operations: for each kind, the layer that kernels are specialised for."""

from collections.abc import Callable, Iterable, Sequence

from evoopt.devices.interface.network import LayerDescription, Location, Operation
from evoopt.kernels.cuda.networks.activation import Activation
from evoopt.kernels.cuda.networks.dense import NONE, DenseLayer
from evoopt.kernels.cuda.networks.layer import KernelLayer


def _dense(operation: Operation, activation: Activation) -> DenseLayer:
    _, inputs, units = operation.sizes
    kernel, bias = operation.parameters
    return DenseLayer(inputs, units, *_place(kernel), *_place(bias), activation)


def _place(location: Location | None) -> tuple[int, bool]:
    return (NONE, False) if location is None else (location.offset, location.frozen)


def _elementwise(operation: Operation) -> Activation:
    if operation.numbers:
        raise LookupError("an activation without numbers")
    return operation.function


# A layer has one operation of these kinds, and at most one activation after it.
OPERATIONS: dict[str, Callable[[Operation, Activation], KernelLayer]] = {"dense": _dense}
ACTIVATIONS: dict[str, Callable[[Operation], Activation]] = {
    "elementwise": _elementwise,
    "softmax": lambda operation: "softmax",
}


def kernel_layers(layers: Iterable[LayerDescription]) -> tuple[KernelLayer, ...]:
    """Return the layers of kernels; raise ValueError for a layer that CUDA does not have.

    Layers with one source each are one after the other, because each leads to the output.
    """
    return tuple(map(_kernel_layer, layers))


def _kernel_layer(layer: LayerDescription) -> KernelLayer:
    try:
        return _layer_of(layer.operations, len(layer.input_shape))
    except LookupError:
        raise ValueError(
            "layers must be Dense, with inputs of one axis, and activations without numbers but "
            f'log_softmax, with device="cuda", got {layer.layer!r} of inputs {layer.input_shape} as '
            f"{layer.name}; leave out device, or take other layers."
        ) from None


def _layer_of(operations: Sequence[Operation], axes: int) -> KernelLayer:
    """Return the layer of some operations; raise LookupError if CUDA has none."""
    if axes != 1 or len(operations) > 2:
        raise LookupError("one operation with one activation, of inputs with one axis")
    activation: Activation = "linear"
    for following in operations[1:]:
        activation = ACTIVATIONS[following.kind](following)
    return OPERATIONS[operations[0].kind](operations[0], activation)
