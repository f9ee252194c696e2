"""Layers -> the description of a network that engines take."""

import math
from collections.abc import Iterable

from evoopt.devices.interface.network import LayerDescription, Location, NetworkDescription
from evoopt.networks.layers import Layer
from evoopt.params import ParamSpec
from evoopt.types import Shape

NamedLayer = tuple[str, Layer, Shape]  # its name, itself, the shape of one sample that comes in


def describe(layers: Iterable[NamedLayer], spec: ParamSpec, output_shape: Shape) -> NetworkDescription:
    """Return the operations of layers, with the places of their parameters in a spec."""
    layers, places = tuple(layers), _locations(spec)
    described = []
    for name, layer, shape in layers:
        own = {key: places[f"{name}.{key}"] for key in layer.parameters(shape)}
        described.append(LayerDescription(name, layer, shape, tuple(layer.operations(shape, own))))
    return NetworkDescription(
        tuple(described),
        spec.size,
        tuple(spec.frozen.values()),
        layers[0][2],
        output_shape,
        min(layer.few_samples for _, layer, _ in layers),
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
