"""Parameters of a network in a torch module: in the one that it was made of, or in a new one."""

from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from evoopt.arrays import shown
from evoopt.calls import called
from evoopt.interop.torch.building.module import build_module
from evoopt.interop.torch.checks import dtype_of, named_tensors, require_module
from evoopt.interop.torch.links import Kind
from evoopt.interop.torch.network import TorchNetwork
from evoopt.interop.torch.types import Module, Tensor
from evoopt.networks.network import Network
from evoopt.packages import require_package
from evoopt.types import Array


@called
def to_torch(net: Network, vector: Mapping[str, Any] | ArrayLike, module: Module = None) -> Module:
    """Make a torch module of a network, or write parameters into the one that it was made of.

    Parameters
    ----------
    net : Network
        Without a `module`, any network with layers and activations of evoopt. With one, a network
        from `from_torch`, or from `Network.freeze` of such a network. A pickled one will do.
    vector : nested dict, or vector (n_params,)
        The solution. Frozen parameters and buffers are written, too.
    module : torch.nn.Module, optional
        The module, or one with tensors of the same names, shapes and dtypes, on any device. Its
        tensors stay the same objects, so that an optimizer goes on. Parameters that lead to no
        output are not in the network, and keep their values.

    Returns
    -------
    module : torch.nn.Module
        The same object. With the vector of `from_torch` its parameters are the same bit for bit.
        Or a new one, in evaluation mode and of float32, see the notes.

    Raises
    ------
    ValueError
        For another network, parameters that are not its own, a layer or activation of your own, or
        another module; before anything is written.
    ImportError
        Without the package torch.

    Notes
    -----
    A new module has torch's layers, by the names of the network's: ``module.dense_0.weight``. Its
    ``forward(inputs)`` takes and returns tensors in the layout of `Network.predict`, with channels
    last. If a recurrent layer takes one time step a call, it is ``forward(inputs, state)``, which
    returns outputs and the new state.

    Examples
    --------
    >>> import evoopt
    >>> net = evoopt.Network([evoopt.Dense(8, "tanh"), evoopt.Dense(2)], input_shape=(4,))
    >>> module = evoopt.to_torch(net, net.init(seed=0))  # doctest: +SKIP
    >>> import torch  # doctest: +SKIP
    >>> module(torch.ones(3, 4)).shape  # doctest: +SKIP
    torch.Size([3, 2])

    See `from_torch` for an example with its module.
    """
    return build_module(net, vector) if module is None else _write(net, vector, module)


def _write(net: Network, vector: Mapping[str, Any] | ArrayLike, module: Module) -> Module:
    """Write parameters into a module, and return it."""
    torch = require_package("torch", "to_torch")
    if not isinstance(net, TorchNetwork):
        raise ValueError(
            f"net must be a network of evoopt.from_torch, got {shown(net)}; without a module, one is made."
        )
    require_module(torch, module)
    tensors = named_tensors(module)
    found = {name: Kind(tuple(tensor.shape), dtype_of(tensor)) for name, tensor in tensors.items()}
    _require_same(dict(net.links.tensors), found)
    with torch.no_grad():
        write(torch, net, np.asarray(net.as_vector(vector)), tensors)
    return module


def write(torch: ModuleType, net: TorchNetwork, vector: Array, tensors: Mapping[str, Tensor]) -> None:
    """Write parameters of a network, and the buffers of its module, into tensors by their names."""
    parameters = net.spec.flat(net.spec.unravel(vector))
    for link in net.links.links:
        tensor = tensors[link.tensor]
        tensor.copy_(torch.from_numpy(link.to_torch(parameters)).reshape(tensor.shape))
    for name, array in net.links.buffers.items():
        tensors[name].copy_(torch.from_numpy(array))


def _require_same(expected: Mapping[str, Kind], found: Mapping[str, Kind]) -> None:
    """Raise ValueError for the first tensor that differs."""
    for name in {**expected, **found}:
        if expected.get(name) != found.get(name):
            raise ValueError(
                f'The module must be one like the network was made of, with "{name}" '
                f"{_shown(expected.get(name))}, got {_shown(found.get(name))}."
            )


def _shown(kind: Kind | None) -> str:
    return "absent" if kind is None else f"of shape {kind.shape} and dtype {kind.dtype}"
