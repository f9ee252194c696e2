"""Convolutions of images (height, width, channels) and of sequences (length, channels)."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

from evoopt import arguments
from evoopt.devices.interface.network import Location, Operation
from evoopt.networks.activations import ActivationLike, activation_operations, read_activation
from evoopt.networks.initializers import Initializer, check_initializer
from evoopt.networks.layers import NamedLayer, Parameter
from evoopt.networks.windows import Padding, Sizes, Windows, as_padding, as_sizes
from evoopt.types import Shape


@dataclass(frozen=True)
class _Convolution(NamedLayer):
    filters: int
    kernel_size: Sizes
    strides: Sizes = 1
    padding: Padding = "valid"
    activation: ActivationLike = "linear"
    use_bias: bool = True
    kernel_init: Initializer = "glorot_uniform"
    bias_init: Initializer = "zeros"

    axes: ClassVar[int]
    few_samples: ClassVar[int] = 4

    def __post_init__(self) -> None:
        size = as_sizes("kernel_size", self.kernel_size, self.axes)
        strides = as_sizes("strides", self.strides, self.axes)
        padding = as_padding(self.padding, size, tuple(n - 1 for n in size))
        for name, value in (("kernel_size", size), ("strides", strides), ("padding", padding)):
            object.__setattr__(self, name, value)
        object.__setattr__(self, "filters", arguments.whole("filters", self.filters, 1))
        object.__setattr__(self, "activation", read_activation(self.activation))
        object.__setattr__(self, "use_bias", arguments.flag("use_bias", self.use_bias))
        check_initializer(self.kernel_init)
        check_initializer(self.bias_init)

    def output_shape(self, input_shape: Shape) -> Shape:
        return self._windows(input_shape).output_shape

    def parameters(self, input_shape: Shape) -> dict[str, Parameter]:
        size, channels = as_sizes("kernel_size", self.kernel_size, self.axes), input_shape[-1]
        fans = math.prod(size) * channels, math.prod(size) * self.filters
        found = {"kernel": Parameter((*size, channels, self.filters), self.kernel_init, *fans)}
        if self.use_bias:
            found["bias"] = Parameter((self.filters,), self.bias_init, *fans)
        return found

    def operations(self, input_shape: Shape, locations: Mapping[str, Location]) -> Iterator[Operation]:
        windows = self._windows(input_shape)
        features = math.prod(windows.output_shape)
        window = math.prod(self.parameters(input_shape)["kernel"].shape[:-1])  # the inputs of one output
        yield Operation(
            "conv2d",
            math.prod(input_shape),
            features,
            (locations["kernel"], locations.get("bias")),
            sizes=windows.sizes,
            weights=window * self.filters,
            places=features // self.filters,
        )
        yield from activation_operations(self.activation, features, self.filters)

    def _windows(self, input_shape: Shape) -> Windows:
        name = type(self).__name__
        return Windows(name, self.kernel_size, self.strides, self.padding, input_shape, self.filters)


class Conv1D(_Convolution):
    """A convolution of a sequence (length, channels).

    Its kernel is (size, in, filters), its bias (filters,).

    Each output is ``activation(sum(window * kernel) + bias)``, where the window is a part of the
    sequence with the size of the kernel.

    Parameters
    ----------
    filters : int
        Channels of the output.
    kernel_size : int
        Length of the windows.
    strides : int
        Cells from one window to the next.
    padding, activation, use_bias, kernel_init, bias_init
        As for `Conv2D`, along the one axis.

    Raises
    ------
    ValueError
        As of `Conv2D`.

    Examples
    --------
    >>> import evoopt
    >>> layers = [evoopt.Conv1D(8, 5, padding=2, activation="relu"), evoopt.GlobalAvgPool()]
    >>> net = evoopt.Network([*layers, evoopt.Dense(10)], input_shape=(100, 3))
    >>> net.spec.unravel(net.init(seed=0))["conv1d_0"]["kernel"].shape
    (5, 3, 8)
    """

    kind: ClassVar[str] = "conv1d"
    axes: ClassVar[int] = 1


class Conv2D(_Convolution):
    """A two-dimensional convolution with kernel (height, width, in, filters) and bias (filters,).

    Each output is ``activation(sum(window * kernel) + bias)``, where the window is a part of the
    image with the height and width of the kernel.

    Parameters
    ----------
    filters : int
        Channels of the output.
    kernel_size : int or (int, int)
        Height and width of the windows.
    strides : int or (int, int)
        Rows and columns from one window to the next.
    padding : {"valid", "same"}, int or (int, int)
        "valid": windows lie within the image. "same": along each axis there are ``ceil(size /
        stride)`` windows, and zeros pad the image as far as the windows extend beyond it, half of
        them at each end. If their number is odd, the last end gets one more. A number: so many
        zeros pad both ends of each axis, fewer than a window has cells there; a pair is for the
        rows and the columns.
    activation, use_bias, kernel_init, bias_init
        As for `Dense`; a softmax is over the filters, at each place of the output.

    Raises
    ------
    ValueError
        If a size is not a whole number of at least 1, or if the padding is too large, or the
        padding, activation or an initializer is unknown.

    Examples
    --------
    >>> import evoopt
    >>> layers = [evoopt.Conv2D(8, 3, activation="relu"), evoopt.MaxPool2D(2), evoopt.Flatten()]
    >>> net = evoopt.Network([*layers, evoopt.Dense(10)], input_shape=(28, 28, 1))
    >>> net.spec.names
    ('conv_0.bias', 'conv_0.kernel', 'dense_0.bias', 'dense_0.kernel')
    """

    kind: ClassVar[str] = "conv"
    axes: ClassVar[int] = 2
