"""Recurrent layers, each a call of torch with the weights of several layers."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from evoopt.interop.torch.recording.arguments import require
from evoopt.interop.torch.recording.graph import GraphBuilder
from evoopt.interop.torch.recording.layouts import cut
from evoopt.interop.torch.recording.values import States, Unknown, Value
from evoopt.interop.torch.recording.weights import Part
from evoopt.interop.torch.types import Function, Tensor
from evoopt.networks.recurrent import GRU, LSTM, RNN, Recurrent, RecurrentActivation

GATES = {  # torch's gates in the order of evoopt's: of a GRU torch has r, z and the candidate
    "rnn_tanh": (0,),
    "rnn_relu": (0,),
    "gru": (1, 0, 2),
    "lstm": (0, 1, 2, 3),
}


def _layer(kind: str, units: int, use_bias: bool) -> Recurrent:
    if kind == "gru":
        return GRU(units, return_sequences=True, use_bias=use_bias)
    if kind == "lstm":
        return LSTM(units, return_sequences=True, use_bias=use_bias, biases=2)
    activation: RecurrentActivation = "relu" if kind == "rnn_relu" else "tanh"
    return RNN(units, activation, return_sequences=True, use_bias=use_bias, biases=2)


def _parts(kind: str, units: int, weights: Sequence[Tensor]) -> list[Part]:
    """Return the parameters of one layer: kernels, and both biases in one."""
    gates = GATES[kind]
    columns = np.arange(len(gates) * units).reshape(-1, units)[[*gates]].ravel()
    order = None if gates == tuple(sorted(gates)) else columns
    kernels = zip(("kernel", "recurrent_kernel"), weights[:2], strict=True)
    found = [Part(name, tensor, (1, 0), order=order, axis=-1) for name, tensor in kernels]
    return found + [
        Part("bias", tensor, order=order, axis=-1, row=row) for row, tensor in enumerate(weights[2:])
    ]


def _recurrent(kind: str) -> Function:
    def record(
        graph: GraphBuilder,
        x: Value,
        states: Any,
        weights: Sequence[Tensor],
        has_biases: bool,
        num_layers: int,
        dropout: float,
        training: bool,
        bidirectional: bool,
        batch_first: bool,
    ) -> tuple[Any, ...]:
        require(batch_first, "batch_first must be True")
        require(not bidirectional, "bidirectional must be False")
        require(len(weights) == num_layers * (4 if has_biases else 2), "proj_size must be 0")
        for state in states if isinstance(states, tuple | list) else (states,):
            require(_is_zero(state), "its first state must be zeros; a network keeps states itself")
        last, times = [], x.shape[0]
        for own in np.arange(len(weights)).reshape(num_layers, -1):
            x = _one(graph, kind, x, [weights[place] for place in own], num_layers)
            last.append(cut(graph, x, 0, times - 1, times).reshaped(x.shape[1:]))
        cells = [Unknown("a network does not return the cells of an LSTM")] if kind == "lstm" else []
        return (x, States(tuple(last)), *cells)

    return record


def _one(graph: GraphBuilder, kind: str, x: Value, weights: Sequence[Tensor], num_layers: int) -> Value:
    """Record one of several layers."""
    units = weights[1].shape[1]
    parts = _parts(kind, units, weights)
    module, _, own = graph.weights.name(parts[0]).rpartition(".")
    name = ".".join(filter(None, (module, own.rpartition("_")[2] if num_layers > 1 else "")))
    node = graph.weigh(_layer(kind, units, len(weights) > 2), graph.laid(x), parts, name)
    return Value.plain(node, graph.shape(node))


def _is_zero(state: Tensor) -> bool:
    return not isinstance(state, Value | States | Unknown) and not state.any()


FUNCTIONS: dict[str, Function] = {kind: _recurrent(kind) for kind in GATES}
