"""Networks of layers, with the ParamSpec of their weights."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evoopt import arguments
from evoopt.devices.available import read_device
from evoopt.devices.interface.network import NetworkDescription
from evoopt.networks.base import BaseNetwork
from evoopt.networks.checks import as_layers, as_shape, check_different
from evoopt.networks.description import describe
from evoopt.networks.initializers import initialize
from evoopt.networks.layers import Layer, Parameter
from evoopt.networks.specs import first_spec, frozen_spec
from evoopt.networks.wiring import Node, Wiring
from evoopt.tree import Trainable
from evoopt.types import Device


class Network(BaseNetwork):
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
        self.input_shape = as_shape("input_shape", input_shape)
        wiring = Wiring(self.input_shape)
        wiring.chain(self.layers, 0)
        self.nodes: tuple[Node, ...] = wiring.nodes
        self.heads: dict[str, slice] = wiring.heads
        self.output_shape = self.nodes[-1].output_shape
        parameters = [*self._parameters()]
        check_different(name for name, _ in parameters)
        self._take(first_spec(dict(parameters)))

    def _describe(self) -> NetworkDescription:
        return describe(self.nodes, self.spec, self.input_shape)

    def __repr__(self) -> str:
        return f"Network({list(self.layers)}, input_shape={self.input_shape}): {self.spec.size} parameters"

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
