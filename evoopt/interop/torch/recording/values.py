"""Tensors of a forward pass: in which node of the graph they lie, and in which order."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from evoopt.types import Shape


@dataclass(frozen=True)
class Value:
    """A tensor, as the output of a node that holds its numbers in another order or shape.

    The tensor of one sample is ``output.reshape(stored).transpose(axes).reshape(shape)``. So an
    image (channels, height, width) is stored as (height, width, channels), and moving or joining
    its axes moves no number.

    Attributes
    ----------
    channels : int or None
        The axis that layers of images and sequences know to be the channels.
    """

    node: str
    stored: Shape
    axes: tuple[int, ...]
    shape: Shape
    channels: int | None = None

    @classmethod
    def plain(cls, node: str, shape: Iterable[int]) -> "Value":
        """Return a tensor that is stored as it is."""
        sizes = tuple(shape)
        return cls(node, sizes, tuple(range(len(sizes))), sizes)

    @classmethod
    def ordered(cls, node: str, order: tuple[int, ...], shape: Shape, channels: int | None = None) -> "Value":
        """Return a tensor whose axes are stored in this order."""
        return cls(node, tuple(shape[axis] for axis in order), inverse(order), shape, channels)

    @property
    def whole(self) -> Shape:
        """Return the shape before the last reshape."""
        return tuple(self.stored[axis] for axis in self.axes)

    @property
    def order(self) -> tuple[int, ...] | None:
        """Return the tensor's axes in the order in which they are stored; None after a reshape."""
        return inverse(self.axes) if self.whole == self.shape else None

    @property
    def places(self) -> NDArray[np.intp] | None:
        """Return the place in the tensor of each stored number; None if nothing is moved."""
        if not moves(self.stored, self.axes):
            return None
        return np.arange(math.prod(self.stored)).reshape(self.whole).transpose(inverse(self.axes)).ravel()

    def at(self, node: str) -> "Value":
        """Return the value of another node in the same layout."""
        return replace(self, node=node)

    def reshaped(self, shape: Shape) -> "Value":
        """Return the tensor in another shape, row-major."""
        if shape == self.shape:
            return self
        if not moves(self.stored, self.axes):
            return Value.plain(self.node, shape)
        return self._regrouped(shape) or replace(self, shape=shape, channels=None)

    def permuted(self, order: tuple[int, ...]) -> "Value":
        """Return the tensor with its axes in another order; it must not be reshaped."""
        axes = tuple(self.axes[axis] for axis in order)
        shape = tuple(self.shape[axis] for axis in order)
        channels = None if self.channels is None else order.index(self.channels)
        return Value(self.node, self.stored, axes, shape, channels)

    def last(self, *axes: int) -> tuple[int, ...]:
        """Return all axes in an order with these at the end, near to the stored order."""
        others = [axis for axis in range(len(self.shape)) if axis not in axes]
        if self.order is not None:
            others.sort(key=self.axes.__getitem__)
        return (*others, *axes)

    def _regrouped(self, shape: Shape) -> "Value | None":
        """Return the value of a shape that splits axes, or joins those that are stored together."""
        large = [axis for axis, size in enumerate(self.stored) if size > 1]
        groups: list[tuple[int, list[int]]] = []  # the first stored place, and the new axes
        for old, new in _groups(self.whole, shape):
            places = [large.index(self.axes[axis]) for axis in old if self.whole[axis] > 1]
            if places != [*range(places[0], places[0] + len(places))] if places else False:
                return None
            groups.append((places[0] if places else -1, new))
        order = tuple(axis for _, axes in sorted(groups, key=lambda group: group[0]) for axis in axes)
        return Value.ordered(self.node, order, shape)


def _groups(old: Shape, new: Shape) -> Iterable[tuple[list[int], list[int]]]:
    """Yield axes of two shapes of the same size that a reshape turns into each other."""
    i = j = 0
    while i < len(old) or j < len(new):
        first, second = i, j
        i, j = min(i + 1, len(old)), min(j + 1, len(new))
        while math.prod(old[first:i]) != math.prod(new[second:j]):
            if math.prod(old[first:i]) < math.prod(new[second:j]):
                i += 1
            else:
                j += 1
        yield [*range(first, i)], [*range(second, j)]


def inverse(order: Iterable[int]) -> tuple[int, ...]:
    """Return the permutation that undoes another one."""
    return tuple(int(place) for place in np.argsort([*order]))


def moves(shape: Shape, order: Iterable[int]) -> bool:
    """Return whether a transposition moves numbers: axes of one place do not count."""
    large = [axis for axis in order if shape[axis] > 1]
    return large != sorted(large)


STATES = "of last states a network can take those of one layer, such as h_n[-1]"


@dataclass(frozen=True)
class States:
    """The last states of recurrent layers (layers, batch, units), whose first axis is no batch."""

    layers: tuple[Value, ...]


@dataclass(frozen=True)
class Unknown:
    """A tensor that a network of evoopt does not have, with the reason and the function's place."""

    reason: str
    place: str | None = None
