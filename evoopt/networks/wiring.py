"""Nodes: the layers of a network in the order of computation, each with the sources of its inputs.

A composite layer, such as Residual, puts its own layers into the nodes.
"""

import itertools
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import ClassVar, NamedTuple, TypeVar

from evoopt.devices.interface.network import Location, Operation
from evoopt.networks.checks import check_name, check_output_shape, check_parameters
from evoopt.networks.layers import Layer, Parameter
from evoopt.networks.merging import Concat, Merge
from evoopt.types import Shape

_Source = TypeVar("_Source")


class Node(NamedTuple):
    """A layer in its place: its name, and the values that it takes and makes.

    Value 0 is the network's input, and value k + 1 the output of node k. Two nodes of one name
    share their parameters.
    """

    name: str
    layer: Layer
    sources: tuple[int, ...]
    input_shapes: tuple[Shape, ...]
    output_shape: Shape

    @property
    def input_shape(self) -> Shape:
        """Return the shape of the first source."""
        return self.input_shapes[0]

    def parameters(self) -> dict[str, Parameter]:
        """Return the layer's parameters by name."""
        return self.layer.parameters(self.input_shape)

    def operations(self, locations: Mapping[str, Location]) -> Iterator[Operation]:
        """Return the layer's operations, with the places of its parameters."""
        if isinstance(self.layer, Merge):
            return self.layer.merge(self.input_shapes)
        return self.layer.operations(self.input_shape, locations)


class Wiring:
    """The nodes of a network while its layers are put in, one after the other."""

    def __init__(self, input_shape: Shape) -> None:
        self.nodes: tuple[Node, ...] = ()
        self.heads: dict[str, slice] = {}  # the named parts of the last node's output
        self._input_shape = input_shape

    def shape(self, value: int) -> Shape:
        """Return the shape of a value."""
        return self.nodes[value - 1].output_shape if value else self._input_shape

    def chain(self, layers: Iterable[Layer], source: int, prefix: str = "") -> int:
        """Put in layers, each on the output of the one before it; return the last value."""
        counts: Counter[str] = Counter()
        for layer in layers:
            name = f"{layer.kind}_{counts[layer.kind]}" if layer.name is None else check_name(layer.name)
            counts[layer.kind] += 1
            bare = layer.name is None and isinstance(layer, Composite) and not layer.prefixes
            source = self.put(prefix if bare else join(prefix, name), layer, (source,))
        return source

    def put(self, name: str, layer: Layer, sources: Sequence[int], *, again: bool = False) -> int:
        """Put in a layer, or `again` the one of this name; return its value."""
        if isinstance(layer, Composite):
            return layer.wire(self, name, _only(layer, sources))
        known = next((node for node in self.nodes if node.name == name), None)
        if known is not None and not again:
            raise ValueError(f"Layers must have different names, got two of {name!r}; pass another name=.")
        shapes = tuple(map(self.shape, sources))
        output = check_output_shape(layer, _output_shape(layer, shapes))
        node = Node(name, layer, tuple(sources), shapes, output)
        check_parameters(node.name, layer, node.parameters(), output)
        if known is not None and node.parameters() != known.parameters():
            raise ValueError(
                f"The layer {name!r} must have the same parameters when it is used again, got inputs of "
                f"{known.input_shape} and then of {node.input_shape}."
            )
        self.nodes, self.heads = (*self.nodes, node), {}
        return len(self.nodes)

    def concatenate(self, name: str, values: Mapping[str, int]) -> int:
        """Put in the concatenation of named values, which become heads; return its value."""
        first, *others = values.values()
        whole = self.put(name, Concat(), (first, *others)) if others else first
        ends = [0, *itertools.accumulate(self.shape(value)[-1] for value in values.values())]
        self.heads = dict(zip(values, itertools.starmap(slice, itertools.pairwise(ends)), strict=True))
        return whole


class Composite(Layer):
    """The base of layers that have layers in them.

    Attributes
    ----------
    prefixes : bool
        Whether the names of the layers begin with the composite's, even if it has no name=.
    """

    prefixes: ClassVar[bool] = True

    @abstractmethod
    def wire(self, wiring: Wiring, name: str, source: int) -> int:
        """Put the layers into the nodes; return the value of the output."""

    def output_shape(self, input_shape: Shape) -> Shape:
        wiring = Wiring(input_shape)
        return wiring.shape(self.wire(wiring, "", 0))


def join(prefix: str, name: str) -> str:
    """Return a name within another one."""
    return f"{prefix}.{name}" if prefix else name


def _only(layer: Layer, sources: Sequence[_Source]) -> _Source:
    if len(sources) != 1:
        raise ValueError(
            f"{type(layer).__name__} takes one source, got {len(sources)}; merge them by Add, Multiply or "
            "Concat."
        )
    return sources[0]


def _output_shape(layer: Layer, shapes: Sequence[Shape]) -> Shape:
    return (
        layer.merged_shape(shapes) if isinstance(layer, Merge) else layer.output_shape(_only(layer, shapes))
    )
