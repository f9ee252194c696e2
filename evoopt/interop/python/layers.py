"""Each layer as a call of a formula: the table `LAYERS`, and the activations."""

from collections.abc import Callable
from typing import Any, NamedTuple

from evoopt.interop.python import formulas
from evoopt.interop.trained import TrainedNode, Weights, axis_of, both_biases, permutation_of
from evoopt.interop.windows import Convolution, Windowed, pads_of, size_of, strides_of
from evoopt.networks.convolution import Conv1D, Conv2D
from evoopt.networks.dropout import Dropout
from evoopt.networks.embedding import Embedding
from evoopt.networks.layers import Activation, Dense, Layer
from evoopt.networks.merging import Add, Concat, Multiply
from evoopt.networks.normalization import BatchNorm, LayerNorm, Rescaling
from evoopt.networks.pooling import AvgPool1D, AvgPool2D, GlobalAvgPool, MaxPool1D, MaxPool2D
from evoopt.networks.recurrent import GRU, LSTM, RNN, Recurrent
from evoopt.networks.shaping import Flatten, Permute, Reshape, Slice

Formula = Callable[..., Any]
ACTIVATIONS: dict[str, Formula] = {
    "linear": formulas.linear,
    "tanh": formulas.tanh,
    "relu": formulas.relu,
    "sigmoid": formulas.sigmoid,
    "gelu": formulas.gelu,
    "silu": formulas.silu,
    "swish": formulas.silu,
    "elu": formulas.elu,
    "selu": formulas.selu,
    "leaky_relu": formulas.leaky_relu,
    "softplus": formulas.softplus,
    "hardtanh": formulas.hardtanh,
    "sin": formulas.sin,
    "softmax": formulas.softmax,
    "log_softmax": formulas.log_softmax,
}


class Call(NamedTuple):
    """A call ``formula(*sources, **weights, **options)``."""

    formula: Formula
    options: dict[str, object]
    weights: Weights


def _calls(formula: Formula, *names: str) -> Callable[[TrainedNode[Layer]], Call]:
    """Return the row of a layer whose formula takes the weights, and attributes of the layer."""
    return lambda node: Call(formula, {name: getattr(node.layer, name) for name in names}, node.weights)


def _conv(node: TrainedNode[Convolution]) -> Call:
    return Call(formulas.conv, {"strides": strides_of(node.layer), "pads": pads_of(node)}, node.weights)


def _pool(formula: Formula) -> Callable[[TrainedNode[Windowed]], Call]:
    def row(node: TrainedNode[Windowed]) -> Call:
        layer = node.layer
        return Call(
            formula, {"size": size_of(layer), "strides": strides_of(layer), "pads": pads_of(node)}, {}
        )

    return row


def _rnn(node: TrainedNode[RNN]) -> Call:
    options = {"activation": ACTIVATIONS[node.layer.activation], **_sequences(node)}
    return Call(formulas.rnn, options, _with_one_bias(node))


def _gru(node: TrainedNode[GRU]) -> Call:
    return Call(formulas.gru, _sequences(node), node.weights)


def _lstm(node: TrainedNode[LSTM]) -> Call:
    return Call(formulas.lstm, _sequences(node), _with_one_bias(node))


def _sequences(node: TrainedNode[Recurrent]) -> dict[str, object]:
    return {"sequences": len(node.output_shape) == 2}


def _with_one_bias(node: TrainedNode[Recurrent]) -> Weights:
    return node.weights | ({"bias": both_biases(node).sum(axis=0)} if node.layer.use_bias else {})


def _reshape(node: TrainedNode[Reshape]) -> Call:
    return Call(formulas.reshape, {"shape": node.output_shape}, {})


def _permute(node: TrainedNode[Permute]) -> Call:
    return Call(formulas.permute, {"axes": permutation_of(node)}, {})


def _slice(node: TrainedNode[Slice]) -> Call:
    layer = node.layer
    return Call(formulas.part, {"start": layer.start, "stop": layer.stop, "axis": axis_of(node)}, {})


LAYERS: dict[type[Layer], Callable[[TrainedNode[Any]], Call]] = {
    Dense: _calls(formulas.dense),
    Embedding: _calls(formulas.embedded),
    Conv1D: _conv,
    Conv2D: _conv,
    MaxPool1D: _pool(formulas.max_pool),
    MaxPool2D: _pool(formulas.max_pool),
    AvgPool1D: _pool(formulas.avg_pool),
    AvgPool2D: _pool(formulas.avg_pool),
    GlobalAvgPool: _calls(formulas.global_avg_pool),
    LayerNorm: _calls(formulas.layer_norm, "epsilon"),
    BatchNorm: _calls(formulas.batch_norm, "epsilon"),
    Rescaling: _calls(formulas.rescaling, "scale", "offset"),
    Dropout: _calls(formulas.linear),
    Activation: _calls(formulas.linear),
    Flatten: _calls(formulas.flatten),
    Reshape: _reshape,
    Permute: _permute,
    Slice: _slice,
    RNN: _rnn,
    GRU: _gru,
    LSTM: _lstm,
    Add: _calls(formulas.add),
    Multiply: _calls(formulas.multiply),
    Concat: _calls(formulas.concat),
}
