"""Layers that normalize their inputs."""

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
class LayerNorm(NamedLayer):
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

    epsilon: float = 1e-5
    activation: ActivationLike = "linear"

    kind: ClassVar[str] = "layer_norm"

    def __post_init__(self) -> None:
        object.__setattr__(self, "epsilon", arguments.within("epsilon", self.epsilon, SMALLEST, 1 / SMALLEST))
        object.__setattr__(self, "activation", read_activation(self.activation))

    def parameters(self, input_shape: Shape) -> dict[str, Parameter]:
        shape = input_shape[-1:]
        return {"gamma": Parameter(shape, "ones"), "beta": Parameter(shape, "zeros")}

    def operations(self, input_shape: Shape, locations: Mapping[str, Location]) -> Iterator[Operation]:
        features, n = math.prod(input_shape), input_shape[-1]
        yield Operation(
            "layer_norm",
            features,
            features,
            (locations["gamma"], locations["beta"]),
            sizes=(features // n,),
            numbers=(self.epsilon,),
            weights=2 * n,
            places=features // n,
        )
        yield from activation_operations(self.activation, features, n)
