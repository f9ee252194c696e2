"""Layers that pool the cells of images (height, width, channels) and sequences."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

from evoopt.devices.interface.network import Location, Operation
from evoopt.networks.activations import ActivationLike, activation_operations, read_activation
from evoopt.networks.layers import NamedLayer
from evoopt.networks.windows import Padding, Sizes, Windows, as_padding, as_sizes
from evoopt.types import Shape


@dataclass(frozen=True)
class _Pool(NamedLayer):
    pool_size: Sizes
    strides: Sizes | None = None
    padding: Padding = "valid"
    activation: ActivationLike = "linear"

    axes: ClassVar[int]
    operation: ClassVar[str]

    def __post_init__(self) -> None:
        size = as_sizes("pool_size", self.pool_size, self.axes)
        strides = as_sizes("strides", size if self.strides is None else self.strides, self.axes)
        padding = as_padding(self.padding, size, tuple(n // 2 for n in size))
        for name, value in (("pool_size", size), ("strides", strides), ("padding", padding)):
            object.__setattr__(self, name, value)
        object.__setattr__(self, "activation", read_activation(self.activation))

    def output_shape(self, input_shape: Shape) -> Shape:
        return self._windows(input_shape).output_shape

    def operations(self, input_shape: Shape, locations: Mapping[str, Location]) -> Iterator[Operation]:
        windows = self._windows(input_shape)
        features = math.prod(windows.output_shape)
        yield Operation(self.operation, math.prod(input_shape), features, sizes=windows.sizes)
        yield from activation_operations(self.activation, features, input_shape[-1])

    def _windows(self, input_shape: Shape) -> Windows:
        strides = self.pool_size if self.strides is None else self.strides
        return Windows(type(self).__name__, self.pool_size, strides, self.padding, input_shape)


class MaxPool1D(_Pool):
    """Max pooling of a sequence (length, channels), for each channel.

    Parameters
    ----------
    pool_size : int
        Length of the windows.
    strides : int, optional
        Cells from one window to the next, by default `pool_size`.
    padding, activation
        As for `MaxPool2D`, along the one axis.

    Raises
    ------
    ValueError
        As of `MaxPool2D`.

    Examples
    --------
    >>> import evoopt
    >>> layers = [evoopt.MaxPool1D(2), evoopt.Flatten(), evoopt.Dense(10)]
    >>> evoopt.Network(layers, input_shape=(8, 3)).spec.shapes
    ((10,), (12, 10))
    """

    kind: ClassVar[str] = "max_pool1d"
    axes: ClassVar[int] = 1
    operation: ClassVar[str] = "max_pool"


class MaxPool2D(_Pool):
    """Max pooling: the largest number in each window of an image, for each channel.

    Parameters
    ----------
    pool_size : int or (int, int)
        Height and width of the windows.
    strides : int or (int, int), optional
        Rows and columns from one window to the next, by default `pool_size`.
    padding : {"valid", "same"}, int or (int, int)
        As for `Conv2D`, but the padding does not count, and is at most half a window.
    activation : str, tuple or njit function
        As for `Dense`.

    Raises
    ------
    ValueError
        If a size is not a whole number of at least 1, or the padding or activation is unknown.

    Examples
    --------
    >>> import evoopt
    >>> layers = [evoopt.MaxPool2D(2), evoopt.Flatten(), evoopt.Dense(10)]
    >>> evoopt.Network(layers, input_shape=(8, 8, 3)).spec.shapes
    ((10,), (48, 10))
    """

    kind: ClassVar[str] = "max_pool"
    axes: ClassVar[int] = 2
    operation: ClassVar[str] = "max_pool"


class AvgPool1D(_Pool):
    """Average pooling of a sequence (length, channels), for each channel.

    Parameters
    ----------
    pool_size, strides, padding, activation
        As for `MaxPool1D`.

    Raises
    ------
    ValueError
        As of `MaxPool2D`.

    Examples
    --------
    >>> import evoopt
    >>> layers = [evoopt.AvgPool1D(2), evoopt.Flatten(), evoopt.Dense(10)]
    >>> evoopt.Network(layers, input_shape=(8, 3)).spec.shapes
    ((10,), (12, 10))
    """

    kind: ClassVar[str] = "avg_pool1d"
    axes: ClassVar[int] = 1
    operation: ClassVar[str] = "average_pool"


class AvgPool2D(_Pool):
    """Average pooling: the mean of each window, without padding, for each channel.

    Parameters
    ----------
    pool_size, strides, padding, activation
        As for `MaxPool2D`.

    Raises
    ------
    ValueError
        If a size is not a whole number of at least 1, or the padding or activation is unknown.

    Examples
    --------
    >>> import evoopt
    >>> layers = [evoopt.AvgPool2D(2), evoopt.Flatten(), evoopt.Dense(10)]
    >>> evoopt.Network(layers, input_shape=(8, 8, 3)).spec.shapes
    ((10,), (48, 10))
    """

    kind: ClassVar[str] = "avg_pool"
    axes: ClassVar[int] = 2
    operation: ClassVar[str] = "average_pool"


@dataclass(frozen=True)
class GlobalAvgPool(NamedLayer):
    """Average pooling over all axes but the last: (..., channels) to (channels,).

    Raises
    ------
    ValueError
        For an input of only one axis.

    Examples
    --------
    >>> import evoopt
    >>> layers = [evoopt.Conv2D(16, 3), evoopt.GlobalAvgPool(), evoopt.Dense(10)]
    >>> evoopt.Network(layers, input_shape=(8, 8, 3)).spec.shapes
    ((16,), (3, 3, 3, 16), (10,), (16, 10))
    """

    kind: ClassVar[str] = "global_avg_pool"

    def output_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) == 1:
            raise ValueError(f"GlobalAvgPool takes inputs of shape (..., channels), got {input_shape}.")
        return input_shape[-1:]

    def operations(self, input_shape: Shape, locations: Mapping[str, Location]) -> Iterator[Operation]:
        cells, channels = math.prod(input_shape[:-1]), input_shape[-1]
        windows = Windows("GlobalAvgPool", (cells,), 1, "valid", (cells, channels))
        yield Operation("average_pool", cells * channels, channels, sizes=windows.sizes)
