"""Tensors of a module that are parameters of layers."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evoopt.interop.torch.links import Link
from evoopt.interop.torch.recording.signals import UnsupportedError
from evoopt.interop.torch.types import Tensor
from evoopt.networks.layers import Layer
from evoopt.types import Array

OWN_NAMES = ("weight", "bias", "running_mean", "running_var")  # names of tensors in torch's own modules


class Part(NamedTuple):
    """A parameter of a layer, or a row of one, and the tensor or the array with its numbers."""

    parameter: str
    tensor: Tensor
    turned: tuple[int, ...] | None = None  # None: the axes stay
    flat: bool = False
    order: NDArray[np.intp] | None = None
    axis: int = 0
    row: int | None = None


@dataclass
class Weights:
    """The named tensors of a module, and the parameters that are made of them."""

    names: dict[int, str]  # keys are the tensors' identities
    parameters: set[int]  # the identities of those that are parameters, and no buffers
    viewed: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)  # views, and their tensors
    values: dict[str, Array] = field(default_factory=dict)
    trainable: set[str] = field(default_factory=set)
    links: list[Link] = field(default_factory=list)
    layers: dict[str, tuple[Layer, list[tuple[object, ...]]]] = field(default_factory=dict)

    def find(self, layer: Layer, parts: Sequence[Part]) -> str | None:
        """Return the node that has a layer with the same tensors."""
        key = self._key(parts)
        return next((name for name, found in self.layers.items() if found == (layer, key)), None)

    def view(self, tensor: Tensor, result: Tensor) -> None:
        """Let a result with the numbers of a parameter in memory be it in another shape."""
        known = id(tensor) in self.parameters and id(result) not in self.names
        if known and _place(tensor) == _place(result) and result.is_contiguous():
            self.viewed[id(result)] = result, self._base(tensor)
            self.names[id(result)] = self.names[id(tensor)]
            self.parameters.add(id(result))

    def _base(self, tensor: Tensor) -> Tensor:
        """Return the tensor of the module that a view has the numbers of."""
        return self.viewed.get(id(tensor), (None, tensor))[1]

    def evolves(self, tensor: object) -> bool:
        """Return whether a tensor is a parameter of the module."""
        return id(tensor) in self.parameters

    def owner(self, parts: Sequence[Part]) -> str:
        """Return the name of the module that the tensors belong to, or else of the first tensor."""
        name = next((self.name(part) for part in parts if not isinstance(part.tensor, np.ndarray)), "")
        module, _, own = name.rpartition(".")
        return module if own in OWN_NAMES else name

    def name(self, part: Part) -> str:
        """Return the name of a tensor; raise UnsupportedError unless the module has it."""
        name = self.names.get(id(part.tensor))
        if name is None:
            raise UnsupportedError(
                f"its {part.parameter} is no parameter of the module, but a tensor that is computed"
            )
        return name

    def take(self, node: str, layer: Layer, parts: Sequence[Part]) -> None:
        """Make tensors the parameters of a node's layer."""
        self.layers[node] = layer, self._key(parts)
        rows: dict[str, list[Part]] = {}
        for part in parts:
            rows.setdefault(f"{node}.{part.parameter}", []).append(part)
        for parameter, own in rows.items():
            arrays = [self._read(parameter, part) for part in own]
            self.values[parameter] = np.array(arrays[0] if own[0].row is None else arrays)
            if self._evolves(parameter, own):
                self.trainable.add(parameter)

    def values_of(self, nodes: Collection[str]) -> dict[str, Array]:
        """Return the parameters of the layers of some nodes."""
        return {name: array for name, array in self.values.items() if name.rpartition(".")[0] in nodes}

    def _read(self, parameter: str, part: Part) -> Array:
        constant = isinstance(part.tensor, np.ndarray)
        tensor, shape = "" if constant else self.name(part), tuple(part.tensor.shape)
        if any(link.tensor == tensor for link in self.links):
            raise UnsupportedError(f'"{tensor}" is used in two different ways')
        turned = tuple(range(len(shape))) if part.turned is None else part.turned
        link = Link(tensor, parameter, shape, turned, part.flat, part.row, part.order, part.axis)
        self.links += [] if constant else [link]
        return link.to_network(part.tensor if constant else part.tensor.detach().numpy())

    def _evolves(self, parameter: str, parts: Sequence[Part]) -> bool:
        kinds = {
            not isinstance(part.tensor, np.ndarray) and self._base(part.tensor).requires_grad
            for part in parts
        }
        if len(kinds) > 1:
            raise UnsupportedError(f"only one of its two biases, {parameter}, requires a gradient")
        return kinds == {True}

    def _key(self, parts: Sequence[Part]) -> list[tuple[object, ...]]:
        """Return a key that tells layers with different tensors apart."""
        return [
            (
                part.parameter,
                part.tensor.tobytes() if isinstance(part.tensor, np.ndarray) else id(self._base(part.tensor)),
                None if part.order is None else part.order.tobytes(),
            )
            for part in parts
        ]


def _place(tensor: Tensor) -> tuple[object, ...]:
    """Return where a tensor's numbers begin in memory, how many they are, and how they are kept."""
    return tensor.data_ptr(), tensor.numel(), tensor.dtype, tensor.is_contiguous()
