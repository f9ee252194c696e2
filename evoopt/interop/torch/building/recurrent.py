"""Recurrent layers as modules of torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evoopt.interop.torch.building.activations import ACTIVATIONS
from evoopt.interop.trained import TrainedNode, both_biases, reordered
from evoopt.networks.recurrent import GRU, LSTM, RNN, Recurrent

if TYPE_CHECKING:
    from torch import fx

    from evoopt.interop.torch.building.graph import ModuleGraph

ALL = slice(None)
GATES = {RNN: (0,), GRU: (1, 0, 2), LSTM: (0, 1, 2, 3)}  # torch's order, in places of evoopt's


def recurrent(graph: ModuleGraph, node: TrainedNode[Recurrent], x: fx.Node) -> fx.Node:
    """Write a recurrent layer."""
    x = x if len(node.input_shape) == 2 else graph.call(graph.torch.unsqueeze, x, 1)
    known = getattr(node.layer, "activation", "tanh") in ("tanh", "relu")  # torch's RNN has these two
    outputs = _module(graph, node, x) if known else _unrolled(graph, node, x)
    return outputs if len(node.output_shape) == 2 else graph.item(outputs, ALL, -1)


def _module(graph: ModuleGraph, node: TrainedNode[Recurrent], x: fx.Node) -> fx.Node:
    layer, nn = node.layer, graph.torch.nn
    options = {"nonlinearity": layer.activation} if isinstance(layer, RNN) else {}
    make = {RNN: nn.RNN, GRU: nn.GRU, LSTM: nn.LSTM}[type(layer)]
    module = make(node.input_shape[-1], layer.units, bias=layer.use_bias, batch_first=True, **options)
    state = [graph.call(graph.torch.unsqueeze, part, 0) for part in _state(graph, node)]
    first = [tuple(state)] if len(state) > 1 else state  # (h, c) of an LSTM
    called = graph.module(node.name, module, _weights(node), x, *first)
    if state:
        last = graph.item(called, 1)
        parts = [graph.item(last, 0), graph.item(last, 1)] if len(state) > 1 else [last]
        graph.new_states += [graph.item(part, 0) for part in parts]
    return graph.item(called, 0)


def _weights(node: TrainedNode[Recurrent]) -> dict[str, Any]:
    gates = GATES[type(node.layer)]
    found = {
        "weight_ih_l0": reordered(node.weights["kernel"], gates).T,
        "weight_hh_l0": reordered(node.weights["recurrent_kernel"], gates).T,
    }
    if node.layer.use_bias:
        found["bias_ih_l0"], found["bias_hh_l0"] = reordered(both_biases(node), gates)
    return found


def _unrolled(graph: ModuleGraph, node: TrainedNode[Any], x: fx.Node) -> fx.Node:
    """Write an RNN step by step, with a Linear of the inputs and one of the last outputs."""
    kernel, recurrent_kernel = node.weights["kernel"], node.weights["recurrent_kernel"]
    nn, name, outputs = graph.torch.nn, node.name, _state(graph, node)
    weights = {"weight": kernel.T, "bias": both_biases(node).sum(axis=0)}
    products = graph.module(f"{name}.inputs", nn.Linear(*kernel.shape), weights, x)
    weights = {"weight": recurrent_kernel.T}
    linear = nn.Linear(*recurrent_kernel.shape, bias=False)
    for time in range((1, *node.input_shape)[-2]):
        h = graph.item(products, ALL, time)
        if outputs:
            product = graph.module(f"{name}.outputs", linear, weights, outputs[-1])
            h = graph.call(graph.torch.add, h, product)
        outputs.append(ACTIVATIONS[node.layer.activation](graph, h))
    if node.state is None:
        return graph.call(graph.torch.stack, outputs, 1)
    graph.new_states.append(outputs[-1])
    return graph.call(graph.torch.stack, outputs[1:], 1)


def _state(graph: ModuleGraph, node: TrainedNode[Recurrent]) -> list[fx.Node]:
    """Return the parts of the state at the start, (batch, units) each; none if they are zeros."""
    if node.state is None:
        return []
    units = node.layer.units
    starts = range(node.state.start, node.state.stop, units)
    return [graph.item(graph.state, ALL, slice(start, start + units)) for start in starts]
