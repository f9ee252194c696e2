"""Graphs of other formats, and the two orders of axes of their images.

Channels are last in evoopt, and first in torch and ONNX. A row of a table of layers says which
order the layer takes. A value is permuted where the next layer needs the other order, so that
images stay as they are between convolutions.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, Protocol, TypeVar

from evoopt.interop.trained import Trained, TrainedNode
from evoopt.networks.activations import OVER_CHANNELS
from evoopt.networks.layers import Layer

T = TypeVar("T")
Order = Literal["last", "first"]  # the place of the channels


class Graph(Protocol[T]):
    """A graph while it is being written; T is a value in it."""

    def permute(self, x: T, axes: tuple[int, ...]) -> T:
        """Return x with its axes in another order, as `numpy.transpose`."""


@dataclass
class Value(Generic[T]):
    """A value in one order of axes, or in both; one sample has so many `axes`."""

    axes: int
    orders: dict[Order, T] = field(default_factory=dict)

    def ordered(self, graph: Graph[T], order: Order) -> T:
        """Return the value in an order."""
        if order not in self.orders:
            (x,) = self.orders.values()
            last, first = (0, *range(2, self.axes + 1), 1), (0, self.axes, *range(1, self.axes))
            axes = last if order == "last" else first
            self.orders[order] = x if self.axes == 1 else graph.permute(x, axes)
        return self.orders[order]


Write = Callable[..., T]  # (graph, node, *values) -> value
Row = Callable[..., Value[T]]  # the same of a `Value`
Activate = Callable[..., T]  # (graph, x, *numbers) -> value; one of OVER_CHANNELS is over the last axis


def channels_last(write: Write[T]) -> Row[T]:
    """Return the row of a layer that takes and returns channels in the last axis."""
    return _in_order(write, lambda values: "last")


def channels_first(write: Write[T]) -> Row[T]:
    """Return the row of a layer that takes and returns channels in the first axis of a sample."""
    return _in_order(write, lambda values: "first")


def either(write: Write[T]) -> Row[T]:
    """Return the row of a layer that takes and returns any order, the same for all its sources."""
    return _in_order(write, _common)


def _common(values: tuple[Value[T], ...]) -> Order:
    """Return the order that all values have, or else the one of images within a network."""
    return "last" if all("last" in value.orders for value in values) else "first"


def _in_order(write: Write[T], choose: Callable[[tuple[Value[T], ...]], Order]) -> Row[T]:
    def row(graph: Graph[T], node: TrainedNode[Any], *values: Value[T]) -> Value[T]:
        order = choose(values)
        y = write(graph, node, *(value.ordered(graph, order) for value in values))
        return Value(len(node.output_shape), {order: y})

    return row


def write_nodes(
    graph: Graph[T],
    trained: Trained,
    rows: Mapping[type[Layer], Row[T]],
    activations: Mapping[str, Activate[T]],
    x: T,
) -> T:
    """Write the nodes of a network whose input is x, by two tables; return the output."""
    values = [Value(len(trained.input_shape), {"last": x})]
    for node in trained.nodes:
        y = rows[type(node.layer)](graph, node, *(values[source] for source in node.sources))
        values.append(_activated(graph, node, activations, y))
    return values[-1].ordered(graph, "last")


def _activated(
    graph: Graph[T], node: TrainedNode[Any], activations: Mapping[str, Activate[T]], y: Value[T]
) -> Value[T]:
    name, *numbers = node.activation
    in_order = channels_last if name in OVER_CHANNELS else either
    return in_order(lambda graph, node, x: activations[name](graph, x, *numbers))(graph, node, y)
