"""Layers that shift and scale their inputs: normalization and rescaling."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

from evoopt import arguments
from evoopt.devices.interface.network import Location, Operation
from evoopt.networks.activations import ActivationLike, activation_operations, read_activation
from evoopt.networks.layers import NamedLayer, Parameter
from evoopt.types import Shape

SMALLEST = 1e-30  # epsilon, whose root float32 tells from 0 with digits to spare


@dataclass(frozen=True)
class _Normalization(NamedLayer):
    epsilon: float = 1e-5
    activation: ActivationLike = "linear"

    def __post_init__(self) -> None:
        object.__setattr__(self, "epsilon", arguments.within("epsilon", self.epsilon, SMALLEST, 1 / SMALLEST))
        object.__setattr__(self, "activation", read_activation(self.activation))

    def operations(self, input_shape: Shape, locations: Mapping[str, Location]) -> Iterator[Operation]:
        features, n = math.prod(input_shape), input_shape[-1]
        names = tuple(self.parameters(input_shape))
        yield Operation(
            self.kind,
            features,
            features,
            tuple(locations[name] for name in names),
            sizes=(features // n,),
            numbers=(self.epsilon,),
            weights=len(names) * n,
            places=features // n,
        )
        yield from activation_operations(self.activation, features, n)


class LayerNorm(_Normalization):
    """Layer normalization (Ba et al. 2016, https://arxiv.org/abs/1607.06450) over the last axis.

    ``activation((inputs - mean) / sqrt(variance + epsilon) * gamma + beta)`` with the mean and the
    variance of the last axis at each place of the others, and with parameters gamma and beta
    (features,).

    Parameters
    ----------
    epsilon : float
        Keeps the root from 0.
    activation : str, tuple or njit function
        As for `Dense`.

    Raises
    ------
    ValueError
        For an `epsilon` that is not from 1e-30 to 1e30, or an unknown activation.

    Examples
    --------
    >>> import numpy as np
    >>> import evoopt
    >>> net = evoopt.Network([evoopt.LayerNorm()], input_shape=(2,))
    >>> net.predict(net.init(), np.array([[3.0, 7.0]])).round(3)
    array([[-1.,  1.]], dtype=float32)
    """

    kind: ClassVar[str] = "layer_norm"

    def parameters(self, input_shape: Shape) -> dict[str, Parameter]:
        shape = input_shape[-1:]
        return {"gamma": Parameter(shape, "ones"), "beta": Parameter(shape, "zeros")}


class BatchNorm(_Normalization):
    """Batch normalization with given statistics (Ioffe and Szegedy 2015).

    ``activation((inputs - mean) / sqrt(var + epsilon) * gamma + beta)`` for each channel of the
    last axis, with parameters gamma, beta, mean and var (channels,).

    The statistics mean and var never evolve: they are 0 and 1, or the statistics of a trained
    network, which `Network.freeze` takes. See https://arxiv.org/abs/1502.03167.

    Parameters
    ----------
    epsilon, activation
        As for `LayerNorm`.

    Raises
    ------
    ValueError
        As of `LayerNorm`.

    Examples
    --------
    >>> import numpy as np
    >>> import evoopt
    >>> net = evoopt.Network([evoopt.BatchNorm()], input_shape=(2,))
    >>> net.spec.names, [*net.spec.frozen]
    (('batch_norm_0.beta', 'batch_norm_0.gamma'), ['batch_norm_0.mean', 'batch_norm_0.var'])
    >>> params = net.spec.unravel(net.init())
    >>> params["batch_norm_0"]["mean"] = np.array([3.0, 5.0])
    >>> net = net.freeze(params, trainable="batch_norm_0")
    >>> net.predict(net.init(), np.array([[4.0, 7.0]])).round(3)
    array([[1., 2.]], dtype=float32)
    """

    kind: ClassVar[str] = "batch_norm"

    def parameters(self, input_shape: Shape) -> dict[str, Parameter]:
        shape = input_shape[-1:]
        return {
            "gamma": Parameter(shape, "ones"),
            "beta": Parameter(shape, "zeros"),
            "mean": Parameter(shape, "zeros", trainable=False),
            "var": Parameter(shape, "ones", trainable=False),
        }


@dataclass(frozen=True)
class Rescaling(NamedLayer):
    """A layer of two numbers that do not evolve: ``inputs * scale + offset``.

    Parameters
    ----------
    scale, offset : float
        For bytes to be from 0 to 1, take a scale of 1 / 255.

    Raises
    ------
    ValueError
        For a number that is not from -1e30 to 1e30.

    Examples
    --------
    >>> import numpy as np
    >>> import evoopt
    >>> layers = [evoopt.Rescaling(0.5, -1), evoopt.Dense(1, kernel_init="ones")]
    >>> net = evoopt.Network(layers, input_shape=(1,))
    >>> net.predict(net.init(), np.array([[0.0], [4.0]]))
    array([[-1.],
           [ 1.]], dtype=float32)
    """

    scale: float
    offset: float = 0.0

    kind: ClassVar[str] = "rescaling"

    def __post_init__(self) -> None:
        for name in ("scale", "offset"):
            number = arguments.within(name, getattr(self, name), -1 / SMALLEST, 1 / SMALLEST)
            object.__setattr__(self, name, number)

    def operations(self, input_shape: Shape, locations: Mapping[str, Location]) -> Iterator[Operation]:
        features = math.prod(input_shape)
        yield Operation("rescaling", features, features, numbers=(self.scale, self.offset))
