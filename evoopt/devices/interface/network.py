"""Networks: the operations that describe one, by kind, and the engine that runs it."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeVar

from numpy.typing import ArrayLike

from evoopt.types import Array, PopulationLike, Shape

A_co = TypeVar("A_co", covariant=True)  # the device's arrays


class Location(NamedTuple):
    """The place of a parameter: in the individual's row, or in the shared frozen parameters."""

    offset: int
    frozen: bool
    size: int


class Operation(NamedTuple):
    """One element of a network's arithmetic; all sizes are for one sample.

    Each device has a table OPERATIONS with the code for each kind.
    """

    kind: str
    inputs: int
    outputs: int
    parameters: tuple[Location | None, ...] = ()  # None stands for zeros
    sizes: tuple[int, ...] = ()  # read only by the code for this kind
    numbers: tuple[float, ...] = ()  # read only by the code for this kind
    function: str | Callable[..., Any] = "linear"  # the name of an activation, or a user's njit function
    weights: int = 0  # how many numbers of the parameters are used
    places: int = 1  # how many places of the output use all weights
    state: int = 0  # how many numbers are kept from call to call
    source: int = 0  # which value of the layer's sources comes in; see `LayerDescription`


class LayerDescription(NamedTuple):
    """The operations of one layer, with its name and the layer itself for error messages.

    Its sources are numbers of values: 0 is the network's input, and k + 1 the output of layer k.
    The first operation reads the first source, each other one the result of the operation before
    it. Operations that merge change this result by the source that they name.
    """

    name: str
    layer: object
    sources: tuple[int, ...]
    input_shape: Shape
    operations: tuple[Operation, ...]


class NetworkSizes:
    """The sizes of a network of `n_params` parameters, and checks of arrays against them."""

    n_params: int
    input_shape: Shape
    output_shape: Shape
    few_samples: int  # up to so many samples, sums have another order than for more

    @property
    def state_size(self) -> int:
        """Return how many numbers are kept for each sample from call to call."""
        raise NotImplementedError

    @property
    def n_inputs(self) -> int:
        """Return how many numbers a sample has."""
        return math.prod(self.input_shape)

    @property
    def n_outputs(self) -> int:
        """Return how many outputs a sample has."""
        return math.prod(self.output_shape)

    def check_population(self, shape: Shape) -> None:
        """Raise ValueError unless the shape is (popsize, n_params)."""
        if len(shape) != 2 or shape[1] != self.n_params:
            raise ValueError(f"population must have the shape (popsize, {self.n_params}), got {shape}.")

    def check_inputs(self, shape: Shape, popsize: int) -> bool:
        """Return whether each individual has its own inputs; raise ValueError for a wrong shape."""
        rank = len(self.input_shape)
        own = len(shape) == rank + 2
        if len(shape) not in (rank + 1, rank + 2) or shape[-rank:] != self.input_shape:
            sizes = ", ".join(map(str, self.input_shape))
            raise ValueError(
                f"inputs must have the shape (batch, {sizes}), or (popsize, batch, {sizes}) if each "
                f"individual has its own, got {shape}."
            )
        if own and shape[0] != popsize:
            raise ValueError(
                f"inputs must have the popsize {popsize} first if each individual has its own, got {shape}."
            )
        return own


@dataclass(frozen=True)
class NetworkDescription(NetworkSizes):
    """The description of a network of layers.

    Offsets of frozen parameters count through the arrays `frozen`, one after the other. The output
    of the last layer is the network's.
    """

    layers: tuple[LayerDescription, ...]
    n_params: int
    frozen: tuple[Array, ...]
    input_shape: Shape
    output_shape: Shape
    few_samples: int  # the most samples for which a CPU is faster with vectors along the outputs

    @property
    def operations(self) -> tuple[Operation, ...]:
        """Return the operations of all layers, in order."""
        return tuple(operation for layer in self.layers for operation in layer.operations)

    @property
    def state_size(self) -> int:
        """Return how many numbers are kept for each sample from call to call."""
        return sum(operation.state for operation in self.operations)


@dataclass(frozen=True)
class FunctionDescription(NetworkSizes):
    """The description of a network that is a user's function of whole arrays.

    Attributes
    ----------
    function : callable
        ``function(population, inputs, state) -> outputs, state``, see `FunctionNetwork`.
    start : (state_size,)
        The state of a sample at the start.
    """

    function: Callable[..., Any]
    n_params: int
    input_shape: Shape
    output_shape: Shape
    start: Array
    few_samples: int = 0

    @property
    def state_size(self) -> int:
        return len(self.start)


class NetworkEngine(Protocol[A_co]):
    """An engine that runs a network on a device, with the device's arrays."""

    description: NetworkSizes

    def population(self, population: PopulationLike) -> A_co:
        """Return a population (popsize, n_params) in the layout of kernels, or raise ValueError."""

    def population_of(self, vector: Array) -> Array:
        """Return a solution (n_params,) as a population, as float32 if the device needs that."""

    def forward(
        self,
        population: PopulationLike,
        inputs: ArrayLike,
        state: ArrayLike | None,
        reset: ArrayLike | None,
        out: Array | None,
    ) -> tuple[A_co, Array]:
        """Return outputs and new states, or raise ValueError, see `Network.forward`."""
