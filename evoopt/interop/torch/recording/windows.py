"""Convolutions and pooling, of images and sequences whose channels torch has first."""

from evoopt.interop.torch.recording.arguments import as_padding, as_sizes, require
from evoopt.interop.torch.recording.graph import GraphBuilder
from evoopt.interop.torch.recording.values import Value
from evoopt.interop.torch.recording.weights import Part
from evoopt.interop.torch.types import Function, Sizes, Tensor
from evoopt.networks.convolution import Conv1D, Conv2D
from evoopt.networks.pooling import AvgPool1D, AvgPool2D, MaxPool1D, MaxPool2D


def _ordered(node: str, graph: GraphBuilder) -> Value:
    """Return the value of a node that has the channels last."""
    *sizes, channels = graph.shape(node)
    return Value.ordered(node, (*range(1, len(sizes) + 1), 0), (channels, *sizes), 0)


def _convolution(axes: int) -> Function:
    layers = {1: Conv1D, 2: Conv2D}

    def record(
        graph: GraphBuilder,
        x: Value,
        weight: Tensor,
        bias: Tensor | None = None,
        stride: Sizes = 1,
        padding: Sizes | str = 0,
        dilation: Sizes = 1,
        groups: int = 1,
    ) -> Value:
        require(groups == 1, f"groups must be 1, got {groups}")
        require(as_sizes(dilation, axes) == (1,) * axes, f"dilation must be 1, got {dilation}")
        layer = layers[axes](
            weight.shape[0],
            tuple(weight.shape[2:]),
            strides=as_sizes(stride, axes),
            padding=as_padding(padding, axes),
            use_bias=bias is not None,
        )
        parts = [Part("kernel", weight, (*range(2, axes + 2), 1, 0))]
        parts += [] if bias is None else [Part("bias", bias)]
        return _ordered(graph.weigh(layer, graph.channels_last(x, axes), parts), graph)

    return record


def max_pool(axes: int) -> Function:
    """Return the function that records max pooling along so many axes."""
    layers = {1: MaxPool1D, 2: MaxPool2D}

    def record(
        graph: GraphBuilder,
        x: Value,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        dilation: Sizes = 1,
        ceil_mode: bool = False,
        return_indices: bool = False,
    ) -> Value:
        require(as_sizes(dilation, axes) == (1,) * axes, f"dilation must be 1, got {dilation}")
        require(not return_indices, "it returns indices")
        return _pooled(graph, x, layers[axes], axes, kernel_size, stride, padding, ceil_mode)

    return record


def average_pool(axes: int) -> Function:
    """Return the function that records average pooling along so many axes."""
    layers = {1: AvgPool1D, 2: AvgPool2D}

    def record(
        graph: GraphBuilder,
        x: Value,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> Value:
        counts = any(as_sizes(padding, axes)) and count_include_pad
        require(not counts, "padding must not count; pass count_include_pad=False")
        require(divisor_override is None, f"divisor_override must be None, got {divisor_override}")
        return _pooled(graph, x, layers[axes], axes, kernel_size, stride, padding, ceil_mode)

    return record


def _pooled(
    graph: GraphBuilder,
    x: Value,
    layer: Function,
    axes: int,
    kernel_size: Sizes,
    stride: Sizes | None,
    padding: Sizes,
    ceil_mode: bool,
) -> Value:
    size, pads = as_sizes(kernel_size, axes), as_sizes(padding, axes)
    strides = as_sizes(stride, axes) if stride else size
    node = graph.channels_last(x, axes)
    along = zip(graph.shape(node), size, strides, pads, strict=False)
    even = all((n + 2 * pad - window) % step == 0 for n, window, step, pad in along)
    require(not ceil_mode or even, "ceil_mode must be False")
    return _ordered(graph.put(layer(size, strides, as_padding(padding, axes)), node), graph)


FUNCTIONS: dict[str, Function] = {
    **{f"conv{axes}d": _convolution(axes) for axes in (1, 2)},
    **{f"max_pool{axes}d": max_pool(axes) for axes in (1, 2)},
    **{f"avg_pool{axes}d": average_pool(axes) for axes in (1, 2)},
}
