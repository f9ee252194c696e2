"""Links between tensors of a torch module and parameters of a network; they need no torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evoopt.types import Array, Shape


class Kind(NamedTuple):
    """The shape and dtype of a tensor."""

    shape: Shape
    dtype: str


@dataclass(frozen=True, eq=False)
class Link:
    """One tensor, and the parameter or row of a parameter that has its numbers.

    They are the numbers of ``tensor.transpose(turned)``, which may be flat, and of which the places
    of one axis, the first or the last, may be in another order.
    """

    tensor: str
    parameter: str
    shape: Shape  # the tensor's
    turned: tuple[int, ...]
    flat: bool = False
    row: int | None = None
    order: NDArray[np.intp] | None = None
    axis: int = 0

    def to_network(self, tensor: Array) -> Array:
        """Return the numbers of the tensor as the network has them."""
        turned = tensor.transpose(self.turned)
        array = turned.reshape(-1) if self.flat else turned
        return array if self.order is None else array.take(self.order, self.axis)

    def to_torch(self, parameters: Mapping[str, Array]) -> Array:
        """Return the numbers of the parameter as torch has them, copied."""
        array = parameters[self.parameter]
        array = array if self.row is None else array[self.row]
        if self.order is not None:
            array = array.take(np.argsort(self.order), self.axis)
        turned = array.reshape([self.shape[axis] for axis in self.turned])
        return np.array(turned.transpose(np.argsort(self.turned)))


@dataclass(frozen=True, eq=False)
class Links:
    """All tensors of a module, the links of those in the network, and the other buffers' values.

    Without the counts of batches, of which nothing depends.
    """

    tensors: Mapping[str, Kind]
    links: tuple[Link, ...]
    buffers: Mapping[str, Array]
