"""A trained network as the writers of other formats see it: nodes in order, with their weights."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evoopt.networks.layers import Layer
from evoopt.networks.network import Network
from evoopt.networks.recurrent import Recurrent
from evoopt.networks.shaping import Permute, Slice
from evoopt.types import Shape

Weights = dict[str, NDArray[np.float32]]
L_co = TypeVar("L_co", bound=Layer, covariant=True)


class TrainedNode(NamedTuple, Generic[L_co]):
    """A layer at its place in a network, with its weights by the names of its parameters."""

    name: str
    layer: L_co
    sources: tuple[int, ...]  # 0 is the network's input, k + 1 the output of the node k
    input_shapes: tuple[Shape, ...]
    output_shape: Shape
    weights: Weights
    state: slice | None  # the columns of its state; None if this starts from zeros at each call

    @property
    def input_shape(self) -> Shape:
        """Return the shape of one sample of its first source."""
        return self.input_shapes[0]

    @property
    def activation(self) -> tuple[Any, ...]:
        """Return the name of the activation of its outputs, and the numbers that go with it."""
        if isinstance(self.layer, Recurrent):  # has its activations inside
            return ("linear",)
        found = getattr(self.layer, "activation", "linear")
        return found if isinstance(found, tuple) else (found,)


@dataclass(frozen=True)
class Trained:
    """A network and one solution.

    The state of a network goes in and out where a recurrent layer takes one time step a call.
    """

    nodes: tuple[TrainedNode[Any], ...]
    input_shape: Shape
    output_shape: Shape
    heads: dict[str, slice]
    state_size: int  # 0 if no state goes in and out


def read_trained(
    net: Network, params: Mapping[str, Any] | ArrayLike, call: str, known: Collection[type[Layer]]
) -> Trained:
    """Read the arguments of a function that writes a network.

    Raise ValueError for anything but a network, for parameters that are not its own, and for layers
    that are not `known` or have an activation of the user's own.
    """
    if not isinstance(net, Network):
        raise ValueError(f"net must be an evoopt.Network, of layers, got a {type(net).__name__}.")
    nodes = tuple(_nodes(net, net.as_vector(params)))
    for node in nodes:
        _require_known(node, call, known)
    steps = any(len(node.input_shape) == 1 for node in nodes if isinstance(node.layer, Recurrent))
    state_size = net.state_size if steps else 0
    if not steps:
        nodes = tuple(node._replace(state=None) for node in nodes)
    return Trained(nodes, net.input_shape, net.output_shape, net.heads, state_size)


def _nodes(net: Network, vector: NDArray[Any]) -> Iterator[TrainedNode[Any]]:
    leaves, start = net.spec.flat(net.spec.unravel(vector)), 0
    for node in net.nodes:
        weights = {key: np.array(leaves[f"{node.name}.{key}"], np.float32) for key in node.parameters()}
        size = state_size_of(node.layer)
        yield TrainedNode(*node, weights, slice(start, start + size))
        start += size


def state_size_of(layer: Layer) -> int:
    """Return how many numbers a layer keeps of one sample from call to call."""
    return layer.state_parts * layer.units if isinstance(layer, Recurrent) else 0


def _require_known(node: TrainedNode[Any], call: str, known: Collection[type[Layer]]) -> None:
    if type(node.layer) not in known:
        raise ValueError(
            f'{call} takes layers of evoopt, but the layer "{node.name}" is of the class '
            f"{type(node.layer).__name__}; make it of layers that evoopt has."
        )
    if not isinstance(node.activation[0], str):
        raise ValueError(
            f'{call} takes activations by name, but the layer "{node.name}" has a function of your own; '
            "take one that has a name."
        )


def both_biases(node: TrainedNode[Any]) -> NDArray[np.float32]:
    """Return the biases (2, gates * units) of a recurrent layer: of inputs, of last outputs."""
    n_out = node.weights["kernel"].shape[1]
    biases = np.zeros((2, n_out), np.float32)
    given = node.weights.get("bias", biases).reshape(-1, n_out)
    biases[: len(given)] = given
    return biases


def reordered(array: NDArray[np.float32], gates: tuple[int, ...]) -> NDArray[np.float32]:
    """Return an array whose last axis has its gates in another order."""
    parts = np.split(array, len(gates), axis=-1)
    return np.concatenate([parts[gate] for gate in gates], axis=-1)


def axis_of(node: TrainedNode[Slice]) -> int:
    """Return the axis of a slice, where the batch is axis 0."""
    axis = node.layer.axis
    return len(node.input_shape) if axis == -1 else axis + 1


def permutation_of(node: TrainedNode[Permute]) -> tuple[int, ...]:
    """Return the axes in the order of the output, where the batch is axis 0."""
    return (0, *(axis + 1 for axis in node.layer.axes))
