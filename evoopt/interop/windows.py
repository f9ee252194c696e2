"""The windows of convolutions and pools, and their padding."""

from typing import cast

from evoopt.interop.trained import TrainedNode
from evoopt.networks.convolution import Conv1D, Conv2D
from evoopt.networks.pooling import AvgPool1D, AvgPool2D, MaxPool1D, MaxPool2D

Convolution = Conv1D | Conv2D
Windowed = Convolution | MaxPool1D | MaxPool2D | AvgPool1D | AvgPool2D
Sizes = tuple[int, ...]  # for each axis; layers make tuples of their sizes


def size_of(layer: Windowed) -> Sizes:
    """Return the size of a layer's windows."""
    return cast(Sizes, layer.kernel_size if isinstance(layer, Convolution) else layer.pool_size)


def strides_of(layer: Windowed) -> Sizes:
    """Return the cells from one window to the next."""
    return cast(Sizes, layer.strides)


def pads_of(node: TrainedNode[Windowed]) -> tuple[tuple[int, int], ...]:
    """Return how many cells pad each axis, before and after it."""
    axes, padding = node.input_shape[:-1], node.layer.padding
    if padding == "same":
        size, strides = size_of(node.layer), strides_of(node.layer)
        windows = zip(axes, node.output_shape[:-1], size, strides, strict=True)
        totals = [max(0, (count - 1) * stride + window - n) for n, count, window, stride in windows]
        return tuple((total // 2, total - total // 2) for total in totals)
    ends = (0,) * len(axes) if padding == "valid" else cast(Sizes, padding)
    return tuple((end, end) for end in ends)
