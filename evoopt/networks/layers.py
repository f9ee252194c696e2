"""Every layer once: its shapes, its parameters, their first values and its operations.

The NumPy formula of each is in tests/reference.py. A kind of operation has a row in
devices/cpu/operations.py and, where CUDA has it, in devices/cuda/operations.py.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

from evoopt import arguments
from evoopt.arrays import shown
from evoopt.calls import Called
from evoopt.compiling.jit import is_compiled
from evoopt.devices.interface.network import Location, Operation
from evoopt.networks.activations import ActivationLike, activation_operations, read_activation
from evoopt.networks.initializers import Initializer, check_initializer
from evoopt.types import Shape


class Parameter(NamedTuple):
    """One array of a layer: shape, initializer, and connections in and out of a unit.

    One that is not `trainable` never evolves: it keeps its first values, or those that
    `Network.freeze` gets. See `Layer` for an example.
    """

    shape: Shape
    initializer: str
    fan_in: int = 1
    fan_out: int = 1
    trainable: bool = True


class Layer(Called):
    """A part of a network, described for the devices; it holds no weights.

    A layer of your own returns its shapes, its parameters and a function compiled by numba. Its
    weights then evolve, freeze and save like any others.

    Attributes
    ----------
    kind : str
        The stem of its names: the first Dense layer of a network is ``dense_0``. By default the
        name of the class in small letters.
    name : str or None
        Its own name in place of this one, see `Dense`.
    few_samples : int
        The largest number of samples in a call for which a CPU is faster with vectors along the
        outputs than with vectors along the samples.

    Examples
    --------
    >>> import numba
    >>> import numpy as np
    >>> import evoopt
    >>> @numba.njit
    ... def scale(x, y, gain):
    ...     for f in range(len(x)):
    ...         y[f] = gain[f] * x[f]
    >>> class Scale(evoopt.Layer):
    ...     def parameters(self, input_shape):
    ...         return {"gain": evoopt.Parameter(input_shape, "ones")}
    ...
    ...     def function(self, input_shape):
    ...         return scale
    >>> net = evoopt.Network([Scale()], input_shape=(3,))
    >>> net.predict({"scale_0": {"gain": np.array([1.0, 2.0, 3.0])}}, np.ones((1, 3)))
    array([[1., 2., 3.]])
    """

    kind: ClassVar[str]
    few_samples: ClassVar[int] = 8
    name: str | None = None

    def __init__(self, *, name: str | None = None) -> None:
        self.name = name

    def __init_subclass__(cls) -> None:
        if not hasattr(cls, "kind"):
            cls.kind = cls.__name__.lower()

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of one sample's output, by default the shape of its input.

        A layer that cannot take an `input_shape` raises ValueError.
        """
        return input_shape

    def parameters(self, input_shape: Shape) -> dict[str, Parameter]:
        """Return the parameters by name, by default none."""
        return {}

    def function(self, input_shape: Shape) -> Callable[..., None]:
        """Return ``function(x, y, *parameters)`` decorated with ``numba.njit``, which writes y.

        x is (features in, samples) and y (features out, samples): some samples side by side, of
        which the last may be fillers; images come row-major. The parameters are 1-d arrays in the
        order of `parameters`, and must not be written to. If it raises, the outputs are NaN.
        """
        raise ValueError(
            f"A layer of your own needs a method function(input_shape) that returns an njit function of "
            f"(x, y, *parameters), but {type(self).__name__} has none."
        )

    def operations(self, input_shape: Shape, locations: Mapping[str, Location]) -> Iterator[Operation]:
        """Return the operations in order; `locations` has the place of each parameter."""
        function = self.function(input_shape)
        if not is_compiled(function):
            raise ValueError(
                f"The function of the layer {type(self).__name__} must be decorated with numba.njit, got "
                f"{shown(function)}."
            )
        parameters = self.parameters(input_shape)
        yield Operation(
            "function",
            math.prod(input_shape),
            math.prod(self.output_shape(input_shape)),
            tuple(locations[name] for name in parameters),
            function=function,
            weights=sum(math.prod(parameter.shape) for parameter in parameters.values()),
        )


@dataclass(frozen=True)
class NamedLayer(Layer):
    """The base of evoopt's own layers, whose last option is their name."""

    name: str | None = field(default=None, kw_only=True, repr=False)


