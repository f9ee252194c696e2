"""Recurrent layers, in Keras's layout: one kernel for inputs, one for the last output.

A sequence (time, features) goes through in one call. With (features,) a call is one time step.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal, get_args

from evoopt import arguments
from evoopt.devices.interface.network import Location, Operation
from evoopt.networks.initializers import FORGET_ONES, Initializer, check_initializer
from evoopt.networks.layers import NamedLayer, Parameter
from evoopt.types import Shape

RecurrentActivation = Literal["linear", "tanh", "relu", "sigmoid"]


@dataclass(frozen=True)
class Recurrent(NamedLayer):
    """The base of recurrent layers, which differ by its class variables."""

    units: int
    return_sequences: bool = field(default=False, kw_only=True)
    use_bias: bool = field(default=True, kw_only=True)
    kernel_init: Initializer = field(default="glorot_uniform", kw_only=True)
    recurrent_init: Initializer = field(default="orthogonal", kw_only=True)

    operation: ClassVar[str]
    gates: ClassVar[int]
    bias_init: ClassVar[str] = "zeros"
    state_parts: ClassVar[int] = 1  # each has `units` numbers

    def __post_init__(self) -> None:
        object.__setattr__(self, "units", arguments.whole("units", self.units, 1))
        for name in ("return_sequences", "use_bias"):
            object.__setattr__(self, name, arguments.flag(name, getattr(self, name)))
        check_initializer(self.kernel_init)
        check_initializer(self.recurrent_init)

    @property
    def biases(self) -> int:
        """The number of biases: 2 are one for the inputs and one for the last outputs."""
        return 2

    def output_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) not in (1, 2):
            raise ValueError(
                f"{type(self).__name__} takes samples of shape (time, features), or (features,) for one time "
                f"step a call, got {input_shape}."
            )
        return (*input_shape[:-1], self.units) if self.return_sequences else (self.units,)

    def parameters(self, input_shape: Shape) -> dict[str, Parameter]:
        features, n_out = input_shape[-1], self.gates * self.units
        found = {
            "kernel": Parameter((features, n_out), self.kernel_init, features, n_out),
            "recurrent_kernel": Parameter((self.units, n_out), self.recurrent_init, self.units, n_out),
        }
        if self.use_bias:
            shape = (n_out,) if self.biases == 1 else (self.biases, n_out)
            found["bias"] = Parameter(shape, self.bias_init, features, n_out)
        return found

    def operations(self, input_shape: Shape, locations: Mapping[str, Location]) -> Iterator[Operation]:
        times, features = (1, *input_shape)[-2:]
        n_out = self.gates * self.units
        yield Operation(
            self.operation,
            times * features,
            math.prod(self.output_shape(input_shape)),
            (locations["kernel"], locations["recurrent_kernel"], locations.get("bias")),
            sizes=(times, self.units, self.gates, self.biases, self.return_sequences),
            function=self._activation(),
            weights=(features + self.units) * n_out,
            places=times,
            state=self.state_parts * self.units,
        )

    def _activation(self) -> str:
        return "tanh"


@dataclass(frozen=True)
class _OneOrTwoBiases(Recurrent):
    biases: Literal[1, 2] = field(default=1, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "biases", arguments.whole("biases", self.biases, 1, 2))


@dataclass(frozen=True)
class RNN(_OneOrTwoBiases):
    """A simple recurrent layer: ``h = activation(x @ kernel + h @ recurrent_kernel + bias)``.

    Parameters
    ----------
    units : int
        Number of outputs.
    activation : str
        "tanh", "relu", "sigmoid" or "linear".
    return_sequences : bool
        Whether all time steps are the output, (time, units), or the last one, (units,). If a call
        is one time step, the output is (units,) in any case.
    use_bias : bool
        Whether there is a bias, at first zeros.
    biases : {1, 2}
        How many biases are added: one, (units,), or as in torch one to the product with the inputs
        and one to the product with the last outputs, (2, units).
    kernel_init, recurrent_init : str
        "zeros", "orthogonal" or one of glorot, he, lecun with "_uniform" or "_normal".

    Raises
    ------
    ValueError
        For an unknown activation or initializer, `units` that is not a whole number of at least 1,
        or `biases` other than 1 and 2.

    Notes
    -----
    kernel (features, units), recurrent_kernel (units, units). The state is h, (units,).

    Examples
    --------
    >>> import numpy as np
    >>> import evoopt
    >>> net = evoopt.Network([evoopt.RNN(8, return_sequences=True)], input_shape=(20, 3))
    >>> net.predict(net.init(seed=0), np.ones((5, 20, 3))).shape
    (5, 20, 8)
    """

    activation: RecurrentActivation = "tanh"

    kind: ClassVar[str] = "rnn"
    operation: ClassVar[str] = "rnn"
    gates: ClassVar[int] = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        arguments.one_of("The activation of RNN", self.activation, get_args(RecurrentActivation))

    def _activation(self) -> str:
        return self.activation


@dataclass(frozen=True)
class GRU(Recurrent):
    """A layer of gated recurrent units, reset after the product as in Keras by default.

    ``z, r = sigmoid(x @ kernel + bias[0] + h @ recurrent_kernel + bias[1])`` in their columns, then
    ``h = z * h + (1 - z) * tanh(x @ kernel + bias[0] + r * (h @ recurrent_kernel + bias[1]))``, its
    output.

    Parameters
    ----------
    units : int
        Number of outputs.
    return_sequences, use_bias, kernel_init, recurrent_init
        As of `RNN`.

    Raises
    ------
    ValueError
        As of `RNN`.

    Notes
    -----
    kernel (features, 3 * units), recurrent_kernel (units, 3 * units), bias (2, 3 * units);
    the columns are in this order z, r and the candidate. The state is h, (units,).

    Examples
    --------
    >>> import numpy as np
    >>> import evoopt
    >>> net = evoopt.Network([evoopt.GRU(16), evoopt.Dense(2, "tanh")], input_shape=(4,))
    >>> params, state = net.init(seed=0), net.initial_state(1, 1)[0]
    >>> action, state = net.predict(params, np.ones((1, 4)), state)  # one time step
    >>> action.shape, state.shape
    ((1, 2), (1, 16))
    """

    kind: ClassVar[str] = "gru"
    operation: ClassVar[str] = "gru"
    gates: ClassVar[int] = 3


@dataclass(frozen=True)
class LSTM(_OneOrTwoBiases):
    """A layer of long short-term memory.

    ``i, f, g, o = x @ kernel + h @ recurrent_kernel + bias`` in their columns, then
    ``c = sigmoid(f) * c + sigmoid(i) * tanh(g)`` and ``h = sigmoid(o) * tanh(c)``, its output.

    Parameters
    ----------
    units : int
        Number of outputs.
    return_sequences, use_bias, biases, kernel_init, recurrent_init
        As of `RNN`; but the bias, of two the first one, is at first 1 for f, so that nothing is
        forgotten.

    Raises
    ------
    ValueError
        As of `RNN`.

    Notes
    -----
    kernel (features, 4 * units), recurrent_kernel (units, 4 * units), bias (4 * units,) or
    (2, 4 * units); the columns are in this order i, f, g and o. The state is h and then c,
    (2 * units,).

    Examples
    --------
    >>> import evoopt
    >>> net = evoopt.Network([evoopt.LSTM(16), evoopt.Dense(1)], input_shape=(20, 3))
    >>> net.spec.unravel(net.init(seed=0))["lstm_0"]["bias"].reshape(4, 16).mean(axis=1).tolist()
    [0.0, 1.0, 0.0, 0.0]
    """

    kind: ClassVar[str] = "lstm"
    operation: ClassVar[str] = "lstm"
    gates: ClassVar[int] = 4
    bias_init: ClassVar[str] = FORGET_ONES
    state_parts: ClassVar[int] = 2
