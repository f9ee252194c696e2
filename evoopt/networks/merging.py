"""Layers that merge several values into one: sum, product, concatenation."""

import math
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from evoopt.devices.interface.network import Operation
from evoopt.networks.activations import ActivationLike, activation_operations, read_activation
from evoopt.networks.layers import Layer, NamedLayer
from evoopt.types import Shape


class Merge(Layer):
    """The base of layers that take several sources."""

    @abstractmethod
    def merged_shape(self, shapes: Sequence[Shape]) -> Shape:
        """Return the shape of the output, from the shapes of at least two sources."""

    @abstractmethod
    def merge(self, shapes: Sequence[Shape]) -> Iterator[Operation]:
        """Return the operations in order."""

    def output_shape(self, input_shape: Shape) -> Shape:
        name = type(self).__name__
        raise ValueError(
            f"{name} takes the outputs of several layers; give it sources in a Graph, or take Residual or "
            "Parallel."
        )


@dataclass(frozen=True)
class _Elementwise(NamedLayer, Merge):
    activation: ActivationLike = "linear"

    operation: ClassVar[str]

    def __post_init__(self) -> None:
        object.__setattr__(self, "activation", read_activation(self.activation))

    def merged_shape(self, shapes: Sequence[Shape]) -> Shape:
        if len(shapes) < 2:
            self.output_shape(shapes[0])
        if len({*shapes}) != 1:
            raise ValueError(
                f"The sources of {type(self).__name__} must have the same shape, got "
                f"{', '.join(map(str, shapes))}."
            )
        return shapes[0]

    def merge(self, shapes: Sequence[Shape]) -> Iterator[Operation]:
        features = math.prod(shapes[0])
        for source in range(1, len(shapes)):
            yield Operation(self.operation, features, features, source=source)
        yield from activation_operations(self.activation, features, shapes[0][-1])


class Add(_Elementwise):
    """The sum of several sources of one shape: ``activation(a + b + ...)``.

    Parameters
    ----------
    activation : str, tuple or njit function
        As for `Dense`.

    Raises
    ------
    ValueError
        For an unknown activation, or sources of different shapes.

    Examples
    --------
    >>> import evoopt
    >>> nodes = {"a": (evoopt.Dense(3), "input"), "sum": (evoopt.Add("relu"), ("a", "input"))}
    >>> evoopt.Network([evoopt.Graph(nodes)], input_shape=(3,)).output_shape
    (3,)
    """

    kind: ClassVar[str] = "add"
    operation: ClassVar[str] = "add"


class Multiply(_Elementwise):
    """The product of several sources of one shape, number by number: ``activation(a * b * ...)``.

    Parameters
    ----------
    activation : str, tuple or njit function
        As for `Dense`.

    Raises
    ------
    ValueError
        As of `Add`.

    Examples
    --------
    >>> import evoopt
    >>> nodes = {"gate": (evoopt.Dense(3, "sigmoid"), "input")}
    >>> nodes["gated"] = (evoopt.Multiply(), ("gate", "input"))
    >>> evoopt.Network([evoopt.Graph(nodes)], input_shape=(3,)).output_shape
    (3,)
    """

    kind: ClassVar[str] = "multiply"
    operation: ClassVar[str] = "multiply"


@dataclass(frozen=True)
class Concat(NamedLayer, Merge):
    """The concatenation of several sources along their last axis; the other axes are equal.

    Raises
    ------
    ValueError
        For sources that differ in another axis than the last.

    Examples
    --------
    >>> import evoopt
    >>> nodes = {"a": (evoopt.Dense(4), "input"), "both": (evoopt.Concat(), ("a", "input"))}
    >>> evoopt.Network([evoopt.Graph(nodes)], input_shape=(3,)).output_shape
    (7,)
    """

    kind: ClassVar[str] = "concat"

    def merged_shape(self, shapes: Sequence[Shape]) -> Shape:
        if len(shapes) < 2:
            self.output_shape(shapes[0])
        if len({shape[:-1] for shape in shapes}) != 1:
            raise ValueError(
                "The sources of Concat must have the same shape but for the last axis, got "
                f"{', '.join(map(str, shapes))}; a Flatten before it joins all axes."
            )
        return (*shapes[0][:-1], sum(shape[-1] for shape in shapes))

    def merge(self, shapes: Sequence[Shape]) -> Iterator[Operation]:
        *axes, channels = self.merged_shape(shapes)
        places, first = math.prod(axes), 0
        for source, (*_, own) in enumerate(shapes):
            yield Operation(
                "insert" if source else "slice",
                places * own,
                places * channels,
                sizes=(places, own, own, 0, channels, first),
                source=source,
            )
            first += own


MERGES = {"concat": Concat, "add": Add, "multiply": Multiply}
