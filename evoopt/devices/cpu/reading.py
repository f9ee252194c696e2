"""Readers of the arguments of forward passes on the CPU."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from evoopt import arrays
from evoopt.compiling.arrays import kernel_array
from evoopt.devices.interface.network import NetworkSizes
from evoopt.types import Array, PopulationLike, Shape


def read_population(population: PopulationLike, network: NetworkSizes) -> Array:
    """Return a population (popsize, n_params) in the layout of kernels."""
    rows = arrays.read("population", population)
    network.check_population(rows.shape)
    if rows.dtype not in (np.float32, np.float64):
        raise ValueError(f"population must be float32 or float64, got {rows.dtype}.")
    return kernel_array(rows, rows.dtype)


def read_states(
    state: ArrayLike | None, reset: ArrayLike | None, shape: Shape, dtype: "np.dtype[Any]", start: Any = 0
) -> Array:
    """Return a copy of the states (popsize, batch, state_size) to begin with.

    Without a state, and where `reset` is true, this is `start`: zeros, or (state_size,).
    """
    if state is None:
        if reset is not None:
            raise ValueError(
                "reset must be None without a state, because all states then start anew; leave it out."
            )
        states = np.zeros(shape, dtype)
        if states.size:
            states[...] = start
        return states
    states = arrays.read("state", state)
    if states.shape != shape or states.dtype.kind == "b":
        raise ValueError(
            f"state must be numbers of shape (popsize, batch, state_size) = {shape}, got {states.dtype} "
            f"{states.shape}."
        )
    states = np.array(states, dtype, order="C")
    if reset is not None:
        states[np.broadcast_to(_read_reset(reset, shape), shape[:2])] = start
    return states


def _read_reset(reset: ArrayLike, shape: Shape) -> Array:
    """Read which states start anew, (popsize, batch) or (batch,)."""
    mask = arrays.read("reset", reset)
    if mask.dtype != np.bool_ or mask.shape not in (shape[:2], shape[1:2]):
        raise ValueError(
            f"reset must be bool of shape (popsize, batch) = {shape[:2]}, or (batch,) for all individuals, "
            f"got {mask.dtype} {mask.shape}."
        )
    return mask
