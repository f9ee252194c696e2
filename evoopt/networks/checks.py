"""What users pass to networks, as the kernels take it; ValueError in a sentence for what does not fit."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from evoopt import arguments, arrays
from evoopt.arrays import Array
from evoopt.kernels.jit import kernel_array
from evoopt.networks.layers import Layer

Shape = tuple[int, ...]


def as_layers(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """Read the layers of a network, at least one."""
    found = tuple(layers) if isinstance(layers, Iterable) and not isinstance(layers, str | Mapping) else ()
    if found and all(isinstance(layer, Layer) for layer in found):
        return found
    advice = f"; put it into a list, [{layers!r}]" if isinstance(layers, Layer) else ""
    wrong = [layer for layer in found if not isinstance(layer, Layer)]
    if wrong and isinstance(wrong[0], type):
        advice = f"; call {wrong[0].__name__} with its sizes"
    raise ValueError(f"layers must be a list of layers such as [evoopt.Dense(10)], got {layers!r}{advice}.")


def as_shape(shape: Sequence[int]) -> Shape:
    """Read the shape of one sample, of at least one axis."""
    sizes = np.atleast_1d(np.asarray(shape, object)).tolist()
    if not sizes or None in sizes:
        raise ValueError(
            f"input_shape must be the sizes of one sample, without the batch, such as (64,), got {shape!r}."
        )
    arrays.read("input_shape", shape)
    return tuple(arguments.whole("each size of the input_shape", n, 1) for n in sizes)


def listed(shape: Shape) -> str:
    """Give the sizes of a shape for a sentence."""
    return ", ".join(map(str, shape))


def check_inputs(inputs: Array, sample: Shape, popsize: int, dtype: "np.dtype[Any]") -> Array:
    """Give inputs as (1 or popsize, batch, features)."""
    rank = len(sample)
    own = inputs.ndim == rank + 2
    if inputs.ndim not in (rank + 1, rank + 2) or inputs.shape[-rank:] != sample:
        raise ValueError(
            f"Inputs (batch, {listed(sample)}), or (popsize, batch, {listed(sample)}) of each individual its "
            f"own, were expected, but {inputs.shape} came."
        )
    if own and len(inputs) != popsize:
        raise ValueError(
            f"Inputs of each individual its own take the popsize {popsize} as first axis, "
            f"but {inputs.shape} came."
        )
    return kernel_array(inputs, dtype).reshape(
        popsize if own else 1, inputs.shape[-rank - 1], math.prod(sample)
    )


def check_states(
    state: ArrayLike | None, reset: ArrayLike | None, shape: Shape, dtype: "np.dtype[Any]"
) -> Array:
    """Give states (popsize, batch, state size) to start from, an array of their own."""
    if state is None:
        if reset is not None:
            raise ValueError(
                "reset says which of the states start from zeros, but no state came; without one all do."
            )
        return np.zeros(shape, dtype)
    states = arrays.read("state", state)
    if states.shape != shape or states.dtype.kind == "b":
        raise ValueError(
            f"A state of numbers of shape (popsize, batch, state_size) = {shape} was expected, "
            f"but {states.dtype} {states.shape} came."
        )
    states = np.array(states, dtype, order="C")
    if reset is not None:
        mask = arrays.read("reset", reset)
        if mask.dtype != np.bool_ or mask.shape not in (shape[:2], shape[1:2]):
            raise ValueError(
                f"A reset of bool and shape (popsize, batch) = {shape[:2]}, or (batch,) for all individuals, "
                f"was expected, but {mask.dtype} {mask.shape} came."
            )
        states[np.broadcast_to(mask, shape[:2])] = 0
    return states
