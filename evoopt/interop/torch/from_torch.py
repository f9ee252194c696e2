"""A torch module as a network."""

from dataclasses import replace
from typing import Any

import numpy as np

from evoopt.calls import called
from evoopt.interop.packages import require_package
from evoopt.interop.torch.checks import check_weights, dtype_of, evaluation, require_module
from evoopt.interop.torch.links import Kind, Links
from evoopt.interop.torch.network import TorchNetwork
from evoopt.interop.torch.recording.graph import Node
from evoopt.interop.torch.recording.inputs import Inputs, as_inputs
from evoopt.interop.torch.recording.outputs import Outputs
from evoopt.interop.torch.recording.record import record, run
from evoopt.interop.torch.recording.simplify import simplify
from evoopt.interop.torch.recording.weights import Weights
from evoopt.networks.graph import INPUT, Graph
from evoopt.networks.layers import Layer
from evoopt.types import Array, Shape

_BATCH = 5  # another one than at the recording, on which nothing may depend
_TOLERANCE = 1e-4  # of the largest output


@called
def from_torch(module: Any, input_shape: Any) -> tuple[TorchNetwork, Array]:
    """Make a network, and the vector of its parameters, of a torch module."""
    torch = require_package("torch", "from_torch")
    require_module(torch, module)
    dtype = check_weights(torch, module)
    inputs = Inputs(as_inputs(input_shape), _fewest_ids(torch, module))
    with evaluation(torch, module):
        recording = record(torch, module, inputs, dtype)
        nodes, heads = simplify(recording.graph.nodes, recording.outputs.nodes)
        net = _network(module, nodes, heads, inputs.input_shape, recording.graph.weights)
        vector = net.spec.ravel(recording.graph.weights.values_of(nodes))
        _compare(torch, module, net, vector, inputs, recording.outputs, dtype)
    return net, vector


def _fewest_ids(torch: Any, module: Any) -> int | None:
    """Return the size of the smallest embedding; None without one."""
    tables = [each.num_embeddings for each in module.modules() if isinstance(each, torch.nn.Embedding)]
    return min(tables, default=None)


def _network(
    module: Any, nodes: dict[str, Node], heads: dict[str, str], input_shape: Shape, weights: Weights
) -> TorchNetwork:
    parameters = weights.values_of(nodes)
    if not weights.trainable & parameters.keys():
        raise ValueError(
            "The module must have a parameter that leads to its output and requires a gradient, got none; "
            "call module.requires_grad_()."
        )
    tensors = {name: Kind(tuple(tensor.shape), dtype_of(tensor)) for name, tensor in named_tensors(module).items()}
    links = tuple(link for link in weights.links if link.parameter in parameters)
    buffers = _buffers(module, {link.tensor for link in links})
    return TorchNetwork(_layers(nodes, heads, weights), input_shape, parameters, weights.trainable, Links(tensors, links, buffers))


def _buffers(module: Any, linked: set[str]) -> dict[str, Array]:
    """Return copies of the buffers without a link, which recording may have taken for constants."""
    return {
        name: buffer.numpy().copy()
        for name, buffer in module.named_buffers()
        if name not in linked and name.rpartition(".")[2] != "num_batches_tracked"
    }


def named_tensors(module: Any) -> dict[str, Any]:
    """Return parameters and buffers of a module by their names."""
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


def _layers(nodes: dict[str, Node], heads: dict[str, str], weights: Weights) -> list[Layer]:
    """Return a list of layers if each takes the output of the one before it, else a graph."""
    names = [*nodes]
    chain = all(
        node.sources == (before,) and node.of is None
        for node, before in zip(nodes.values(), [INPUT, *names], strict=False)
    )
    if chain and heads == {"": names[-1]}:
        return [
            replace(node.layer, name=name) if name in weights.layers else node.layer  # type: ignore[type-var]
            for name, node in nodes.items()
        ]
    graph = {
        name: (node.layer if node.of is None else node.of, node.sources) for name, node in nodes.items()
    }
    return [Graph(graph, heads[""] if "" in heads else heads)]


def _compare(
    torch: Any, module: Any, net: TorchNetwork, vector: Array, inputs: Inputs, outputs: Outputs, dtype: str
) -> None:
    """Raise ValueError unless the network has the module's outputs."""
    samples = inputs.samples(_BATCH, dtype, seed=1)
    expected = outputs.joined(run(module, [torch.tensor(sample) for sample in samples], inputs))
    found = net.predict(vector, inputs.joined(samples).astype(dtype))
    largest = np.abs(expected).max(initial=0)
    if found.shape != expected.shape or not np.allclose(found, expected, 0, _TOLERANCE * largest, equal_nan=True):
        raise ValueError(
            "The network must have the outputs of the module, but they differ: the module may keep something from "
            "call to call, depend on the number of samples, or write into its tensors; evoopt.FunctionNetwork "
            "runs any module as it is."
        )
