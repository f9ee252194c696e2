"""Networks: the operations that describe one, by kind, and the engine that runs it."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeVar

from numpy.typing import ArrayLike

from evoopt.types import Array, PopulationLike, Shape

A_co = TypeVar("A_co", covariant=True)  # the device's arrays


class Location(NamedTuple):
    """Where a parameter lies: in the individual's row, or in the frozen parameters that all share."""

    offset: int
    frozen: bool
    size: int


class Operation(NamedTuple):
    """A part of a network's arithmetic; all sizes are of one sample.

    Each device has a table OPERATIONS, which says for each kind how one is run.
    """

    kind: str
    inputs: int
    outputs: int
    parameters: tuple[Location | None, ...] = ()  # None stands for zeros
    sizes: tuple[int, ...] = ()  # their meaning is between the layer and the code of the kind
    numbers: tuple[float, ...] = ()  # likewise
    function: str | Callable[..., Any] = "linear"  # the name of an activation, or a user's njit function
    weights: int = 0  # numbers of the parameters that are used
    places: int = 1  # that use all of them
    state: int = 0  # numbers that are kept from call to call


class LayerDescription(NamedTuple):
    """The operations of one layer, and its name and itself for sentences."""

    name: str
    layer: object
    input_shape: Shape
    operations: tuple[Operation, ...]


@dataclass(frozen=True)
class NetworkDescription:
    """A network as engines take it.

    Locations of frozen parameters count in the arrays `frozen`, one after the other.
    """

    layers: tuple[LayerDescription, ...]
    n_params: int
    frozen: tuple[Array, ...]
    input_shape: Shape
    output_shape: Shape
    few_samples: int  # up to so many in a call, vectors along the outputs are faster on a CPU

    @property
    def operations(self) -> tuple[Operation, ...]:
        """Return the operations of all layers, in order."""
        return tuple(operation for layer in self.layers for operation in layer.operations)

    @property
    def state_size(self) -> int:
        """Return how many numbers of one sample are kept from call to call."""
        return sum(operation.state for operation in self.operations)

    @property
    def n_inputs(self) -> int:
        """Return the numbers of one sample."""
        return math.prod(self.input_shape)

    @property
    def n_outputs(self) -> int:
        """Return the outputs of one sample."""
        return math.prod(self.output_shape)

    def check_population(self, shape: Shape) -> None:
        """Raise ValueError for the shape of something else than a population."""
        if len(shape) != 2 or shape[1] != self.n_params:
            raise ValueError(f"population must have the shape (popsize, {self.n_params}), got {shape}.")

    def check_inputs(self, shape: Shape, popsize: int) -> bool:
        """Tell whether inputs of a shape are of each individual its own; ValueError for another shape."""
        rank = len(self.input_shape)
        own = len(shape) == rank + 2
        if len(shape) not in (rank + 1, rank + 2) or shape[-rank:] != self.input_shape:
            sizes = ", ".join(map(str, self.input_shape))
            raise ValueError(
                f"inputs must have the shape (batch, {sizes}), or (popsize, batch, {sizes}) with inputs of "
                f"each individual's own, got {shape}."
            )
        if own and shape[0] != popsize:
            raise ValueError(
                f"Inputs of each individual's own must have the popsize {popsize} as first axis, got {shape}."
            )
        return own


class NetworkEngine(Protocol[A_co]):
    """What runs a network on a device; its arrays are those of the device."""

    description: NetworkDescription

    def population(self, population: PopulationLike) -> A_co:
        """Return a population (popsize, n_params) as kernels take it; ValueError for what does not fit."""

    def population_of(self, vector: Array) -> Array:
        """Return one solution (n_params,) as a population, in a precision that the device has if it can."""

    def forward(
        self,
        population: PopulationLike,
        inputs: ArrayLike,
        state: ArrayLike | None,
        reset: ArrayLike | None,
        out: Array | None,
    ) -> tuple[A_co, Array]:
        """Return outputs and new states, see `Network.forward`; ValueError for what does not fit."""
