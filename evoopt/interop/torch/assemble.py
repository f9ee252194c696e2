"""The network of a recorded module."""

from evoopt.interop.torch.checks import as_array, dtype_of, named_tensors
from evoopt.interop.torch.links import Kind, Links
from evoopt.interop.torch.network import TorchNetwork
from evoopt.interop.torch.recording.graph import Node, changed
from evoopt.interop.torch.recording.weights import Weights
from evoopt.interop.torch.types import Module
from evoopt.networks.graph import INPUT, Graph
from evoopt.networks.layers import Layer
from evoopt.types import Array, Shape


def assemble(
    module: Module, nodes: dict[str, Node], heads: dict[str, str], input_shape: Shape, weights: Weights
) -> TorchNetwork:
    """Return the network of nodes, with the parameters of a module and links to its tensors."""
    parameters = weights.values_of(nodes)
    if not weights.trainable & parameters.keys():
        raise ValueError(
            "The module must have a parameter that leads to its output and requires a gradient, got none; "
            "call module.requires_grad_()."
        )
    tensors = {
        name: Kind(tuple(tensor.shape), dtype_of(tensor)) for name, tensor in named_tensors(module).items()
    }
    links = tuple(link for link in weights.links if link.parameter in parameters)
    buffers = _buffers(module, {link.tensor for link in links})
    return TorchNetwork(
        _layers(nodes, heads),
        input_shape,
        parameters,
        weights.trainable,
        Links(tensors, links, buffers),
    )


def _buffers(module: Module, linked: set[str]) -> dict[str, Array]:
    """Return copies of the buffers without a link, which recording may have taken for constants."""
    return {
        name: as_array(buffer)
        for name, buffer in module.named_buffers()
        if name not in linked and name.rpartition(".")[2] != "num_batches_tracked"
    }


def _layers(nodes: dict[str, Node], heads: dict[str, str]) -> list[Layer]:
    """Return a list of layers if each takes the output of the one before it, else a graph."""
    names = [*nodes]
    chain = all(
        node.sources == (before,) and node.of is None
        for node, before in zip(nodes.values(), [INPUT, *names], strict=False)
    )
    if chain and heads == {"": names[-1]}:
        return [changed(node.layer, name=name) for name, node in nodes.items()]
    graph = {name: (node.layer if node.of is None else node.of, node.sources) for name, node in nodes.items()}
    return [Graph(graph, heads.get("", heads))]
