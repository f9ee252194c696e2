"""Dropout, which is there for networks of other libraries: nothing happens."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

from evoopt import arguments
from evoopt.devices.interface.network import Location, Operation
from evoopt.networks.layers import NamedLayer
from evoopt.types import Shape


@dataclass(frozen=True)
class Dropout(NamedLayer):
    """A layer that changes nothing, as dropout does when a network is evaluated.

    Evolution only evaluates networks. So a network of another library keeps its layers in place.

    Parameters
    ----------
    rate : float
        The share of inputs that training by gradients would drop, at least 0 and less than 1.

    Raises
    ------
    ValueError
        For another `rate`.

    Examples
    --------
    >>> import evoopt
    >>> layers = [evoopt.Dense(32, "relu"), evoopt.Dropout(0.5), evoopt.Dense(10)]
    >>> evoopt.Network(layers, input_shape=(64,)).output_shape
    (10,)
    """

    rate: float

    kind: ClassVar[str] = "dropout"

    def __post_init__(self) -> None:
        object.__setattr__(self, "rate", arguments.below_1("rate", self.rate))

    def operations(self, input_shape: Shape, locations: Mapping[str, Location]) -> Iterator[Operation]:
        return iter(())
