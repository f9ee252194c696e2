"""Simpler graphs of the same outputs: unused nodes go, activations join the layers before them."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import count

from evoopt.interop.torch.recording.graph import GraphBuilder, Node, changed
from evoopt.networks.layers import Activation
from evoopt.networks.recurrent import Recurrent
from evoopt.networks.shaping import Flatten, Reshape, Slice

Nodes = dict[str, Node]
RESHAPES = (Reshape, Flatten)


def simplify(graph: GraphBuilder, outputs: Mapping[str, str]) -> tuple[Nodes, dict[str, str]]:
    """Return the nodes that lead to the outputs, as few as there can be, and the outputs' nodes."""
    nodes = _used(graph.nodes, outputs)
    for step in (_last_steps, _reshapes, _activations):
        replaced = step(nodes, outputs)
        nodes = {name: _renamed(node, replaced) for name, node in nodes.items()}
        outputs = {head: replaced.get(node, node) for head, node in outputs.items()}
        nodes = _used(nodes, outputs)
    names = _numbered(nodes, graph)
    nodes = {names[name]: _renamed(node, names) for name, node in nodes.items()}
    return nodes, {head: names[node] for head, node in outputs.items()}


def _used(nodes: Mapping[str, Node], outputs: Mapping[str, str]) -> Nodes:
    wanted = {*outputs.values()}
    for name in reversed([*nodes]):
        if name in wanted:
            wanted.update(_needed(nodes[name]))
    return {name: node for name, node in nodes.items() if name in wanted}


def _needed(node: Node) -> Iterable[str]:
    return node.sources if node.of is None else (*node.sources, node.of)


def _renamed(node: Node, renamed: Mapping[str, str]) -> Node:
    return replace(node, sources=tuple(renamed.get(source, source) for source in node.sources))


def _numbered(nodes: Nodes, graph: GraphBuilder) -> dict[str, str]:
    """Return names in which nodes without weights count from 0."""
    kept = {*graph.weights.layers, *(name for name, node in nodes.items() if node.of)}
    taken = {*kept, *graph.reserved}
    names: dict[str, str] = {}
    for name, node in nodes.items():
        numbered = (f"{node.layer.kind}_{number}" for number in count())
        names[name] = name if name in kept else next(each for each in numbered if each not in taken)
        taken.add(names[name])
    return names


def _users(nodes: Nodes, outputs: Mapping[str, str]) -> Counter[str]:
    """Count the uses of each node; one whose layer is used again counts as used, too."""
    users = Counter(outputs.values())
    for node in nodes.values():
        users.update(_needed(node))
    return users


def _last_steps(nodes: Nodes, outputs: Mapping[str, str]) -> dict[str, str]:
    """Let recurrent layers return their last step, where nothing else is used of them."""
    last = {name: node.sources[0] for name, node in nodes.items() if _is_last_step(node, nodes)}
    uses, users = Counter(last.values()), _users(nodes, outputs)
    for name, source in last.items():
        if uses[source] == users[source]:
            node = nodes[source]
            nodes[name] = replace(nodes[name], layer=Reshape(nodes[name].shape))
            layer = changed(node.layer, return_sequences=False)
            nodes[source] = replace(node, layer=layer, shape=node.shape[-1:])
    return {}


def _is_last_step(node: Node, nodes: Nodes) -> bool:
    source = nodes.get(node.sources[0])
    if source is None or source.of is not None or not isinstance(source.layer, Recurrent):
        return False
    return node.layer == Slice(source.shape[0] - 1, source.shape[0], axis=0)


def _reshapes(nodes: Nodes, outputs: Mapping[str, str]) -> dict[str, str]:
    """Leave out reshapes of reshapes, and those that change nothing."""
    renamed: dict[str, str] = {}
    for name, node in nodes.items():
        if isinstance(node.layer, RESHAPES):
            source = renamed.get(node.sources[0], node.sources[0])
            if source in nodes and isinstance(nodes[source].layer, RESHAPES):
                (source,) = nodes[source].sources
            nodes[name] = replace(node, sources=(source,))
            if source in nodes and nodes[source].shape == node.shape:
                renamed[name] = source
    return renamed


def _activations(nodes: Nodes, outputs: Mapping[str, str]) -> dict[str, str]:
    """Let layers apply the activations that alone use their outputs."""
    users = _users(nodes, outputs)
    renamed: dict[str, str] = {}
    for name, node in nodes.items():
        source = renamed.get(node.sources[0], node.sources[0])
        if isinstance(node.layer, Activation) and users[source] == 1 and _can_activate(nodes.get(source)):
            layer = changed(nodes[source].layer, activation=node.layer.activation)
            nodes[source] = replace(nodes[source], layer=layer)
            renamed[name] = source
    return renamed


def _can_activate(node: Node | None) -> bool:
    if node is None or node.of is not None:
        return False
    return getattr(node.layer, "activation", None) == "linear" and not isinstance(node.layer, Recurrent)
