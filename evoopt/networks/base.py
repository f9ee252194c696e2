"""The base of networks: engines, and the calls that run one solution or a population."""

from collections.abc import Mapping
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from evoopt import arguments, arrays
from evoopt.calls import Called
from evoopt.devices.available import read_device
from evoopt.devices.choose import network_engine
from evoopt.devices.interface.network import FunctionDescription, NetworkDescription, NetworkEngine
from evoopt.networks.specs import vector_of
from evoopt.params import ParamSpec
from evoopt.types import Array, Device, PopulationLike, Shape


class BaseNetwork(Called):
    """The base of networks, which run a population from its rows; tasks take any of them."""

    spec: ParamSpec
    input_shape: Shape
    output_shape: Shape
    device: Device = "cpu"
    _start: Array | float = 0  # the state of a sample at the start

    def _take(self, spec: ParamSpec) -> None:
        """Let parameters lie where a spec says."""
        self.spec = spec
        self._engines: dict[Device, NetworkEngine[Any]] = {}
        self.engine()  # which refuses a network that the device cannot run

    def _describe(self) -> NetworkDescription | FunctionDescription:
        """Return the description that engines take."""
        raise NotImplementedError

    def engine(self, device: Device | None = None) -> NetworkEngine[Any]:
        """Return the engine of a device, by default its own; each is made once."""
        device = self.device if device is None else read_device(device)
        if device not in self._engines:
            self._engines[device] = network_engine(device, self._describe())
        return self._engines[device]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_engines": {}}  # they hold addresses of this process

    @property
    def state_size(self) -> int:
        return self.engine().description.state_size

    def initial_state(self, popsize: int, batch: int, dtype: DTypeLike = np.float32) -> Array:
        """Return the states at the start (popsize, batch, state_size): of layers, zeros."""
        shape = arguments.whole("popsize", popsize, 0), arguments.whole("batch", batch, 0), self.state_size
        states = arrays.output(None, shape, arguments.floating("dtype", dtype))
        states[...] = self._start
        return states

    @overload
    def forward(
        self, population: PopulationLike, inputs: ArrayLike, state: None = None, *, out: Array | None = None
    ) -> Array: ...
    @overload
    def forward(
        self,
        population: PopulationLike,
        inputs: ArrayLike,
        state: ArrayLike,
        reset: ArrayLike | None = None,
        *,
        out: Array | None = None,
    ) -> tuple[Array, Array]: ...

    def forward(
        self,
        population: PopulationLike,
        inputs: ArrayLike,
        state: ArrayLike | None = None,
        reset: ArrayLike | None = None,
        *,
        out: Array | None = None,
    ) -> Array | tuple[Array, Array]:
        """Run every individual of a population.

        Parameters
        ----------
        population : (popsize, n_params)
            float32 or float64; the network computes in its precision.
        inputs : (batch, *input_shape) or (popsize, batch, *input_shape)
            Samples that all individuals share, or each individual's own. One sample each is
            ``inputs[:, None]``.
        state : (popsize, batch, state_size), optional
            The result of the last call, or of `initial_state`, which is the default. It holds the
            states of recurrent layers one after the other: h (units,) of an RNN or GRU, h and then
            c of an LSTM. It stays as it is.
        reset : bool (popsize, batch) or (batch,), optional
            Whether a state starts from `initial_state` instead, because its episode begins.
        out : (popsize, batch, *output_shape), optional
            Where to write, in memory of its own.

        Returns
        -------
        outputs : (popsize, batch, *output_shape)
            In the population's dtype.
        state : (popsize, batch, state_size)
            The new one; only where a `state` was given.

        Raises
        ------
        ValueError
            For a shape or dtype other than these, `reset` without `state`, masked entries, or an
            `out` that overlaps another argument; before anything is written.

        Notes
        -----
        With ``device="cuda"`` population and inputs may be arrays of the host, which are
        copied, or of the device (numba, CuPy, torch, JAX), which are taken as they are; `out` and
        the outputs are of the device.
        """
        outputs: Array
        outputs, states = self.engine().forward(population, inputs, state, reset, out)
        return outputs if state is None else (outputs, states)

    @overload
    def predict(
        self, params: Mapping[str, Any] | ArrayLike, inputs: ArrayLike, state: None = None
    ) -> Array: ...
    @overload
    def predict(
        self, params: Mapping[str, Any] | ArrayLike, inputs: ArrayLike, state: ArrayLike
    ) -> tuple[Array, Array]: ...

    def predict(
        self, params: Mapping[str, Any] | ArrayLike, inputs: ArrayLike, state: ArrayLike | None = None
    ) -> Array | tuple[Array, Array]:
        """Run one solution.

        Parameters
        ----------
        params : nested dict, or vector (n_params,)
            The solution.
        inputs : (batch, *input_shape)
            Samples.
        state : (batch, state_size), optional
            As of `forward`.

        Returns
        -------
        outputs : (batch, *output_shape)
        state : (batch, state_size)
            The new one; only where a `state` was given.

        Raises
        ------
        ValueError
            For a shape other than these.

        Examples
        --------
        >>> import numpy as np
        >>> import evoopt
        >>> net = evoopt.Network([evoopt.Dense(3, "softmax")], input_shape=(2,))
        >>> net.predict(net.init(seed=0), np.zeros((1, 2)))
        array([[0.33333334, 0.33333334, 0.33333334]], dtype=float32)
        """
        inputs = arrays.read("inputs", inputs)
        if inputs.ndim != len(self.input_shape) + 1:
            raise ValueError(
                f"inputs must have the shape (batch, {', '.join(map(str, self.input_shape))}), got "
                f"{inputs.shape}; one sample goes in as inputs[None]."
            )
        population = self.engine().population_of(self.as_vector(params))
        if state is None:
            result: Array = np.asarray(self.forward(population, inputs))[0]
            return result
        given = arrays.read("state", state)
        if given.ndim != 2:
            raise ValueError(
                f"state must have the shape (batch, {self.state_size}), got {given.shape}; "
                f"that of a population goes to forward()."
            )
        outputs, new_state = self.forward(population, inputs, given[None])
        return outputs[0], new_state[0]

    def as_vector(self, params: Mapping[str, Any] | ArrayLike) -> Array:
        """Return a solution, nested or flat, as a vector (n_params,)."""
        return vector_of(self.spec, params)

    def check_population(self, population: PopulationLike) -> Array:
        """Return a population in the layout of kernels; raise ValueError for others."""
        rows: Array = self.engine("cpu").population(population)
        return rows


def require_network(net: object, call: str) -> None:
    """Raise ValueError, with the form of the call, for anything but a network."""
    if not isinstance(net, BaseNetwork):
        raise ValueError(f"net must be an evoopt.Network, got a {type(net).__name__}; call evoopt.{call}.")
