"""The outputs of a module: one array of a network, with a head for each of several tensors."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from evoopt.interop.torch.recording.graph import GraphBuilder
from evoopt.interop.torch.recording.recorder import REMEDY, Recorder
from evoopt.interop.torch.recording.signals import UnsupportedError
from evoopt.interop.torch.recording.values import States, Unknown, Value
from evoopt.networks.graph import INPUT
from evoopt.networks.normalization import Rescaling
from evoopt.types import Array


@dataclass(frozen=True)
class Outputs:
    """The nodes of the outputs by the names of their heads; "" is the name of the only one."""

    nodes: Mapping[str, str]
    orders: tuple[tuple[int, ...], ...]  # torch's axes of each output in evoopt's order

    def joined(self, found: object) -> Array:
        """Return the module's outputs in the network's layout."""
        turned: list[Array] = [
            tensor.numpy().transpose(0, *(axis + 1 for axis in order))
            for (_, tensor), order in zip(named(found), self.orders, strict=True)
        ]
        if list(self.nodes) == [""]:
            (array,) = turned
            return array if array.ndim > 1 else array[:, None]
        return np.concatenate([each.reshape(len(each), -1) for each in turned], axis=1)


def find_outputs(recorder: Recorder, found: object) -> Outputs:
    """Find the nodes of a module's outputs."""
    pairs = [*named(found)]
    tensors = dict(pairs)
    if not tensors:
        raise UnsupportedError(f"The module must return a tensor, or several, got {found!r}; {REMEDY}.")
    if len(tensors) < len(pairs) or ("" in tensors and isinstance(found, Mapping)):
        names = ", ".join(repr(name) for name, _ in pairs)
        raise UnsupportedError(f"Each output of the module must have a name of its own, got {names}.")
    values = {name: _value(recorder, name, tensor) for name, tensor in tensors.items()}
    orders = tuple(_order(value) for value in values.values())
    graph, nodes = recorder.graph, {}
    for (name, value), order in zip(values.items(), orders, strict=True):
        node = graph.laid(value, order)
        node = graph.shaped(node, (int(np.prod(value.shape)),)) if name else node
        nodes[name] = _not_input(graph, node)
    return Outputs(nodes, orders)


def named(found: object, name: str = "") -> Iterable[tuple[str, Any]]:
    """Yield the tensors of a module's outputs with the names of their heads; None is no output."""
    if isinstance(found, Mapping):
        items = [(str(key), value) for key, value in found.items()]
    elif isinstance(found, tuple | list):
        items = [*zip(getattr(found, "_fields", map(str, range(len(found)))), found, strict=True)]
    else:
        if found is not None:
            yield name, found
        return
    for key, value in items:
        yield from named(value, f"{name}.{key}" if name else key)


def _value(recorder: Recorder, name: str, tensor: object) -> Value:
    value = recorder.described(tensor)
    if isinstance(value, Value) and not recorder.rounded(tensor):
        return value
    if isinstance(value, Unknown):
        raise recorder.error(value)
    output = f"The output {name!r}" if name else "The output"
    found = f"a constant of type {type(tensor).__name__}"
    found = "last states" if isinstance(value, States) else found
    found = "rounded numbers" if isinstance(value, Value) else found
    raise UnsupportedError(f"{output} of the module must be computed from its inputs, got {found}; {REMEDY}.")


def _order(value: Value) -> tuple[int, ...]:
    """Return torch's axes in the order of the network's output, which has the channels last."""
    axes = tuple(range(len(value.shape)))
    turned = len(axes) == 3 or (len(axes) == 2 and value.channels == 0)
    return (*axes[1:], 0) if turned else axes


def _not_input(graph: GraphBuilder, node: str) -> str:
    """Return a node of the graph, which an output must be."""
    return graph.put(Rescaling(1.0), node) if node == INPUT else node
