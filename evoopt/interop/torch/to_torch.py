"""Parameters of a network back in the torch module that it was made of."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from evoopt.arrays import shown
from evoopt.calls import called
from evoopt.interop.packages import require_package
from evoopt.interop.torch.checks import dtype_of, named_tensors, require_module
from evoopt.interop.torch.links import Kind
from evoopt.interop.torch.network import TorchNetwork
from evoopt.interop.torch.types import Module


@called
def to_torch(net: TorchNetwork, vector: Mapping[str, Any] | ArrayLike, module: Module) -> Any:
    """Write parameters of a network of `from_torch` into a torch module.

    Parameters
    ----------
    net : Network
        From `from_torch`, or from `Network.freeze` of such a network. A pickled one will do.
    vector : nested dict, or vector (n_params,)
        The solution. Frozen parameters and buffers are written, too.
    module : torch.nn.Module
        The module, or one with tensors of the same names, shapes and dtypes, on any device. Its
        tensors stay the same objects, so that an optimizer goes on. Parameters that lead to no
        output are not in the network, and keep their values.

    Returns
    -------
    module : torch.nn.Module
        The same object. With the vector of `from_torch` its parameters are the same bit for bit.

    Raises
    ------
    ValueError
        For another network, parameters that are not its own, or another module; before anything is
        written.
    ImportError
        Without the package torch.

    See `from_torch` for an example.
    """
    torch = require_package("torch", "to_torch")
    if not isinstance(net, TorchNetwork):
        raise ValueError(f"net must be a network of evoopt.from_torch, got {shown(net)}.")
    require_module(torch, module)
    tensors = named_tensors(module)
    found = {name: Kind(tuple(tensor.shape), dtype_of(tensor)) for name, tensor in tensors.items()}
    _require_same(dict(net.links.tensors), found)
    parameters = net.spec.flat(net.spec.unravel(np.asarray(net.as_vector(vector))))
    with torch.no_grad():
        for link in net.links.links:
            tensors[link.tensor].copy_(torch.from_numpy(link.to_torch(parameters)))
        for name, array in net.links.buffers.items():
            tensors[name].copy_(torch.from_numpy(array))
    return module


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
