"""Layers -> the description of a network that engines take."""

import math
from collections.abc import Sequence

from evoopt.devices.interface.network import LayerDescription, Location, NetworkDescription
from evoopt.networks.wiring import Node
from evoopt.params import ParamSpec
from evoopt.types import Shape


def describe(nodes: Sequence[Node], spec: ParamSpec, input_shape: Shape) -> NetworkDescription:
    """Return the operations of nodes, with the places of their parameters in a spec."""
    places, described = _locations(spec), []
    for node in nodes:
        own = {key: places[f"{node.name}.{key}"] for key in node.parameters()}
        operations = tuple(node.operations(own))
        described.append(LayerDescription(node.name, node.layer, node.sources, node.input_shape, operations))
    return NetworkDescription(
        tuple(described),
        spec.size,
        tuple(spec.frozen.values()),
        input_shape,
        nodes[-1].output_shape,
        min(node.layer.few_samples for node in nodes),
    )


def _locations(spec: ParamSpec) -> dict[str, Location]:
    """Return the place of each parameter: in the row, or among the frozen ones."""
    rows = zip(spec.names, spec.offsets, spec.shapes, strict=True)
    found = {name: Location(start, False, math.prod(shape)) for name, start, shape in rows}
    end = 0
    for name, value in spec.frozen.items():
        found[name] = Location(end, True, value.size)
        end += value.size
    return found
