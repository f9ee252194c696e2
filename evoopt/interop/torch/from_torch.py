"""A torch module as a network."""

from collections.abc import Mapping, Sequence
from types import ModuleType

import numpy as np

from evoopt.calls import called
from evoopt.interop.torch.assemble import assemble
from evoopt.interop.torch.checks import check_weights, evaluation, named_tensors, require_module
from evoopt.interop.torch.compare import compare
from evoopt.interop.torch.network import TorchNetwork
from evoopt.interop.torch.recording.inputs import Inputs, as_inputs
from evoopt.interop.torch.recording.record import record
from evoopt.interop.torch.recording.simplify import simplify
from evoopt.interop.torch.to_torch import write
from evoopt.interop.torch.types import Module
from evoopt.packages import require_package
from evoopt.types import Array


@called
def from_torch(
    module: Module, input_shape: Sequence[int] | Sequence[Sequence[int]]
) -> tuple[TorchNetwork, Array]:
    """Make a network of a torch module, and the vector of its parameters.

    The module runs on a few samples, and each function of torch that it calls becomes a layer.

    Parameters
    ----------
    module : torch.nn.Module
        On the CPU, of float32 or float64. It evaluates, whatever its mode is; its tensors stay as
        they are.
    input_shape : tuple of int, or tuple of tuples
        The shape of one sample in torch's order, without the batch: (channels, height, width) of
        images; or one such shape for each argument of the module.

    Returns
    -------
    net : Network
        A network with the module's outputs. Its parameters have the names of the module's parts,
        such as "layer1.0.conv1.kernel". Those that require no gradient, and the statistics of batch
        normalization, are frozen.
    vector : (n_params,)
        The module's parameters, float64 if the module is of float64.

    Raises
    ------
    ValueError
        For a part without a counterpart among evoopt's layers, which it names, and for a flow of
        control that depends on data. `FunctionNetwork` runs such modules as they are.
    ImportError
        Without the package torch.

    Notes
    -----
    Inputs and outputs of three axes, (channels, height, width) in torch, are (height, width,
    channels) in the network. Two axes are (length, channels) if torch has channels first there,
    because a convolution, a pool or a batch normalization takes an input or returns an output; else
    they are as in torch, such as (time, features). Of several inputs, a sample of the network has
    one after the other, each in this layout and flat.

    Several outputs, in a tuple, list or dict, become one array: each is flat, and `Network.heads`
    has its place by "0", "1", ... or by its key.

    Linear, Conv1d and Conv2d, MaxPool and AvgPool, adaptive pools, BatchNorm, LayerNorm, Embedding,
    RNN, GRU, LSTM, Dropout, Flatten and activations have counterparts, as modules and as functions,
    and so have arithmetic with broadcasting, products with a weight, means, sums, maxima, slices,
    concatenations and moves of axes. A module may be called twice, and may have two names. No
    groups, no dilation, recurrent layers only with ``batch_first=True`` and in one direction.

    Examples
    --------
    >>> import torch  # doctest: +SKIP
    >>> module = torch.nn.Sequential(
    ...     torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2)
    ... )  # doctest: +SKIP
    >>> net, vector = evoopt.from_torch(module, (4,))  # doctest: +SKIP
    >>> net.spec.names  # doctest: +SKIP
    ('0.bias', '0.kernel', '2.bias', '2.kernel')
    >>> module = evoopt.to_torch(net, 0.9 * vector, module)  # doctest: +SKIP
    """
    torch = require_package("torch", "from_torch")
    require_module(torch, module)
    dtype = check_weights(torch, module)
    inputs = Inputs(as_inputs(input_shape), _fewest_ids(torch, module))
    with evaluation(torch, module):
        recording = record(torch, module, inputs, dtype)
        nodes, heads = simplify(recording.graph, recording.outputs.nodes)
        net = assemble(module, nodes, heads, inputs.input_shape, recording.graph.weights)
        values = recording.graph.weights.values_of(nodes)
        vector = net.spec.ravel(values)
        compare(torch, module, net, vector, inputs, recording.outputs, dtype)
        other = net.spec.ravel(_others(values))  # the weights at hand may be zero where it matters
        write(torch, net, other, {name: each.data for name, each in named_tensors(module).items()})
        compare(torch, module, net, other, inputs, recording.outputs, dtype)
    return net, vector


def _fewest_ids(torch: ModuleType, module: Module) -> int | None:
    """Return the size of the smallest embedding; None without one."""
    tables = [each.num_embeddings for each in module.modules() if isinstance(each, torch.nn.Embedding)]
    return min(tables, default=None)


def _others(values: Mapping[str, Array]) -> dict[str, Array]:
    """Return parameters that differ from these ones, by as much as leaves outputs of their size."""
    generator = np.random.default_rng(2)
    return {
        name: (array + generator.normal(0, 0.5 / np.sqrt(np.prod(array.shape[:-1])), array.shape)).astype(
            array.dtype
        )
        for name, array in values.items()
    }
