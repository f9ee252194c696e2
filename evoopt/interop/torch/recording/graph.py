"""The graph of layers while it is recorded."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from evoopt.interop.torch.recording.signals import Facts, UnsupportedError, learn
from evoopt.interop.torch.recording.values import Value, moves
from evoopt.interop.torch.recording.weights import Part, Weights
from evoopt.networks.graph import INPUT
from evoopt.networks.layers import Activation, Layer
from evoopt.networks.merging import Add, Concat, Merge, Multiply
from evoopt.networks.normalization import Rescaling
from evoopt.networks.shaping import Flatten, Permute, Reshape
from evoopt.types import Shape


def changed(layer: Layer, **options: Any) -> Layer:
    """Return a layer with other values of some options."""
    found: Layer = replace(cast(Any, layer), **options)
    return found


RESERVED = (INPUT, "heads")  # names that a Graph uses itself


@dataclass
class Node:
    """A layer, the nodes that it takes, and the shape of its output."""

    layer: Layer
    sources: tuple[str, ...]
    shape: Shape
    of: str | None = None  # the node whose layer this is once more


@dataclass
class GraphBuilder:
    """The nodes so far, by their names, and the weights of their layers."""

    input_shape: Shape
    weights: Weights
    reserved: frozenset[str]  # names of modules, which nodes without weights do not take
    facts: Facts
    inputs: dict[str, int] = field(default_factory=dict)  # the number of each node that is an input
    nodes: dict[str, Node] = field(default_factory=dict)
    _made: dict[tuple[Layer, tuple[str, ...]], str] = field(default_factory=dict)
    _counts: Counter[str] = field(default_factory=Counter)

    def shape(self, node: str) -> Shape:
        """Return the shape of a node's output."""
        return self.input_shape if node == INPUT else self.nodes[node].shape

    def put(self, layer: Layer, *sources: str) -> str:
        """Return the node of a layer without weights, which is added unless it is there."""
        key = layer, sources
        if key not in self._made:
            self._made[key] = self._add(self._free(layer.kind), layer, sources)
        return self._made[key]

    def weigh(self, layer: Layer, source: str, parts: Sequence[Part], name: str = "") -> str:
        """Add a node whose parameters are tensors; the same ones again share the parameters."""
        shared = self.weights.find(layer, parts)
        if shared is not None:
            return self._add(self._free(shared), layer, (source,), shared)
        name = name or self.weights.owner(parts)
        if not name or name in RESERVED or name in self.nodes:
            name = self._free(name or layer.kind)
        self._add(name, layer, (source,))
        self.weights.take(name, layer, parts)
        return name

    def _add(self, name: str, layer: Layer, sources: tuple[str, ...], of: str | None = None) -> str:
        shapes = [self.shape(source) for source in sources]
        shape = layer.merged_shape(shapes) if isinstance(layer, Merge) else layer.output_shape(shapes[0])
        self.nodes[name] = Node(layer, sources, shape, of)
        return name

    def _free(self, stem: str) -> str:
        """Return a name that no node and no module has."""
        while True:
            name = f"{stem}_{self._counts[stem]}"
            self._counts[stem] += 1
            if name not in self.reserved and name not in self.nodes:
                return name

    def apply(self, layer: Layer, x: Value) -> Value:
        """Add a layer that takes numbers one by one."""
        return x.at(self.put(layer, x.node))

    def shaped(self, node: str, shape: Shape) -> str:
        """Return a node with the numbers of another one, row-major, in this shape."""
        while node in self.nodes and isinstance(self.nodes[node].layer, Reshape | Flatten):
            (node,) = self.nodes[node].sources
        if self.shape(node) == shape:
            return node
        return self.put(Flatten() if len(shape) == 1 else Reshape(shape), node)

    def laid(self, x: Value, order: tuple[int, ...] | None = None) -> str:
        """Return a node that holds a tensor with its axes in this order, by default as they are."""
        if x.order is None:  # it was reshaped
            x = Value.plain(self.laid(Value(x.node, x.stored, x.axes, x.whole)), x.shape)
        order = tuple(range(len(x.shape))) if order is None else order
        axes, node = tuple(x.axes[axis] for axis in order), x.node
        if moves(x.stored, axes):
            node = self.put(Permute(axes), self.shaped(node, x.stored))
        return self.shaped(node, tuple(x.shape[axis] for axis in order) or (1,))

    def channels_last(self, x: Value, axes: int) -> str:
        """Return a node that holds an image, or a sequence, with its channels last.

        An input of two axes then comes with its channels last: the recording begins anew.
        """
        if len(x.shape) != axes + 1:
            raise UnsupportedError(f"it must have {axes + 2} axes with the batch, got {len(x.shape) + 1}")
        number = self.origin(x.node, (Activation, Rescaling))
        if number is not None and x.axes == (0, 1):
            learn(number, self.facts.channels)
        return self.laid(x, (*range(1, axes + 1), 0))

    def origin(self, node: str, through: tuple[type[Layer], ...]) -> int | None:
        """Return the input that a node has its numbers of, if only these layers lie between."""
        while node not in self.inputs:
            if node not in self.nodes or not isinstance(self.nodes[node].layer, through):
                return None
            node = self.nodes[node].sources[0]
        return self.inputs[node]

    def merge(self, layer: Add | Multiply, x: Value, y: Value) -> Value:
        """Merge two tensors of one shape."""
        order = x.order or y.order
        node = self.put(layer, self.laid(x, order), self.laid(y, order))
        order = tuple(range(len(x.shape))) if order is None else order
        return Value.ordered(node, order, x.shape, y.channels if x.channels is None else x.channels)

    def concatenate(self, values: Sequence[Value], axis: int) -> Value:
        """Join tensors along an axis."""
        order = values[0].last(axis)
        node = self.put(Concat(), *(self.laid(value, order) for value in values))
        shape = list(values[0].shape)
        shape[axis] = sum(value.shape[axis] for value in values)
        return Value.ordered(node, order, tuple(shape), values[0].channels)
