"""Layers for images (height, width, channels): convolution, pooling, flattening."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from evoopt import arguments
from evoopt.devices.interface.network import Location, Operation
from evoopt.networks.activations import ActivationLike, activation_operations, read_activation
from evoopt.networks.initializers import Initializer, check_initializer
from evoopt.networks.layers import NamedLayer, Parameter
from evoopt.rules.ranges import ceil_div
from evoopt.types import Shape

Padding = Literal["valid", "same"]


@dataclass(frozen=True)
class Conv2D(NamedLayer):
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
    padding : {"valid", "same"}
        "valid": windows lie within the image. "same": along each axis there are ``ceil(size /
        stride)`` windows, and zeros pad the image as far as the windows extend beyond it, half of
        them at each end. If their number is odd, the last end gets one more.
    activation, use_bias, kernel_init, bias_init
        As for `Dense`; a softmax is over the filters, at each place of the output.

    Raises
    ------
    ValueError
        If a size is not a whole number of at least 1, or if the padding, activation or an
        initializer is unknown.

    Examples
    --------
    >>> import evoopt
    >>> layers = [evoopt.Conv2D(8, 3, activation="relu"), evoopt.MaxPool2D(2), evoopt.Flatten()]
    >>> net = evoopt.Network([*layers, evoopt.Dense(10)], input_shape=(28, 28, 1))
    >>> net.spec.names
    ('conv_0.bias', 'conv_0.kernel', 'dense_0.bias', 'dense_0.kernel')
    """

    filters: int
    kernel_size: int | tuple[int, int]
    strides: int | tuple[int, int] = 1
    padding: Padding = "valid"
    activation: ActivationLike = "linear"
    use_bias: bool = True
    kernel_init: Initializer = "glorot_uniform"
    bias_init: Initializer = "zeros"

    kind: ClassVar[str] = "conv"
    few_samples: ClassVar[int] = 4

    def __post_init__(self) -> None:
        object.__setattr__(self, "filters", arguments.whole("filters", self.filters, 1))
        object.__setattr__(self, "kernel_size", _pair("kernel_size", self.kernel_size))
        object.__setattr__(self, "strides", _pair("strides", self.strides))
        _check_padding(self.padding)
        object.__setattr__(self, "activation", read_activation(self.activation))
        object.__setattr__(self, "use_bias", arguments.flag("use_bias", self.use_bias))
        check_initializer(self.kernel_init)
        check_initializer(self.bias_init)

    def output_shape(self, input_shape: Shape) -> Shape:
        return _Windows(self, self.kernel_size, input_shape, self.filters).output_shape

    def parameters(self, input_shape: Shape) -> dict[str, Parameter]:
        size, channels = _pair("kernel_size", self.kernel_size), input_shape[2]
        fans = math.prod(size) * channels, math.prod(size) * self.filters
        found = {"kernel": Parameter((*size, channels, self.filters), self.kernel_init, *fans)}
        if self.use_bias:
            found["bias"] = Parameter((self.filters,), self.bias_init, *fans)
        return found

    def operations(self, input_shape: Shape, locations: Mapping[str, Location]) -> Iterator[Operation]:
        windows = _Windows(self, self.kernel_size, input_shape, self.filters)
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


@dataclass(frozen=True)
class _Pool2D(NamedLayer):
    pool_size: int | tuple[int, int]
    strides: int | tuple[int, int] | None = None
    padding: Padding = "valid"
    activation: ActivationLike = "linear"

    operation: ClassVar[str]

    def __post_init__(self) -> None:
        object.__setattr__(self, "pool_size", _pair("pool_size", self.pool_size))
        strides = self.pool_size if self.strides is None else self.strides
        object.__setattr__(self, "strides", _pair("strides", strides))
        _check_padding(self.padding)
        object.__setattr__(self, "activation", read_activation(self.activation))

    def output_shape(self, input_shape: Shape) -> Shape:
        return _Windows(self, self.pool_size, input_shape).output_shape

    def operations(self, input_shape: Shape, locations: Mapping[str, Location]) -> Iterator[Operation]:
        windows = _Windows(self, self.pool_size, input_shape)
        features, channels = math.prod(windows.output_shape), input_shape[2]
        yield Operation(self.operation, math.prod(input_shape), features, sizes=windows.sizes)
        yield from activation_operations(self.activation, features, channels)


class MaxPool2D(_Pool2D):
    """Max pooling: the largest number in each window of an image, for each channel.

    Parameters
    ----------
    pool_size : int or (int, int)
        Height and width of the windows.
    strides : int or (int, int), optional
        Rows and columns from one window to the next, by default `pool_size`.
    padding : {"valid", "same"}
        As for `Conv2D`, but the padding does not count.
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
    operation: ClassVar[str] = "max_pool"


class AvgPool2D(_Pool2D):
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
    operation: ClassVar[str] = "average_pool"


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


class _Windows:
    """The windows of a layer on an image: the output shape, and the sizes that kernels need."""

    def __init__(
        self,
        layer: Conv2D | _Pool2D,
        size: int | tuple[int, int],
        input_shape: Shape,
        channels_out: int | None = None,
    ) -> None:
        name = type(layer).__name__
        if len(input_shape) != 3:
            raise ValueError(f"{name} takes images of shape (height, width, channels), got {input_shape}.")
        *image, channels = input_shape
        windows, strides = _pair("size", size), _pair("strides", layer.strides)
        outputs, before = [], []
        for n, window, stride in zip(image, windows, strides, strict=True):
            if layer.padding == "same":
                outputs.append(ceil_div(n, stride))
                before.append(max(0, (outputs[-1] - 1) * stride + window - n) // 2)
            elif n >= window:
                outputs.append((n - window) // stride + 1)
                before.append(0)
            else:
                raise ValueError(
                    f"{name} has windows of {windows}, larger than the image {input_shape}; use "
                    f'padding="same" or smaller windows.'
                )
        self.output_shape = (*outputs, channels if channels_out is None else channels_out)
        self.sizes = (image[1], channels, *self.output_shape[1:], *windows, *strides, *before)


def _pair(name: str, value: object) -> tuple[int, int]:
    values = value if isinstance(value, tuple | list) else (value, value)
    if len(values) != 2:
        raise ValueError(f"{name} must be a whole number or a pair of them, got {value!r}.")
    first, second = (arguments.whole(name, n, 1, arguments.MOST) for n in values)
    return first, second


def _check_padding(padding: object) -> None:
    arguments.one_of("padding", padding, get_args(Padding))
