"""A network of any acyclic shape as one layer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

from evoopt import arguments
from evoopt.arrays import shown
from evoopt.networks.checks import check_name
from evoopt.networks.layers import Layer, NamedLayer
from evoopt.networks.wiring import Composite, Wiring, join

INPUT = "input"
Sources = str | Sequence[str]
GraphNode = tuple[Layer | str, Sources]


@dataclass(frozen=True)
class Graph(NamedLayer, Composite):
    """Layers that take the outputs of any layers before them.

    Parameters
    ----------
    nodes : mapping of str to (layer, source)
        In order. A source is the name of an earlier node, or "input". `Add`, `Multiply` and
        `Concat` take several sources, as a tuple. The name of an earlier node in place of a layer
        means this layer once more, with the same parameters.
    output : str, sequence of str or mapping of str to str, optional
        The node whose output is the graph's, by default the last one. The outputs of several nodes
        are concatenated along their last axis; if the graph is the network's last layer,
        `Network.heads` has their parts, by the names of the nodes or by the keys of the mapping.
    name : str, optional
        A prefix for the names of the nodes; by default they have none.

    Raises
    ------
    ValueError
        For no nodes, an unknown source or output, a node that nothing uses, a layer with a name of
        its own, or a layer that cannot take its sources; for a layer that is used again with inputs
        for which it has other parameters.

    Examples
    --------
    >>> import evoopt
    >>> graph = evoopt.Graph({
    ...     "first": (evoopt.Dense(8, "tanh"), "input"),
    ...     "second": (evoopt.Dense(8, "tanh"), "first"),
    ...     "both": (evoopt.Concat(), ("first", "second")),
    ...     "policy": (evoopt.Dense(4), "both"),
    ...     "value": (evoopt.Dense(1), "first"),
    ... }, output=("policy", "value"))
    >>> evoopt.Network([graph], input_shape=(3,)).heads
    {'policy': slice(0, 4, None), 'value': slice(4, 5, None)}
    """

    nodes: Mapping[str, GraphNode]
    output: str | Sequence[str] | Mapping[str, str] | None = None

    kind: ClassVar[str] = "graph"
    prefixes: ClassVar[bool] = False

    def __post_init__(self) -> None:
        nodes: dict[str, tuple[Layer | str, tuple[str, ...]]] = {}
        for name, node in arguments.mapping("nodes", self.nodes).items():
            nodes[check_name(name)] = _read_node(name, node, nodes)
        if not nodes:
            raise ValueError("nodes must have at least one node, got none.")
        object.__setattr__(self, "nodes", nodes)
        object.__setattr__(self, "output", _read_output(self.output, nodes))
        used = {*self._heads().values()}.union(*(sources for _, sources in nodes.values()))
        unused = [name for name in nodes if name not in used]
        if unused:
            raise ValueError(f"Each node must lead to the output, but {unused[0]!r} does not; leave it out.")

    def _heads(self) -> Mapping[str, str]:
        """Return the nodes whose outputs are the graph's, by the names of heads."""
        return self.output if isinstance(self.output, Mapping) else {"": cast(str, self.output)}

    def wire(self, wiring: Wiring, name: str, source: int) -> int:
        values: dict[str, int] = {INPUT: source}
        layers: dict[str, tuple[str, Layer]] = {}  # the name that a node's parameters have, and its layer
        for own, (layer, sources) in self.nodes.items():
            again = isinstance(layer, str)
            layers[own] = layers[layer] if isinstance(layer, str) else (join(name, own), layer)
            values[own] = wiring.put(*layers[own], [values[each] for each in sources], again=again)
        heads = {head: values[node] for head, node in self._heads().items()}
        return heads[""] if isinstance(self.output, str) else wiring.concatenate(join(name, "heads"), heads)


def _read_node(name: str, node: object, before: Mapping[str, Any]) -> tuple[Layer | str, tuple[str, ...]]:
    """Read a node, whose sources are nodes `before` it."""
    if name == INPUT:
        raise ValueError(f"A node must have another name than {INPUT!r}, the input of the graph.")
    if not isinstance(node, tuple | list) or len(node) != 2:
        raise ValueError(
            f'nodes must be pairs of a layer and its source, such as "first": (evoopt.Dense(8), "input"), '
            f"got {shown(node)} for {name!r}."
        )
    layer, sources = node
    if isinstance(layer, str):
        _check_known(f"The layer of the node {name!r} must be a node before it", layer, before)
        if isinstance(before[layer][0], Composite):
            raise ValueError(
                f"A layer that has layers in it cannot be used again, got {layer!r} for {name!r}."
            )
    elif not isinstance(layer, Layer):
        raise ValueError(f"The layer of the node {name!r} must be a layer, got {shown(layer)}.")
    elif layer.name is not None:
        raise ValueError(
            f"The layer of the node {name!r} has this name; leave out its name=, got {layer.name!r}."
        )
    names = _known(
        f"The source of the node {name!r} must be a node before it", sources, {INPUT: None, **before}
    )
    if not names:
        raise ValueError(f"The node {name!r} must have a source, got {shown(sources)}.")
    return layer, names


def _known(rule: str, names: object, known: Mapping[str, Any]) -> tuple[str, ...]:
    """Read one name, or several, of known nodes."""
    found: list[str] = []
    for name in (names,) if isinstance(names, str) else arguments.items(names):  # which may have no end
        _check_known(rule, name, known)
        found.append(name)
    return tuple(found)


def _check_known(rule: str, name: object, known: Mapping[str, Any]) -> None:
    if not isinstance(name, str) or name not in known:
        raise ValueError(f"{rule} ({', '.join(known) or 'none yet'}), got {shown(name)}.")


def _read_output(output: object, nodes: Mapping[str, Any]) -> str | dict[str, str]:
    """Read the name of the output's node, or the nodes of several heads."""
    if output is None:
        return [*nodes][-1]
    if isinstance(output, Mapping):
        names = _known("An output must be a node", [*output.values()], nodes)
        heads = dict(zip(map(check_name, output), names, strict=True))
    else:
        names = _known("An output must be a node", output, nodes)
        heads = {name: name for name in names}
    if not heads or len(heads) != len(names):
        raise ValueError(f"output must be a node, or several different ones, got {shown(output)}.")
    return output if isinstance(output, str) else heads
