"""Networks that are a function of the user's, around a model of any library."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from evoopt import arguments
from evoopt.arrays import shown
from evoopt.calls import name_of
from evoopt.devices.interface.network import FunctionDescription
from evoopt.networks.base import BaseNetwork
from evoopt.networks.checks import as_shape
from evoopt.params import ParamSpec
from evoopt.types import Vector


class FunctionNetwork(BaseNetwork):
    """A network that is your function of a whole population, around a model of any library.

    Parameters
    ----------
    forward : callable
        ``forward(population, inputs, state) -> outputs, state``, see the notes.
    spec : ParamSpec
        The spec of the model's parameters: `ParamSpec.from_params`.
    input_shape, output_shape : tuple of int
        The shapes of one sample.
    initial_state : array (state_size,), optional
        The state of one sample at the start, for a recurrent model: one flat vector. The network
        has no state by default.

    Attributes
    ----------
    spec : ParamSpec
    input_shape, output_shape : tuple of int
    state_size : int
        How many numbers are kept of one sample from call to call; 0 without a state.

    Raises
    ------
    ValueError
        For an argument other than these. When called, for outputs or a state of another shape, or
        that are no real numbers.

    Notes
    -----
    The function is called with NumPy arrays:

    - ``population`` (popsize, n_params), float32 or float64, as the optimizer holds it.
      ``spec.unravel(population)`` shows it as a tree of views with leaves (popsize, *shape).
    - ``inputs`` in the dtype of the population: (batch, *input_shape) if all individuals share
      the samples, or (popsize, batch, *input_shape) if each has its own. ``inputs.ndim`` tells
      which. `Supervised` and `predict` share them; in `GymnasiumTask` each individual has its own.
    - ``state`` (popsize, batch, state_size), the one that the last call returned, or None without
      an `initial_state`. A state of several arrays lies in it one after the other.

    The function must not write into the population and the inputs.

    It returns outputs (popsize, batch, *output_shape) and the new state; without a state outputs
    alone will do. These may be arrays of NumPy or JAX, or tensors of torch, also with a gradient or
    on a GPU. They come to the host, in the dtype of the population. The state is copied; outputs of
    that dtype are not, so return a new array in each call. Exceptions of the function are raised
    unchanged.

    `Supervised` calls the function once a generation, with all samples or with a minibatch: the
    outputs of the whole population are one array. `Rollout` compiles whole episodes, and takes
    only an `evoopt.Network`.

    Examples
    --------
    >>> import numpy as np
    >>> import evoopt
    >>> spec = evoopt.ParamSpec.from_shapes({"bias": (2,), "kernel": (3, 2)})
    >>> def forward(population, inputs, state):
    ...     params = spec.unravel(population)
    ...     return inputs @ params["kernel"] + params["bias"][:, None]
    >>> net = evoopt.FunctionNetwork(forward, spec, input_shape=(3,), output_shape=(2,))
    >>> net.forward(np.ones((5, 8)), np.ones((4, 3))).shape
    (5, 4, 2)
    >>> net
    FunctionNetwork(forward, input_shape=(3,), output_shape=(2,)): 8 parameters
    """

    _start: Vector

    def __init__(
        self,
        forward: Callable[..., Any],
        spec: ParamSpec,
        input_shape: Sequence[int],
        output_shape: Sequence[int],
        initial_state: ArrayLike | None = None,
    ) -> None:
        if not callable(forward):
            raise ValueError(
                "forward must be a function forward(population, inputs, state) -> outputs, state, got "
                f"{shown(forward)}."
            )
        if not isinstance(spec, ParamSpec):
            raise ValueError(
                f"spec must be an evoopt.ParamSpec, got {shown(spec)}; make one of the model's parameters by "
                "evoopt.ParamSpec.from_params(params)."
            )
        self._function = forward
        self.input_shape = as_shape("input_shape", input_shape)
        self.output_shape = as_shape("output_shape", output_shape)
        self._start = _read_state(initial_state)
        self._take(spec)

    def _describe(self) -> FunctionDescription:
        return FunctionDescription(
            self._function, self.spec.size, self.input_shape, self.output_shape, self._start
        )

    def __repr__(self) -> str:
        state = f", state_size={self.state_size}" if self.state_size else ""
        return (
            f"FunctionNetwork({name_of(self._function)}, input_shape={self.input_shape}, "
            f"output_shape={self.output_shape}{state}): {self.spec.size} parameters"
        )


def _read_state(initial_state: ArrayLike | None) -> Vector:
    """Read the state of one sample at the start; None is one of no numbers."""
    if initial_state is None:
        return np.empty(0)
    return arguments.finite_vector(initial_state, "initial_state", "state_size")
