"""Recurrent layers as operators of ONNX."""

from __future__ import annotations

from typing import Any

from evoopt.interop.onnx.graph import STATE, OnnxGraph
from evoopt.interop.trained import TrainedNode, both_biases, reordered
from evoopt.networks.recurrent import GRU, LSTM, RNN, Recurrent

GATES = {RNN: (0,), GRU: (0, 1, 2), LSTM: (0, 3, 1, 2)}  # ONNX's order, in places of evoopt's
ACTIVATIONS = {"tanh": "Tanh", "relu": "Relu", "sigmoid": "Sigmoid", "linear": "Affine"}


def recurrent(graph: OnnxGraph, node: TrainedNode[Recurrent], x: str) -> str:
    """Write a recurrent layer; its operator takes (time, batch, features)."""
    sequence = len(node.input_shape) == 2
    x = graph.permute(x, (1, 0, 2)) if sequence else graph.op("Unsqueeze", x, graph.integers(0))
    parts = node.layer.state_parts
    y, *last = graph.ops(
        node.layer.kind.upper(),
        *(x, *_weights(graph, node), "", *_state(graph, node)),
        name=node.name,
        outputs=1 + parts,
        hidden_size=node.layer.units,
        **_options(node.layer),
    )
    last = [graph.op("Squeeze", part, graph.integers(0)) for part in last]
    if node.state is not None:
        graph.new_states += last
    if len(node.output_shape) == 1:
        return last[0]
    return graph.permute(graph.op("Squeeze", y, graph.integers(1)), (1, 0, 2))


def _options(layer: Recurrent) -> dict[str, Any]:
    if isinstance(layer, GRU):
        return {"linear_before_reset": 1}
    if isinstance(layer, RNN):
        numbers = (
            {"activation_alpha": [1.0], "activation_beta": [0.0]} if layer.activation == "linear" else {}
        )
        return {"activations": [ACTIVATIONS[layer.activation]], **numbers}
    return {}


def _weights(graph: OnnxGraph, node: TrainedNode[Recurrent]) -> list[str]:
    """Return the constants, each with an axis for the one direction."""
    gates = GATES[type(node.layer)]
    found = {name: reordered(node.weights[name], gates).T for name in ("kernel", "recurrent_kernel")}
    found["bias"] = reordered(both_biases(node), gates).reshape(-1)
    return [graph.constant(f"{node.name}.{name}", array[None]) for name, array in found.items()]


def _state(graph: OnnxGraph, node: TrainedNode[Recurrent]) -> list[str]:
    """Return the parts of the first state, (1, batch, units) each; none if they are zeros."""
    if node.state is None:
        return []
    units = node.layer.units
    starts = range(node.state.start, node.state.stop, units)
    ends = [(graph.integers(start), graph.integers(start + units)) for start in starts]
    parts = [graph.op("Slice", STATE, *each, graph.integers(1)) for each in ends]
    return [graph.op("Unsqueeze", part, graph.integers(0)) for part in parts]
