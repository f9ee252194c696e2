"""Functions of single numbers: activations and arithmetic."""

import math
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from evoopt.interop.torch.recording.arguments import as_axis, require
from evoopt.interop.torch.recording.features import by_place
from evoopt.interop.torch.recording.graph import GraphBuilder
from evoopt.interop.torch.recording.layouts import expanded
from evoopt.interop.torch.recording.signals import UnsupportedError
from evoopt.interop.torch.recording.values import Value
from evoopt.interop.torch.types import Function, Tensor
from evoopt.networks.activations import ActivationLike
from evoopt.networks.layers import Activation
from evoopt.networks.merging import Add, Multiply
from evoopt.networks.normalization import SMALLEST, BatchNorm, Rescaling

Operand = Value | float | Tensor


def _activation(activation: ActivationLike) -> Function:
    """Return the function that records an activation without arguments."""
    layer = Activation(activation)

    def record(graph: GraphBuilder, x: Value, inplace: bool = False) -> Value:
        return graph.apply(layer, x)

    return record


def _leaky_relu(graph: GraphBuilder, x: Value, negative_slope: float = 0.01, inplace: bool = False) -> Value:
    return graph.apply(Activation(("leaky_relu", negative_slope)), x)


def _elu(graph: GraphBuilder, x: Value, alpha: float = 1.0, inplace: bool = False) -> Value:
    return graph.apply(Activation(("elu", alpha)), x)


def _gelu(graph: GraphBuilder, x: Value, approximate: str = "none") -> Value:
    require(approximate == "none", f'approximate must be "none", got {approximate!r}')
    return graph.apply(Activation("gelu"), x)


def _softplus(graph: GraphBuilder, x: Value, beta: float = 1.0, threshold: float = 20.0) -> Value:
    require(
        beta == 1 and threshold >= 15, f"beta must be 1 and threshold at least 15, got {beta}, {threshold}"
    )
    return graph.apply(Activation("softplus"), x)


