"""Networks: layers, the engines that run them, and the ParamSpec of their weights."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from evoopt import arguments, arrays
from evoopt.calls import Called
from evoopt.devices.available import read_device
from evoopt.devices.choose import network_engine
from evoopt.devices.interface.network import NetworkEngine
from evoopt.networks.checks import as_layers, as_shape
from evoopt.networks.description import describe
from evoopt.networks.initializers import initialize
from evoopt.networks.layers import Layer, Parameter
from evoopt.networks.specs import first_spec, frozen_spec, vector_of
from evoopt.networks.wiring import Node, Wiring
from evoopt.params import ParamSpec
from evoopt.tree import Trainable
from evoopt.types import Array, Device, PopulationLike


class Network(Called):
    """A network that runs a whole population from its rows.

    Parameters
    ----------
    layers : sequence of Layer
        In order. A layer without a ``name=`` is named by its kind and its position among its kind:
        ``dense_0``, ``dense_1``, ... Layers such as `Residual`, `Parallel` and `Graph` have layers
        in them.
    input_shape : tuple of int
        Shape of one sample.
    device : "cpu" or "cuda"
        Where `forward` runs. "cuda" takes Dense layers and float32, and returns arrays of the
        device.

    Attributes
    ----------
    spec : ParamSpec
        Maps a row (n_params,) to the nested parameters and back.
    input_shape, output_shape : tuple of int
        Of one sample.
    nodes : tuple of Node
        The layers as they are computed, with those inside of others. A node has a `name`, a
        `layer`, its `sources`, `input_shapes` and an `output_shape`; source 0 is the network's
        input, and source k + 1 the output of node k.
    heads : dict of str to slice
        The parts of the outputs' last axis, by name, if the last layer has named branches that it
        concatenates; else empty.
    state_size : int
        How many numbers recurrent layers keep of one sample from call to call; 0 of a feed-forward
        network.

    Raises
    ------
    ValueError
        For no layers, for two of one name, or a layer that cannot take the output of the one
        before it, or that "cuda" does not have.
    ImportError, RuntimeError
        For "cuda" without the package that it needs, or without a GPU.

    Examples
    --------
    >>> import numpy as np
    >>> import evoopt
    >>> net = evoopt.Network([evoopt.Dense(32, "tanh"), evoopt.Dense(10)], input_shape=(64,))
    >>> population = np.stack([net.init(seed) for seed in range(5)])
    >>> net.forward(population, np.ones((7, 64))).shape
    (5, 7, 10)
    >>> net.spec.unravel(population[0])["dense_0"]["kernel"].shape
    (64, 32)
    """

    _usage = "[layer, ...], input_shape"

    def __init__(self, layers: Sequence[Layer], input_shape: Sequence[int], device: Device = "cpu") -> None:
        self.device = read_device(device)
        self.layers = as_layers(layers)
        self.input_shape = as_shape(input_shape)
        wiring = Wiring(self.input_shape)
        wiring.chain(self.layers, 0)
        self.nodes: tuple[Node, ...] = wiring.nodes
        self.heads: dict[str, slice] = wiring.heads
        self.output_shape = self.nodes[-1].output_shape
        self._take(first_spec(dict(self._parameters())))

    def _take(self, spec: ParamSpec) -> None:
        """Let parameters lie where a spec says."""
        self.spec = spec
        self._engines: dict[Device, NetworkEngine[Any]] = {}
        self.engine()  # which refuses layers that the device does not have

    def engine(self, device: Device | None = None) -> NetworkEngine[Any]:
        """Return the engine of a device, by default its own; each is made once."""
        device = self.device if device is None else read_device(device)
        if device not in self._engines:
            description = describe(self.nodes, self.spec, self.input_shape)
            self._engines[device] = network_engine(device, description)
        return self._engines[device]

    def __repr__(self) -> str:
        return f"Network({list(self.layers)}, input_shape={self.input_shape}): {self.spec.size} parameters"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_engines": {}}  # they hold addresses of this process

    def _parameters(self) -> Iterator[tuple[str, Parameter]]:
        for name, node in {node.name: node for node in self.nodes}.items():  # some share a name
            for parameter_name, parameter in node.parameters().items():
                yield f"{name}.{parameter_name}", parameter

    def init(self, seed: int | None = None) -> NDArray[np.float32]:
        """Draw first weights, float32 (n_params,), each layer by its initializers.

        Parameters
        ----------
        seed : int, optional
            The same seed makes the same weights.
        """
        generator = np.random.default_rng(arguments.optional_whole("seed", seed, 0))
        drawn = {
            name: initialize(p.initializer, p.shape, p.fan_in, p.fan_out, generator)
            for name, p in self._parameters()
        }
        return np.concatenate([drawn[name].reshape(-1) for name in self.spec.names])

    def freeze(self, params: Mapping[str, Any] | ArrayLike, trainable: Trainable) -> "Network":
        """Make the network with only some parameters to evolve; the others keep their values.

        Parameters
        ----------
        params : nested dict, or vector (n_params,)
            All parameters of this network; in a vector those that it has frozen are not, and stay.
        trainable : callable, str or iterable of str
            Which of them stay in the vector, as in `ParamSpec.from_params`: ``"dense_1"``, say. To
            start from their given values take ``network.spec.ravel(params)``; `init` draws new
            ones. Parameters that never evolve, such as the statistics of `BatchNorm`, are frozen in
            any case, at their values in `params`.

        Raises
        ------
        ValueError
            For parameters that are not this network's, or a population.

        Examples
        --------
        >>> import evoopt
        >>> net = evoopt.Network([evoopt.Dense(32, "tanh"), evoopt.Dense(10)], input_shape=(64,))
        >>> net.freeze(net.init(seed=0), trainable="dense_1").spec.names
        ('dense_1.bias', 'dense_1.kernel')
        """
        network = copy.copy(self)
        tree = params if isinstance(params, Mapping) else self.spec.unravel(self.as_vector(params))
        network._take(frozen_spec(dict(self._parameters()), tree, trainable))
        return network

    @property
    def state_size(self) -> int:
        return self.engine().description.state_size

    def initial_state(self, popsize: int, batch: int, dtype: DTypeLike = np.float32) -> Array:
        """Return the states at the start, zeros (popsize, batch, state_size)."""
        shape = arguments.whole("popsize", popsize, 0), arguments.whole("batch", batch, 0), self.state_size
        states = arrays.output(None, shape, arguments.floating("dtype", dtype))
        states[...] = 0
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
            The result of the last call, or of `initial_state`; zeros by default. It holds the
            states of recurrent layers one after the other: h (units,) of an RNN or GRU, h and then
            c of an LSTM. It stays as it is.
        reset : bool (popsize, batch) or (batch,), optional
            Whether a state starts from zeros instead, because its episode begins.
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
    if not isinstance(net, Network):
        raise ValueError(f"net must be an evoopt.Network, got a {type(net).__name__}; call evoopt.{call}.")
