"""Networks that are a user's function, whose arguments and results are read like all others."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from evoopt import arrays
from evoopt.compiling.arrays import kernel_array
from evoopt.devices.cpu.reading import read_population, read_states
from evoopt.devices.interface.network import FunctionDescription, NetworkEngine
from evoopt.types import Array, PopulationLike, Shape


class CpuFunctionNetwork(NetworkEngine[Array]):
    """The engine of a function of a population, whose arrays come to the host."""

    def __init__(self, description: FunctionDescription) -> None:
        self.description: FunctionDescription = description

    def population(self, population: PopulationLike) -> Array:
        return read_population(population, self.description)

    def population_of(self, vector: Array) -> Array:
        return vector[None]

    def forward(
        self,
        population: PopulationLike,
        inputs: ArrayLike,
        state: ArrayLike | None = None,
        reset: ArrayLike | None = None,
        out: Array | None = None,
    ) -> tuple[Array, Array]:
        network, rows, given = self.description, self.population(population), arrays.read("inputs", inputs)
        own = network.check_inputs(given.shape, len(rows))
        shape = len(rows), given.shape[1] if own else given.shape[0]
        states = read_states(state, reset, (*shape, network.state_size), rows.dtype, network.start)
        if out is not None:
            sources = {"population": population, "inputs": inputs, "state": state, "reset": reset}
            arrays.output(out, (*shape, *network.output_shape), rows.dtype, **sources)
        outputs, states = self.call(rows, kernel_array(given, rows.dtype), states)
        if out is None:
            return outputs, states
        out[...] = outputs
        return out, states

    def call(self, rows: Array, inputs: Array, states: Array) -> tuple[Array, Array]:
        """Call the function; return its outputs and new states in the precision of the rows."""
        network, (popsize, batch, state_size) = self.description, states.shape
        result = network.function(rows, inputs, states if state_size else None)
        outputs, state = self._parts(result)
        found = _read("outputs", outputs, (popsize, batch, *network.output_shape), rows.dtype)
        if state_size:  # a copy, because the function may use its memory again, or hand on its inputs
            states = _read("state", state, states.shape, rows.dtype).copy()
        return found, states

    def _parts(self, result: Any) -> tuple[Any, Any]:
        """Return the outputs and the new state that the function returned, or None for no state."""
        is_pair = isinstance(result, tuple | list) and len(result) == 2
        if self.description.state_size:
            if is_pair:
                return result[0], result[1]
            raise ValueError(
                "forward must return (outputs, state) for a network with an initial_state, got a "
                f"{type(result).__name__}; return the new state, too."
            )
        if is_pair and result[1] is None:
            return result[0], None
        if isinstance(result, tuple):
            raise ValueError(
                "forward must return outputs, or (outputs, None), for a network without a state, got a tuple "
                f"of {len(result)}; pass the initial_state of one sample, or return the outputs alone."
            )
        return result, None


def _read(name: str, values: object, shape: Shape, dtype: "np.dtype[Any]") -> Array:
    """Read a result of the function, of any library, in the precision of the population."""
    found = arrays.read_of_any_library(f"The {name} of forward", values)
    if found.shape != shape:
        raise ValueError(
            f"The {name} of forward must have the shape (popsize, batch, ...) = {shape}, got {found.shape}."
        )
    with np.errstate(over="ignore"):  # larger numbers become infinity in float32
        return found.astype(dtype, copy=False)