def _hardtanh(
    graph: GraphBuilder, x: Value, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Value:
    return graph.apply(Activation(("hardtanh", min_val, max_val)), x)


def _hardsigmoid(graph: GraphBuilder, x: Value, inplace: bool = False) -> Value:
    return _hardtanh(graph, _rescaled(graph, x, 1 / 6, 0.5), 0.0, 1.0)


def _hardswish(graph: GraphBuilder, x: Value, inplace: bool = False) -> Value:
    return graph.merge(Multiply(), x, _hardsigmoid(graph, x))


def _clamp(graph: GraphBuilder, x: Value, min: float | None = None, max: float | None = None) -> Value:
    if min == 0 and max is None:
        return graph.apply(Activation("relu"), x)
    if not isinstance(min, int | float) or not isinstance(max, int | float):
        raise UnsupportedError("it must have two numbers, min and max")
    return _hardtanh(graph, x, min, max)


def _over_an_axis(activation: Literal["softmax", "log_softmax"]) -> Function:
    """Return the function that records an activation over one axis, which must lie last."""

    def record(
        graph: GraphBuilder, x: Value, dim: int | None = None, _stacklevel: int = 3, dtype: object = None
    ) -> Value:
        implied = 1 if len(x.shape) in (1, 3) else 0  # torch's choice
        order = x.last(as_axis(x, implied if dim is None else dim))
        node = graph.put(Activation(activation), graph.laid(x, order))
        return Value.ordered(node, order, x.shape, x.channels)

    return record


def _dropout(
    graph: GraphBuilder, x: Value, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Value:
    require(not training, "it drops numbers in evaluation mode, too; pass training=self.training")
    return x


def _rescaled(graph: GraphBuilder, x: Value, scale: float, offset: float) -> Value:
    """Record ``x * scale + offset``, together with such a layer just before it."""
    before = graph.nodes.get(x.node)
    if before is not None and isinstance(before.layer, Rescaling):
        layer = Rescaling(before.layer.scale * scale, before.layer.offset * scale + offset)
        return graph.apply(layer, x.at(before.sources[0]))
    return graph.apply(Rescaling(scale, offset), x)


def _operands(graph: GraphBuilder, x: Operand, y: Operand) -> tuple[Value, Operand]:
    """Return the operand that is a value, and the other one; a constant may be a number."""
    value, other = (x, y) if isinstance(x, Value) else (y, x)
    if not isinstance(value, Value):
        raise UnsupportedError("no operand is computed from the inputs")
    if isinstance(other, Value | int | float):
        return value, other
    require(hasattr(other, "numel"), f"an operand is of type {type(other).__name__}")
    return value, float(other) if other.numel() == 1 and not graph.weights.evolves(other) else other


def _merged(graph: GraphBuilder, layer: Add | Multiply, x: Value, y: Value) -> Value:
    fit = len(x.shape) == len(y.shape) and all(
        m == n or 1 in (m, n) for m, n in zip(x.shape, y.shape, strict=True)
    )
    require(fit, f"the operands must have one shape, or axes of size 1, got {x.shape} and {y.shape}")
    shape = tuple(map(max, x.shape, y.shape))
    return graph.merge(layer, expanded(graph, x, shape), expanded(graph, y, shape))


def _by_place(graph: GraphBuilder, x: Value, parameter: str, tensor: Tensor) -> Value:
    """Record an operation with a constant or a parameter: gamma multiplies, beta is added."""
    sizes = (1,) * (len(x.shape) + 1 - tensor.dim()) + tuple(tensor.shape)
    require(len(sizes) == len(x.shape) + 1 and sizes[0] == 1, "an operand has more axes than a sample")
    axes = [axis for axis, size in enumerate(sizes[1:]) if size > 1]
    fits = all(sizes[axis + 1] == x.shape[axis] for axis in axes)
    require(
        fits and (len(axes) <= 1 or sizes[1:] == x.shape), f"an operand has the shape {tuple(tensor.shape)}"
    )
    array = tensor if graph.weights.evolves(tensor) else tensor.double().numpy()
    n = math.prod(sizes)
    given = {"gamma": np.ones(n, np.float32), "beta": np.zeros(n, np.float32)} | {parameter: array}
    given |= {"mean": np.zeros(n, np.float32), "var": np.ones(n, np.float32)}
    layer, parts = BatchNorm(SMALLEST), [*given.items()]
    if axes:
        return by_place(graph, layer, x, axes, parts)
    column = by_place(graph, layer, x.reshaped((*x.shape, 1)), [len(x.shape)], parts)  # one number
    return replace(column.reshaped(x.shape), channels=x.channels)


def _add(graph: GraphBuilder, x: Operand, other: Operand, alpha: float = 1) -> Value:
    if alpha != 1:
        other = _mul(graph, other, alpha) if isinstance(other, Value) else _constant(graph, other) * alpha
    value, other = _operands(graph, x, other)
    if isinstance(other, Value):
        return _merged(graph, Add(), value, other)
    if isinstance(other, int | float):
        return _rescaled(graph, value, 1.0, other)
    return _by_place(graph, value, "beta", other)


def _mul(graph: GraphBuilder, x: Operand, other: Operand) -> Value:
    value, other = _operands(graph, x, other)
    if isinstance(other, Value):
        return _merged(graph, Multiply(), value, other)
    if isinstance(other, int | float):
        return _rescaled(graph, value, other, 0.0)
    return _by_place(graph, value, "gamma", other)


def _sub(graph: GraphBuilder, x: Operand, other: Operand, alpha: float = 1) -> Value:
    return _add(graph, x, _neg(graph, other) if isinstance(other, Value) else -_constant(graph, other), alpha)


def _constant(graph: GraphBuilder, operand: Operand) -> Any:
    """Return an operand that does not evolve, as it is."""
    require(not graph.weights.evolves(operand), "a parameter of the module can only be added or multiplied")
    return operand


def _rsub(graph: GraphBuilder, x: Operand, other: Operand, alpha: float = 1) -> Value:
    return _sub(graph, other, x, alpha)


def _div(graph: GraphBuilder, x: Operand, other: Operand, rounding_mode: str | None = None) -> Value:
    constant = isinstance(x, Value) and not isinstance(other, Value)
    require(constant and rounding_mode is None, "only a division by a constant can be taken, unrounded")
    require(not isinstance(other, int | float) or other != 0, "the divisor is 0")
    return _mul(graph, x, 1 / _constant(graph, other))


def _neg(graph: GraphBuilder, x: Value) -> Value:
    return _rescaled(graph, x, -1.0, 0.0)


def _pow(graph: GraphBuilder, x: Value, exponent: object) -> Value:
    if not isinstance(exponent, int | float) or exponent not in (1, 2, 3, 4):
        raise UnsupportedError(f"the exponent must be 1, 2, 3 or 4, got {exponent}")
    power = x
    for _ in range(int(exponent) - 1):
        power = _mul(graph, power, x)
    return power


def _square(graph: GraphBuilder, x: Value) -> Value:
    return _mul(graph, x, x)


FUNCTIONS: dict[str, Function] = {
    **{name: _activation(name) for name in ("relu", "tanh", "sigmoid", "selu", "silu", "sin")},
    "relu6": _activation(("hardtanh", 0.0, 6.0)),
    "leaky_relu": _leaky_relu,
    "elu": _elu,
    "gelu": _gelu,
    "softplus": _softplus,
    "hardtanh": _hardtanh,
    "hardsigmoid": _hardsigmoid,
    "hardswish": _hardswish,
    "clamp": _clamp,
    "clip": _clamp,
    "softmax": _over_an_axis("softmax"),
    "log_softmax": _over_an_axis("log_softmax"),
    **dict.fromkeys(
        ("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout"), _dropout
    ),
    **dict.fromkeys(("add", "iadd", "radd"), _add),
    **dict.fromkeys(("mul", "imul", "rmul", "multiply"), _mul),
    **dict.fromkeys(("sub", "isub", "subtract"), _sub),
    "rsub": _rsub,
    **dict.fromkeys(("div", "truediv", "itruediv", "divide", "true_divide"), _div),
    **dict.fromkeys(("neg", "negative"), _neg),
    "pow": _pow,
    "square": _square,
}
