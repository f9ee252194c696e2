"""A network: layers -> the program that the kernels run, and the ParamSpec of its weights."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from evoopt import arguments, arrays, threads
from evoopt.calls import Called
from evoopt.compiling.arrays import aligned_empty, kernel_array
from evoopt.devices.choose import read_device
from evoopt.kernels.cpu.networks.forward import blocks_of, forward_blocks, pack_tiles
from evoopt.networks.checks import as_layers, as_shape, check_inputs, check_layer, check_states, listed
from evoopt.networks.compile import Kind, NamedLayer, Program, compile_program
from evoopt.networks.initializers import initialize
from evoopt.networks.layers import Layer, Location, Parameter
from evoopt.params import ParamSpec
from evoopt.tree import Trainable, read_tree
from evoopt.types import Array, Device


class Network(Called):
    """A network that runs a whole population from its rows.

    Parameters
    ----------
    layers : sequence of Layer
        In order. They are named by kind and position among their kind: ``dense_0``, ``dense_1``, ...
    input_shape : tuple of int
        Shape of one sample.
    device : "cpu" or "cuda"
        Where `forward` runs. "cuda" takes Dense layers and float32, and gives arrays of the device.

    Attributes
    ----------
    spec : ParamSpec
        Maps a row (n_params,) to the nested parameters and back.
    input_shape, output_shape : tuple of int
        Of one sample.
    state_size : int
        How many numbers recurrent layers keep of one sample from call to call; 0 of a feed-forward network.

    Raises
    ------
    ValueError
        For no layers, or a layer that cannot take what comes from the one before it, or that "cuda" does not
        have.
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
        shape = self.input_shape = as_shape(input_shape)
        self._named: list[NamedLayer] = []
        counts: Counter[str] = Counter()
        for layer in self.layers:
            name = f"{layer.kind}_{counts[layer.kind]}"
            self._named.append((name, layer, shape))
            counts[layer.kind] += 1
            shape = check_layer(name, layer, shape)
        self.output_shape = shape
        self.spec = ParamSpec.from_shapes({name: parameter.shape for name, parameter in self._parameters()})
        self._cuda: Any = None
        self._programs: dict[Any, Program] = {}
        if self.device == "cuda":
            self.on_cuda()

    def on_cuda(self) -> Any:
        """Give what runs the network on CUDA, made once; ValueError for layers that it does not have."""
        if self._cuda is None:
            from evoopt.networks.cuda import CudaNetwork  # noqa: PLC0415  (which needs numba-cuda)

            self._cuda = CudaNetwork(self._named, self.spec)
        return self._cuda

    def __repr__(self) -> str:
        return f"Network({list(self.layers)}, input_shape={self.input_shape}): {self.spec.size} parameters"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_programs": {}, "_cuda": None}  # they hold addresses of this process

    def _parameters(self) -> Iterator[tuple[str, Parameter]]:
        for name, layer, shape in self._named:
            for parameter_name, parameter in layer.parameters(shape).items():
                yield f"{name}.{parameter_name}", parameter

    def init(self, seed: int | None = None) -> NDArray[np.float32]:
        """Draw first weights, float32 (n_params,), each layer by its initializers.

        Parameters
        ----------
        seed : int, optional
            The same seed gives the same weights.
        """
        generator = np.random.default_rng(arguments.optional_whole("seed", seed, 0))
        drawn = {
            name: initialize(p.initializer, p.shape, p.fan_in, p.fan_out, generator)
            for name, p in self._parameters()
        }
        return np.concatenate([drawn[name].reshape(-1) for name in self.spec.names])

    def freeze(self, params: Any, trainable: Trainable) -> "Network":
        """Make the network of which only some parameters are evolved; the others keep the given values.

        Parameters
        ----------
        params : nested dict, or vector (n_params,)
            All parameters of this network; in a vector those that it has frozen are not, and stay.
        trainable : callable, str or iterable of str
            Which of them stay in the vector, as in `ParamSpec.from_params`: ``"dense_1"``, say. To start from
            their given values take ``network.spec.ravel(params)``; `init` draws new ones.

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
        network = Network(self.layers, self.input_shape, self.device)
        tree = params if isinstance(params, Mapping) else self.spec.unravel(self.as_vector(params))
        own = network.spec.unravel(network.as_vector(tree))  # refuses parameters of another shape or name
        network.spec, network._cuda = ParamSpec.from_params(own, trainable), None
        return network

    @property
    def state_size(self) -> int:
        return sum(
            operation.state
            for _, layer, shape in self._named
            for operation in layer.operations(
                shape, dict.fromkeys([*layer.parameters(shape), "zeros"], Location(0, True))
            )
        )

    def initial_state(self, popsize: int, batch: int, dtype: DTypeLike = np.float32) -> Array:
        """Give the states that everything starts from, zeros (popsize, batch, state_size)."""
        shape = arguments.whole("popsize", popsize, 0), arguments.whole("batch", batch, 0), self.state_size
        states = arrays.output(None, shape, arguments.floating("dtype", dtype))
        states[...] = 0
        return states

    @overload
    def forward(
        self, population: ArrayLike, inputs: ArrayLike, state: None = None, *, out: Array | None = None
    ) -> Array: ...
    @overload
    def forward(
        self,
        population: ArrayLike,
        inputs: ArrayLike,
        state: ArrayLike,
        reset: ArrayLike | None = None,
        *,
        out: Array | None = None,
    ) -> tuple[Array, Array]: ...

    def forward(
        self,
        population: ArrayLike,
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
            Samples that all individuals share, or of each its own. One sample each is ``inputs[:, None]``.
        state : (popsize, batch, state_size), optional
            What the last call gave, or `initial_state`; zeros by default. It holds the states of recurrent
            layers one after the other: h (units,) of an RNN or GRU, h and then c of an LSTM. It stays as it
            is.
        reset : bool (popsize, batch) or (batch,), optional
            Which states start from zeros instead: those of the episodes that begin.
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
            For a shape or dtype other than these, `reset` without `state`, masked entries, or an `out` that
            overlaps another argument; before anything is written.

        Notes
        -----
        With ``device="cuda"`` population and inputs may be arrays of the host, which are copied, or of the
        device (numba, CuPy, torch, JAX), which are taken as they are; `out` and the outputs are of the
        device.
        """
        if self.device == "cuda":
            if state is not None or reset is not None:
                raise ValueError('A state was given, but Dense layers, all that "cuda" has, keep none.')
            return self.on_cuda().forward(population, inputs, out)
        rows = self.check_population(population)
        popsize, dtype = len(rows), rows.dtype
        samples = check_inputs(arrays.read("inputs", inputs), self.input_shape, popsize, dtype)
        batch = samples.shape[1]
        program = self.program(dtype, batch)
        states = check_states(state, reset, (popsize, batch, program.state_size), dtype)
        shape = popsize, batch, *self.output_shape
        out = arrays.output(out, shape, dtype, population=population, inputs=inputs, state=state, reset=reset)
        results = out.reshape(popsize, batch, math.prod(self.output_shape))
        columns, lanes, block = program.tiling(batch)
        if len(samples) == 1:
            packed, own = self.pack(samples[0], columns, lanes), np.empty((0, 0, 0), dtype)
        else:
            packed, own = np.empty((0, 0), dtype), samples
        threads.run(
            forward_blocks, popsize * blocks_of(batch, columns, block),
            rows, *program.arguments, packed, own, states, columns, lanes, block, results,
            grain=program.grain(columns * block),
        )  # fmt: skip
        return out if state is None else (out, states)

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
                f"Inputs (batch, {listed(self.input_shape)}) were expected, but {inputs.shape} came; "
                f"one sample goes in as inputs[None]."
            )
        population = self.as_vector(params)[None]
        if self.device == "cuda":
            population = population.astype(np.float32)
        if state is None:
            return np.asarray(self.forward(population, inputs))[0]
        given = arrays.read("state", state)
        if given.ndim != 2:
            raise ValueError(
                f"state must have the shape (batch, {self.state_size}), got {given.shape}; "
                f"that of a population goes to forward()."
            )
        outputs, new_state = self.forward(population, inputs, given[None])
        return outputs[0], new_state[0]

    def as_vector(self, params: Mapping[str, Any] | ArrayLike) -> Array:
        """Give a solution, nested or flat, as a vector (n_params,)."""
        vector = self._ravel(params) if isinstance(params, Mapping) else arrays.read("params", params)
        if vector.shape != (self.spec.size,):
            raise ValueError(
                f"One solution of {self.spec.size} parameters was expected, but {vector.shape} came; "
                f"a population goes to forward()."
            )
        return vector

    def _ravel(self, params: Mapping[str, Any]) -> Array:
        """Give nested parameters as a vector in the precision that they have."""
        _, leaves = read_tree(params)
        double = any(leaf.dtype == np.float64 for leaf in leaves.values())
        vector = self.spec.ravel(params)  # refuses parameters of another shape or name
        return self.spec.ravel(params, out=np.empty(vector.shape)) if double else vector

    def check_population(self, population: ArrayLike) -> Array:
        """Give a population as the kernels take it; ValueError for another shape or dtype."""
        population = arrays.read("population", population)
        if population.ndim != 2 or population.shape[1] != self.spec.size:
            raise ValueError(
                f"A population (popsize, {self.spec.size}) was expected, but {population.shape} came."
            )
        if population.dtype not in (np.float32, np.float64):
            raise ValueError(f"A float32 or float64 population was expected, but {population.dtype} came.")
        return kernel_array(population, population.dtype)

    def program(self, dtype: np.dtype[Any], samples: int) -> Program:
        """Give what the kernels run, made once for each precision, and for few and many samples."""
        few = samples <= min(layer.few_samples for layer in self.layers)
        return self._program(dtype, "few" if few else "many")

    def program_of_rows(self, dtype: np.dtype[Any]) -> Program:
        """Give what runs one sample each of several rows; LookupError if a layer cannot."""
        return self._program(dtype, "rows")

    def _program(self, dtype: np.dtype[Any], kind: Kind) -> Program:
        if (dtype, kind) not in self._programs:
            self._programs[dtype, kind] = compile_program(self._named, self.spec, dtype, kind)
        return self._programs[dtype, kind]

    def pack(self, samples: Array, columns: int, lanes: int) -> Array:
        """Give samples (batch, features) as feature-major tiles (n_tiles, features * columns)."""
        if columns == 1:
            return samples
        n_tiles = -(-len(samples) // columns)
        tiles = aligned_empty(n_tiles, samples.shape[1] * columns, samples)
        threads.run(pack_tiles, n_tiles, samples, columns, lanes, tiles, grain=-(-100_000 // tiles.shape[1]))
        return tiles


def require_network(net: Any, call: str) -> None:
    """Raise ValueError for something else than a network, with the form of the call that takes one."""
    if not isinstance(net, Network):
        raise ValueError(f"net must be an evoopt.Network, got a {type(net).__name__}; call evoopt.{call}.")
