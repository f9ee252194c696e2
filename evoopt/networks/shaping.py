"""Layers that compute nothing: they cut out a part of their input, reorder it, or reshape it."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from evoopt import arguments
from evoopt.arrays import shown
from evoopt.devices.interface.network import Location, Operation
from evoopt.networks.checks import as_shape
from evoopt.networks.layers import NamedLayer
from evoopt.types import Shape

MOST_AXES = 4  # of a sample that Permute takes


@dataclass(frozen=True)
class Flatten(NamedLayer):
    """A layer that joins all axes into one, row-major: (height, width, channels) to (features,).

    Examples
    --------
    >>> import evoopt
    >>> evoopt.Network([evoopt.Flatten(), evoopt.Dense(2)], input_shape=(4, 4, 3)).spec.shapes
    ((2,), (48, 2))
    """

    kind: ClassVar[str] = "flatten"

    def output_shape(self, input_shape: Shape) -> Shape:
        return (math.prod(input_shape),)

    def operations(self, input_shape: Shape, locations: Mapping[str, Location]) -> Iterator[Operation]:
        return iter(())


@dataclass(frozen=True)
class Reshape(NamedLayer):
    """A layer that sees its inputs in another shape of the same size, row-major.

    Parameters
    ----------
    shape : tuple of int
        The shape of one sample's output.

    Raises
    ------
    ValueError
        For sizes that are not whole numbers of at least 1, or inputs of another size.

    Examples
    --------
    >>> import evoopt
    >>> layers = [evoopt.Reshape((4, 4, 3)), evoopt.Conv2D(2, 3)]
    >>> evoopt.Network(layers, input_shape=(48,)).output_shape
    (2, 2, 2)
    """

    shape: Sequence[int]

    kind: ClassVar[str] = "reshape"

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", as_shape("shape", self.shape))

    def output_shape(self, input_shape: Shape) -> Shape:
        if math.prod(self.shape) != math.prod(input_shape):
            raise ValueError(f"Reshape to {self.shape} takes as many numbers, got inputs of {input_shape}.")
        return tuple(self.shape)

    def operations(self, input_shape: Shape, locations: Mapping[str, Location]) -> Iterator[Operation]:
        return iter(())


@dataclass(frozen=True)
class Permute(NamedLayer):
    """A layer that reorders the axes of a sample, as `numpy.transpose` does.

    Parameters
    ----------
    axes : tuple of int
        The numbers of the input's axes, from 0 on, in the order of the output; at most 4. The batch
        is no axis of a sample.

    Raises
    ------
    ValueError
        If `axes` are not these numbers, each once, or the inputs have another number of axes.

    Examples
    --------
    >>> import evoopt
    >>> layers = [evoopt.Permute((1, 2, 0)), evoopt.Conv2D(4, 3)]  # channels last
    >>> evoopt.Network(layers, input_shape=(3, 8, 8)).output_shape
    (6, 6, 4)
    """

    axes: tuple[int, ...]

    kind: ClassVar[str] = "permute"

    def __post_init__(self) -> None:
        given = self.axes if isinstance(self.axes, tuple | list) else ()
        axes = tuple(arguments.whole("each of the axes", axis, 0, MOST_AXES - 1) for axis in given)
        if not axes or sorted(axes) != [*range(len(axes))]:
            raise ValueError(
                f"axes must be the numbers of a sample's axes, such as (2, 0, 1), got {shown(self.axes)}."
            )
        object.__setattr__(self, "axes", axes)

    def output_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) != len(self.axes):
            raise ValueError(f"Permute({self.axes}) takes {len(self.axes)} axes, got {input_shape}.")
        return tuple(input_shape[axis] for axis in self.axes)

    def operations(self, input_shape: Shape, locations: Mapping[str, Location]) -> Iterator[Operation]:
        (run, _), *moved = _moves(input_shape, self.axes)
        if moved:
            sizes, strides = zip(*reversed([*moved, *[(1, 0)] * (MOST_AXES - len(moved))]), strict=True)
            features = math.prod(input_shape)
            yield Operation("permute", features, features, sizes=(run, *sizes, *strides))


@dataclass(frozen=True)
class Slice(NamedLayer):
    """A part of the inputs along one axis: the numbers, or places, from `start` to before `stop`.

    Parameters
    ----------
    start, stop : int
        From 0; the output has ``stop - start`` of them.
    axis : int
        The axis of a sample, by default the last one; -1 is the last, too.

    Raises
    ------
    ValueError
        For a range that is empty or beyond the axis, or an axis that a sample does not have.

    Examples
    --------
    >>> import evoopt
    >>> layers = [evoopt.LSTM(8, return_sequences=True), evoopt.Slice(10, 20, axis=0)]
    >>> evoopt.Network(layers, input_shape=(20, 3)).output_shape
    (10, 8)
    """

    start: int
    stop: int
    axis: int = -1

    kind: ClassVar[str] = "slice"

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", arguments.whole("start", self.start, 0))
        object.__setattr__(self, "stop", arguments.whole("stop", self.stop, self.start + 1))
        object.__setattr__(self, "axis", arguments.whole("axis", self.axis, -1))

    def output_shape(self, input_shape: Shape) -> Shape:
        before, size, after = self._around(input_shape)
        if self.stop > size:
            raise ValueError(
                f"Slice up to {self.stop} takes an axis of at least that size, got {input_shape}."
            )
        return (*before, self.stop - self.start, *after)

    def operations(self, input_shape: Shape, locations: Mapping[str, Location]) -> Iterator[Operation]:
        before, size, after = self._around(input_shape)
        runs, inner = math.prod(before), math.prod(after)
        length = (self.stop - self.start) * inner
        sizes = (runs, length, size * inner, self.start * inner, length, 0)
        yield Operation("slice", math.prod(input_shape), runs * length, sizes=sizes)

    def _around(self, shape: Shape) -> tuple[Shape, int, Shape]:
        """Return the axes before, the size of the axis, and the axes after it."""
        if self.axis >= len(shape):
            raise ValueError(f"axis must be one of a sample's {len(shape)}, got {self.axis} for {shape}.")
        axis = len(shape) - 1 if self.axis == -1 else self.axis
        return shape[:axis], shape[axis], shape[axis + 1 :]


def _moves(shape: Shape, axes: tuple[int, ...]) -> list[tuple[int, int]]:
    """Return size and stride in the input of the output's axes, from the innermost on.

    Axes that are neighbours before and after count as one. The first item has the stride 1: it is
    the length of the runs that stay as they are.
    """
    found = [(1, 1)]
    for axis in reversed(axes):
        size, stride = shape[axis], math.prod(shape[axis + 1 :])
        inner, inner_stride = found[-1]
        if stride == inner * inner_stride:
            found[-1] = inner * size, inner_stride
        elif size > 1:
            found.append((size, stride))
    return found
