"""Layers with weights for features: linear maps, normalization, embeddings."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from evoopt.interop.torch.recording.arguments import require
from evoopt.interop.torch.recording.graph import GraphBuilder
from evoopt.interop.torch.recording.values import Value
from evoopt.interop.torch.recording.weights import Part
from evoopt.interop.torch.types import Function, Tensor
from evoopt.networks.embedding import Embedding
from evoopt.networks.layers import Dense, Layer
from evoopt.networks.normalization import BatchNorm, LayerNorm


def _linear(graph: GraphBuilder, x: Value, weight: Tensor, bias: Tensor | None = None) -> Value:
    return _dense(graph, x, weight, (1, 0), bias)


def _matmul(graph: GraphBuilder, x: Value, other: Tensor) -> Value:
    return _dense(graph, x, other, (0, 1), None)


def _addmm(
    graph: GraphBuilder, bias: Tensor, x: Value, weight: Tensor, *, beta: float = 1, alpha: float = 1
) -> Value:
    require(beta == 1 and alpha == 1, f"beta and alpha must be 1, got {beta}, {alpha}")
    return _dense(graph, x, weight, (0, 1), bias)


def _dense(
    graph: GraphBuilder, x: Value, weight: Tensor, turned: tuple[int, ...], bias: Tensor | None
) -> Value:
    """Record a product with a weight; its axes `turned` are the features and the units."""
    require(not isinstance(weight, Value) and weight.dim() == 2, "it must take a weight of two axes")
    require(bias is None or (not isinstance(bias, Value) and bias.dim() == 1), "its bias must have one axis")
    features, units = (weight.shape[axis] for axis in turned)
    flat = len(x.shape) == 1  # then the kernel's rows go where the features are stored
    order = x.last(len(x.shape) - 1)
    source = graph.shaped(x.node, (features,)) if flat else graph.laid(x, order)
    parts = [Part("kernel", weight, turned, order=x.places if flat else None)]
    parts += [] if bias is None else [Part("bias", bias)]
    node = graph.weigh(Dense(units, use_bias=bias is not None), source, parts)
    return Value.ordered(node, order, (*x.shape[:-1], units))


def by_place(
    graph: GraphBuilder, layer: Layer, x: Value, axes: Sequence[int], given: Sequence[tuple[str, Any]]
) -> Value:
    """Record a layer with numbers for each place of one axis, or of all axes together.

    `given` has tensors or arrays by the names of parameters.
    """
    every = len(axes) == len(x.shape)
    order = x.last(*axes)
    source = graph.shaped(x.node, (math.prod(x.shape),)) if every else graph.laid(x, order)
    parts = [Part(name, tensor, flat=True, order=x.places if every else None) for name, tensor in given]
    node = graph.weigh(layer, source, parts)
    return x.at(node) if every else Value.ordered(node, order, x.shape, x.channels)


def _batch_norm(
    graph: GraphBuilder,
    x: Value,
    running_mean: Tensor,
    running_var: Tensor,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Value:
    require(not training, "it must have running statistics: track_running_stats=True")
    if len(x.shape) == 2:
        graph.channels_last(x, 1)
    x = replace(x, channels=0)
    given = [("gamma", _or_constant(weight, running_mean, 1)), ("beta", _or_constant(bias, running_mean, 0))]
    statistics = [("mean", running_mean), ("var", running_var)]
    return by_place(graph, BatchNorm(eps), x, [0], given + statistics)


def _layer_norm(
    graph: GraphBuilder,
    x: Value,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Value:
    axes = [*range(len(x.shape) - len(normalized_shape), len(x.shape))]
    require(
        len(axes) in (1, len(x.shape)), f"normalized_shape must be one axis or all, got {normalized_shape}"
    )
    like = np.zeros(math.prod(normalized_shape), np.float32)
    given = [("gamma", _or_constant(weight, like, 1)), ("beta", _or_constant(bias, like, 0))]
    return by_place(graph, LayerNorm(eps), x, axes, given)


def _or_constant(tensor: Tensor, like: Tensor, number: int) -> Any:
    """Return a tensor, or an array of numbers in place of None."""
    return np.full(len(like), number, np.float32) if tensor is None else tensor


def _embedding(
    graph: GraphBuilder,
    ids: Value,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Value:
    require(max_norm is None, "max_norm must be None")
    node = graph.weigh(Embedding(*weight.shape), graph.laid(ids), [Part("embedding", weight)])
    return Value.plain(node, (*ids.shape, weight.shape[1]))


FUNCTIONS: dict[str, Function] = {
    "linear": _linear,
    **dict.fromkeys(("matmul", "mm"), _matmul),
    "addmm": _addmm,
    "batch_norm": _batch_norm,
    "layer_norm": _layer_norm,
    "embedding": _embedding,
}
