"""The inputs of a module: their shapes and layouts in torch and in evoopt."""

import math
import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from evoopt import arguments
from evoopt.arrays import shown
from evoopt.interop.torch.recording.graph import GraphBuilder
from evoopt.interop.torch.recording.signals import Facts
from evoopt.interop.torch.recording.values import Value
from evoopt.memory import require_memory
from evoopt.networks.graph import INPUT
from evoopt.networks.shaping import Slice
from evoopt.types import Array, Shape


@dataclass
class Inputs:
    """The shapes of a module's inputs, without the batch, and facts about them."""

    shapes: tuple[Shape, ...]
    most: int | None = None  # inputs are whole numbers below it, because they may be ids
    facts: Facts = field(default_factory=Facts)

    def orders(self) -> Iterable[tuple[int, ...]]:
        """Yield torch's axes of each input in evoopt's order."""
        for number, shape in enumerate(self.shapes):
            axes = tuple(range(len(shape)))
            turned = len(shape) == 3 or number in self.facts.channels
            yield (*axes[1:], 0) if turned else axes

    @property
    def input_shape(self) -> Shape:
        """Return the shape of one sample of the network."""
        if len(self.shapes) > 1:
            return (sum(math.prod(shape) for shape in self.shapes),)
        (order,) = self.orders()
        return tuple(self.shapes[0][axis] for axis in order)

    def samples(self, batch: int, dtype: str, seed: int) -> list[Array]:
        """Draw a batch of each input, in torch's layout."""
        needed = 8 * batch * sum(map(math.prod, self.shapes))
        require_memory("input_shape", needed, f"{batch} samples", "make it smaller")
        generator = np.random.default_rng(seed)
        found: list[Array] = []
        for number, shape in enumerate(self.shapes):
            size = batch, *shape
            numbers = (
                generator.normal(size=size) if self.most is None else generator.integers(self.most, size=size)
            )
            found.append(numbers.astype(np.int64 if number in self.facts.ids else dtype))
        return found

    def joined(self, samples: Sequence[Array]) -> Array:
        """Return the module's samples in the network's layout."""
        turned = [
            sample.transpose(0, *(axis + 1 for axis in order))
            for sample, order in zip(samples, self.orders(), strict=True)
        ]
        if len(turned) == 1:
            return turned[0]
        return np.concatenate([each.reshape(len(each), -1) for each in turned], axis=1)

    def values(self, graph: GraphBuilder) -> list[Value]:
        """Return the inputs as values of a graph."""
        found, start = [], 0
        for number, (shape, order) in enumerate(zip(self.shapes, self.orders(), strict=True)):
            stop = start + math.prod(shape)
            node = INPUT if len(self.shapes) == 1 else graph.put(Slice(start, stop), INPUT)
            graph.inputs[node] = number
            found.append(Value.ordered(node, order, shape, 0 if order[-1] == 0 else None))
            start = stop
        return found


def as_inputs(input_shape: object) -> tuple[Shape, ...]:
    """Read the shape of the input, or the shapes of several ones."""
    sizes = tuple(input_shape) if isinstance(input_shape, tuple | list) else (input_shape,)
    several = bool(sizes) and all(isinstance(size, tuple | list) for size in sizes)
    try:
        shapes = tuple(tuple(map(operator.index, each)) for each in (sizes if several else [sizes]))
    except TypeError:
        shapes = ((),)
    if not all(shape and min(shape) > 0 for shape in shapes):
        raise ValueError(
            "input_shape must be the sizes of one sample in torch's order, without the batch, such as "
            f"(3, 32, 32); or one such tuple for each input of the module, got {shown(input_shape)}."
        )
    return tuple(arguments.possible_shape("input_shape", shape) for shape in shapes)
