"""Each layer as a module of torch: the table `LAYERS`."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from evoopt.interop.graphs import Row, channels_first, channels_last, either
from evoopt.interop.torch.building.recurrent import recurrent
from evoopt.interop.trained import TrainedNode, Weights, axis_of, permutation_of
from evoopt.interop.windows import Convolution, Windowed, pads_of, size_of, strides_of
from evoopt.networks.convolution import Conv1D, Conv2D
from evoopt.networks.dropout import Dropout
from evoopt.networks.embedding import Embedding
from evoopt.networks.layers import Activation, Dense, Layer
from evoopt.networks.merging import Add, Concat, Multiply
from evoopt.networks.normalization import BatchNorm, LayerNorm, Rescaling
from evoopt.networks.pooling import AvgPool1D, AvgPool2D, GlobalAvgPool, MaxPool1D, MaxPool2D
from evoopt.networks.recurrent import GRU, LSTM, RNN
from evoopt.networks.shaping import Flatten, Permute, Reshape, Slice

if TYPE_CHECKING:
    from torch import fx

    from evoopt.interop.torch.building.graph import ModuleGraph


def _bias(weights: Weights) -> Weights:
    return {"bias": weights["bias"]} if "bias" in weights else {}


def _dense(graph: ModuleGraph, node: TrainedNode[Dense], x: fx.Node) -> fx.Node:
    kernel = node.weights["kernel"]
    linear = graph.torch.nn.Linear(*kernel.shape, bias=node.layer.use_bias)
    return graph.module(node.name, linear, {"weight": kernel.T, **_bias(node.weights)}, x)


def _conv(graph: ModuleGraph, node: TrainedNode[Convolution], x: fx.Node) -> fx.Node:
    kernel = np.moveaxis(node.weights["kernel"], (-1, -2), (0, 1))
    filters, channels, *size = kernel.shape
    convs = {1: graph.torch.nn.Conv1d, 2: graph.torch.nn.Conv2d}
    x, padding = _padded(graph, node, x, 0.0)
    strides, bias = strides_of(node.layer), node.layer.use_bias
    conv = convs[len(size)](channels, filters, size, strides, padding, bias=bias)
    return graph.module(node.name, conv, {"weight": kernel, **_bias(node.weights)}, x)


def _padded(graph: ModuleGraph, node: TrainedNode[Windowed], x: fx.Node, value: float) -> tuple[Any, Any]:
    """Return x and its padding, which torch takes if it is alike at both ends, and short."""
    pads = pads_of(node)
    ends = zip(pads, size_of(node.layer), strict=True)
    if all(before == after <= size // 2 for (before, after), size in ends):
        return x, tuple(before for before, _ in pads)
    cells = [n for pad in reversed(pads) for n in pad]  # the last axis comes first
    return graph.call(graph.torch.nn.functional.pad, x, cells, value=value), (0,) * len(pads)


def _max_pool(graph: ModuleGraph, node: TrainedNode[Windowed], x: fx.Node) -> fx.Node:
    x, padding = _padded(graph, node, x, -np.inf)
    pools = {1: graph.torch.nn.MaxPool1d, 2: graph.torch.nn.MaxPool2d}
    pool = pools[len(padding)](size_of(node.layer), strides_of(node.layer), padding)
    return graph.module(node.name, pool, {}, x)


def _avg_pool(graph: ModuleGraph, node: TrainedNode[Windowed], x: fx.Node) -> fx.Node:
    padded, padding = _padded(graph, node, x, 0.0)
    pools = {1: graph.torch.nn.AvgPool1d, 2: graph.torch.nn.AvgPool2d}
    pool = pools[len(padding)](size_of(node.layer), strides_of(node.layer), padding, count_include_pad=False)
    means = graph.module(node.name, pool, {}, padded)
    if padded is x:
        return means
    inside, _ = _padded(graph, node, graph.call(graph.torch.ones_like, x), 0.0)
    return graph.call(graph.torch.div, means, graph.module(node.name, pool, {}, inside))


def _global_avg_pool(graph: ModuleGraph, node: TrainedNode[GlobalAvgPool], x: fx.Node) -> fx.Node:
    return graph.call(graph.torch.mean, x, tuple(range(2, len(node.input_shape) + 1)))


def _embedding(graph: ModuleGraph, node: TrainedNode[Embedding], x: fx.Node) -> fx.Node:
    embedding = graph.torch.nn.Embedding(*node.weights["embedding"].shape)
    ids = graph.graph.call_method("long", (x,))
    return graph.module(node.name, embedding, {"weight": node.weights["embedding"]}, ids)


def _flatten(graph: ModuleGraph, node: TrainedNode[Flatten], x: fx.Node) -> fx.Node:
    return graph.module(node.name, graph.torch.nn.Flatten(), {}, x)


def _layer_norm(graph: ModuleGraph, node: TrainedNode[LayerNorm], x: fx.Node) -> fx.Node:
    weights = {"weight": node.weights["gamma"], "bias": node.weights["beta"]}
    norm = graph.torch.nn.LayerNorm(node.input_shape[-1], node.layer.epsilon)
    return graph.module(node.name, norm, weights, x)


def _batch_norm(graph: ModuleGraph, node: TrainedNode[BatchNorm], x: fx.Node) -> fx.Node:
    nn, (*places, channels) = graph.torch.nn, node.input_shape
    if len(places) > 3:
        raise ValueError(
            f'to_torch takes BatchNorm of samples of at most 4 axes, got {node.input_shape} as "{node.name}".'
        )
    norm = (nn.BatchNorm1d, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)[len(places)]
    names = {"weight": "gamma", "bias": "beta", "running_mean": "mean", "running_var": "var"}
    weights = {name: node.weights[own] for name, own in names.items()}
    return graph.module(
        node.name, norm(channels, node.layer.epsilon), weights | {"num_batches_tracked": 0}, x
    )


def _rescaling(graph: ModuleGraph, node: TrainedNode[Rescaling], x: fx.Node) -> fx.Node:
    scaled = graph.call(graph.torch.mul, x, node.layer.scale)
    return graph.call(graph.torch.add, scaled, node.layer.offset)


def _dropout(graph: ModuleGraph, node: TrainedNode[Dropout], x: fx.Node) -> fx.Node:
    return graph.module(node.name, graph.torch.nn.Dropout(node.layer.rate), {}, x)


def _permute(graph: ModuleGraph, node: TrainedNode[Permute], x: fx.Node) -> fx.Node:
    return graph.permute(x, permutation_of(node))


def _reshape(graph: ModuleGraph, node: TrainedNode[Reshape], x: fx.Node) -> fx.Node:
    return graph.call(graph.torch.unflatten, graph.call(graph.torch.flatten, x, 1), 1, node.output_shape)


def _slice(graph: ModuleGraph, node: TrainedNode[Slice], x: fx.Node) -> fx.Node:
    axis = axis_of(node)
    return graph.item(x, *[slice(None)] * axis, slice(node.layer.start, node.layer.stop))


def _add(graph: ModuleGraph, node: TrainedNode[Add], *values: fx.Node) -> fx.Node:
    return reduce(lambda x, y: graph.call(graph.torch.add, x, y), values)


def _multiply(graph: ModuleGraph, node: TrainedNode[Multiply], *values: fx.Node) -> fx.Node:
    return reduce(lambda x, y: graph.call(graph.torch.mul, x, y), values)


def _concat(graph: ModuleGraph, node: TrainedNode[Concat], *values: fx.Node) -> fx.Node:
    return graph.call(graph.torch.cat, values, -1)


def _same(graph: ModuleGraph, node: TrainedNode[Layer], x: fx.Node) -> fx.Node:
    return x


LAYERS: dict[type[Layer], Row[fx.Node]] = {
    Dense: channels_last(_dense),
    Embedding: channels_last(_embedding),
    Conv1D: channels_first(_conv),
    Conv2D: channels_first(_conv),
    MaxPool1D: channels_first(_max_pool),
    MaxPool2D: channels_first(_max_pool),
    AvgPool1D: channels_first(_avg_pool),
    AvgPool2D: channels_first(_avg_pool),
    GlobalAvgPool: channels_first(_global_avg_pool),
    LayerNorm: channels_last(_layer_norm),
    BatchNorm: channels_first(_batch_norm),
    Rescaling: either(_rescaling),
    Dropout: either(_dropout),
    Activation: either(_same),
    Flatten: channels_last(_flatten),
    Reshape: channels_last(_reshape),
    Permute: channels_last(_permute),
    Slice: channels_last(_slice),
    RNN: channels_last(recurrent),
    GRU: channels_last(recurrent),
    LSTM: channels_last(recurrent),
    Add: either(_add),
    Multiply: either(_multiply),
    Concat: channels_last(_concat),
}
