"""Each layer as operators of ONNX: the table `LAYERS`."""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np

from evoopt.interop.graphs import Row, Write, channels_first, channels_last, either
from evoopt.interop.onnx.graph import OnnxGraph
from evoopt.interop.onnx.recurrent import recurrent
from evoopt.interop.trained import TrainedNode, axis_of, permutation_of
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


def _dense(graph: OnnxGraph, node: TrainedNode[Dense], x: str) -> str:
    y = graph.op("MatMul", x, graph.weight(node, "kernel"), name=node.name)
    return graph.op("Add", y, graph.weight(node, "bias"), name=node.name) if node.layer.use_bias else y


def _conv(graph: OnnxGraph, node: TrainedNode[Convolution], x: str) -> str:
    kernel = np.moveaxis(node.weights["kernel"], (-1, -2), (0, 1))  # (filters, channels, *size)
    bias = [graph.weight(node, "bias")] if node.layer.use_bias else []
    weights = [graph.constant(f"{node.name}.kernel", kernel), *bias]
    return graph.op("Conv", x, *weights, name=node.name, **_windows(node))


def _windows(node: TrainedNode[Windowed]) -> dict[str, Any]:
    pads = zip(*pads_of(node), strict=True)  # first all that come before, then all that come after
    return {
        "kernel_shape": size_of(node.layer),
        "strides": strides_of(node.layer),
        "pads": [n for each in pads for n in each],
    }


def _max_pool(graph: OnnxGraph, node: TrainedNode[Windowed], x: str) -> str:
    return graph.op("MaxPool", x, name=node.name, **_windows(node))


def _avg_pool(graph: OnnxGraph, node: TrainedNode[Windowed], x: str) -> str:
    return graph.op("AveragePool", x, name=node.name, count_include_pad=0, **_windows(node))


def _global_avg_pool(graph: OnnxGraph, node: TrainedNode[GlobalAvgPool], x: str) -> str:
    axes = range(2, len(node.input_shape) + 1)
    return graph.op("ReduceMean", x, name=node.name, axes=axes, keepdims=0)


def _embedding(graph: OnnxGraph, node: TrainedNode[Embedding], x: str) -> str:
    ids = graph.op("Cast", x, to=graph.onnx.TensorProto.INT64)
    return graph.op("Gather", graph.weight(node, "embedding"), ids, name=node.name)


def _flatten(graph: OnnxGraph, node: TrainedNode[Flatten], x: str) -> str:
    return graph.op("Flatten", x, name=node.name)


def _layer_norm(graph: OnnxGraph, node: TrainedNode[LayerNorm], x: str) -> str:
    weights = graph.weight(node, "gamma"), graph.weight(node, "beta")
    return graph.op("LayerNormalization", x, *weights, name=node.name, epsilon=node.layer.epsilon)


def _batch_norm(graph: OnnxGraph, node: TrainedNode[BatchNorm], x: str) -> str:
    weights = [graph.weight(node, name) for name in ("gamma", "beta", "mean", "var")]
    return graph.op("BatchNormalization", x, *weights, name=node.name, epsilon=node.layer.epsilon)


def _rescaling(graph: OnnxGraph, node: TrainedNode[Rescaling], x: str) -> str:
    scaled = graph.op("Mul", x, graph.number(node.layer.scale), name=node.name)
    return graph.op("Add", scaled, graph.number(node.layer.offset), name=node.name)


def _permute(graph: OnnxGraph, node: TrainedNode[Permute], x: str) -> str:
    return graph.permute(x, permutation_of(node))


def _reshape(graph: OnnxGraph, node: TrainedNode[Reshape], x: str) -> str:
    return graph.op("Reshape", x, graph.integers(0, *node.output_shape), name=node.name)  # 0: as it is


def _slice(graph: OnnxGraph, node: TrainedNode[Slice], x: str) -> str:
    ends = graph.integers(node.layer.start), graph.integers(node.layer.stop)
    return graph.op("Slice", x, *ends, graph.integers(axis_of(node)), name=node.name)


def _pairwise(kind: str) -> Write[str]:
    """Return the function of a layer whose operator takes two sources."""

    def write(graph: OnnxGraph, node: TrainedNode[Layer], *values: str) -> str:
        return reduce(lambda x, y: graph.op(kind, x, y, name=node.name), values)

    return write


def _concat(graph: OnnxGraph, node: TrainedNode[Concat], *values: str) -> str:
    return graph.op("Concat", *values, name=node.name, axis=-1)


def _same(graph: OnnxGraph, node: TrainedNode[Layer], x: str) -> str:
    return x


LAYERS: dict[type[Layer], Row[str]] = {
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
    Dropout: either(_same),
    Activation: either(_same),
    Flatten: channels_last(_flatten),
    Reshape: channels_last(_reshape),
    Permute: channels_last(_permute),
    Slice: channels_last(_slice),
    RNN: channels_last(recurrent),
    GRU: channels_last(recurrent),
    LSTM: channels_last(recurrent),
    Add: either(_pairwise("Add")),
    Multiply: either(_pairwise("Mul")),
    Concat: channels_last(_concat),
}