@dataclass(frozen=True)
class Dense(NamedLayer):
    """A fully connected layer: ``activation(inputs @ kernel + bias)``.

    Its kernel is (in, units), its bias (units,).

    Of inputs with several axes it takes the last one, with the same kernel at each place of the
    others.

    Parameters
    ----------
    units : int
        Number of outputs.
    activation : str, tuple or njit function
        "linear", "tanh", "relu", "sigmoid", "gelu" (with the exact normal distribution), "silu" or
        "swish" (one function), "elu", "selu", "leaky_relu" (with a slope of 0.01), "softplus",
        "hardtanh" (from -1 to 1), "sin", "softmax" or "log_softmax". Or a name with numbers:
        ``("leaky_relu", slope)``, ``("elu", alpha)`` or ``("hardtanh", lowest, highest)``. Or a
        function of one number decorated with ``numba.njit``.
    use_bias : bool
        Whether there is a bias.
    kernel_init, bias_init : str
        "zeros", "ones" or one of glorot, he, lecun with "_uniform" or "_normal".
    name : str, optional
        The name of the layer among the network's parameters, by default its kind and its position
        among its kind. A dot makes nested parameters: the ones of "policy.first" are in
        ``params["policy"]["first"]``. Every layer has this option.

    Raises
    ------
    ValueError
        For an unknown activation or initializer, numbers of an activation that are not finite in
        float32, or `units` that is not a whole number of at least 1.

    Examples
    --------
    >>> import evoopt
    >>> layers = [evoopt.Dense(2, "relu"), evoopt.Dense(1, "sigmoid")]
    >>> net = evoopt.Network(layers, input_shape=(2,))
    >>> net.spec.names
    ('dense_0.bias', 'dense_0.kernel', 'dense_1.bias', 'dense_1.kernel')
    """

    units: int
    activation: ActivationLike = "linear"
    use_bias: bool = True
    kernel_init: Initializer = "glorot_uniform"
    bias_init: Initializer = "zeros"

    kind: ClassVar[str] = "dense"

    def __post_init__(self) -> None:
        object.__setattr__(self, "units", arguments.whole("units", self.units, 1))
        object.__setattr__(self, "activation", read_activation(self.activation))
        object.__setattr__(self, "use_bias", arguments.flag("use_bias", self.use_bias))
        check_initializer(self.kernel_init)
        check_initializer(self.bias_init)

    def output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:-1], self.units)

    def parameters(self, input_shape: Shape) -> dict[str, Parameter]:
        fans = input_shape[-1], self.units
        found = {"kernel": Parameter(fans, self.kernel_init, *fans)}
        if self.use_bias:
            found["bias"] = Parameter((self.units,), self.bias_init, *fans)
        return found

    def operations(self, input_shape: Shape, locations: Mapping[str, Location]) -> Iterator[Operation]:
        *axes, features = input_shape
        places = math.prod(axes)
        yield Operation(
            "dense",
            places * features,
            places * self.units,
            (locations["kernel"], locations.get("bias")),
            sizes=(places, features, self.units),
            weights=features * self.units,
            places=places,
        )
        yield from activation_operations(self.activation, places * self.units, self.units)


@dataclass(frozen=True)
class Activation(NamedLayer):
    """A layer that applies an activation alone, to inputs of any shape.

    Parameters
    ----------
    activation : str, tuple or njit function
        As for `Dense`; a softmax is over the last axis, at each place of the others.

    Raises
    ------
    ValueError
        For an unknown activation.

    Examples
    --------
    >>> import evoopt
    >>> layers = [evoopt.Dense(2, use_bias=False), evoopt.Activation(("leaky_relu", 0.2))]
    >>> net = evoopt.Network(layers, input_shape=(1,))
    >>> net.predict([1.0, -1.0], [[3.0]])
    array([[ 3. , -0.6]])
    """

    activation: ActivationLike

    kind: ClassVar[str] = "activation"

    def __post_init__(self) -> None:
        object.__setattr__(self, "activation", read_activation(self.activation))

    def operations(self, input_shape: Shape, locations: Mapping[str, Location]) -> Iterator[Operation]:
        yield from activation_operations(self.activation, math.prod(input_shape), input_shape[-1])
