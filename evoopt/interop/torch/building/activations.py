"""Activations as functions of torch."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any

from evoopt.interop.graphs import Activate

if TYPE_CHECKING:
    from torch import fx

    from evoopt.interop.torch.building.graph import ModuleGraph


def _function(name: str, **options: Any) -> Activate[fx.Node]:
    """Return the activation that a function of this name in torch is."""

    def activate(graph: ModuleGraph, x: fx.Node, *numbers: float) -> fx.Node:
        return graph.call(attrgetter(name)(graph.torch), x, *numbers, **options)

    return activate


ACTIVATIONS: dict[str, Activate[fx.Node]] = {
    "linear": lambda graph, x: x,
    "tanh": _function("tanh"),
    "relu": _function("relu"),
    "sigmoid": _function("sigmoid"),
    "gelu": _function("nn.functional.gelu"),
    "silu": _function("nn.functional.silu"),
    "swish": _function("nn.functional.silu"),
    "elu": _function("nn.functional.elu"),
    "selu": _function("nn.functional.selu"),
    "leaky_relu": _function("nn.functional.leaky_relu"),
    "softplus": _function("nn.functional.softplus"),
    "hardtanh": _function("nn.functional.hardtanh"),
    "sin": _function("sin"),
    "softmax": _function("softmax", dim=-1),
    "log_softmax": _function("log_softmax", dim=-1),
}
