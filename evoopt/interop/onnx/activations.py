"""Activations as operators of ONNX."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from evoopt.interop.graphs import Activate

if TYPE_CHECKING:
    from evoopt.interop.onnx.graph import OnnxGraph


def _operator(kind: str, *names: str, **attributes: Any) -> Activate[str]:
    """Return the activation that one operator is; its numbers are attributes of these names."""

    def activate(graph: OnnxGraph, x: str, *numbers: float) -> str:
        given: dict[str, Any] = dict(zip(names, numbers, strict=False))
        return graph.op(kind, x, **attributes, **given)

    return activate


def _gelu(graph: OnnxGraph, x: str) -> str:
    scaled = graph.op("Mul", x, graph.number(math.sqrt(0.5)))
    doubled = graph.op("Add", graph.op("Erf", scaled), graph.number(1.0))
    return graph.op("Mul", x, graph.op("Mul", doubled, graph.number(0.5)))


def _silu(graph: OnnxGraph, x: str) -> str:
    return graph.op("Mul", x, graph.op("Sigmoid", x))


def _hardtanh(graph: OnnxGraph, x: str, lowest: float = -1.0, highest: float = 1.0) -> str:
    return graph.op("Clip", x, graph.number(lowest), graph.number(highest))


ACTIVATIONS: dict[str, Activate[str]] = {
    "linear": lambda graph, x: x,
    "tanh": _operator("Tanh"),
    "relu": _operator("Relu"),
    "sigmoid": _operator("Sigmoid"),
    "gelu": _gelu,
    "silu": _silu,
    "swish": _silu,
    "elu": _operator("Elu", "alpha"),
    "selu": _operator("Selu"),
    "leaky_relu": _operator("LeakyRelu", "alpha"),
    "softplus": _operator("Softplus"),
    "hardtanh": _hardtanh,
    "sin": _operator("Sin"),
    "softmax": _operator("Softmax", axis=-1),
    "log_softmax": _operator("LogSoftmax", axis=-1),
}
