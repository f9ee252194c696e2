"""Places of the values that operations make, in the memory of a sample.

Each operation reads one value and writes another, or changes one. Two values that are never needed
at once may lie in the same place.
"""

import bisect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from evoopt.devices.cpu.operations import OPERATIONS, CpuOperation
from evoopt.devices.interface.network import LayerDescription, NetworkDescription, Operation
from evoopt.kernels.cpu.networks.program import INPUT

ALIGNED = 16  # numbers: a cache line of float32


@dataclass(eq=False)
class Value:
    """A value of `size` numbers, at the place `start`; it is needed up to an instruction."""

    size: int
    start: int = INPUT
    last: int = -1  # the number of the instruction

    @property
    def end(self) -> int:
        """Return the place after it, rounded up so that the next one is aligned."""
        return self.start + -(-self.size // ALIGNED) * ALIGNED


class Instruction(NamedTuple):
    """An operation on the CPU, and its values."""

    operation: Operation
    compiled: CpuOperation
    x: Value
    y: Value


def instructions(network: NetworkDescription) -> tuple[Instruction, ...]:
    """Return the operations of a network, with a place for each value."""
    found = [*_instructions(network)]
    for k, each in enumerate(found):
        each.x.last = each.y.last = k
    found[-1].y.last = len(found)
    _place(found)
    return tuple(found)


def _instructions(network: NetworkDescription) -> Iterator[Instruction]:
    """Make the instructions, whose values have no places yet.

    An operation that works in place, or changes its input, gets a copy of a value that is needed
    later.
    """
    values, needed = [Value(network.n_inputs)], _needs(network.layers)
    for number, layer in enumerate(network.layers):
        sources = [values[source] for source in layer.sources]
        result, is_needed = sources[0], needed(number)
        for operation in layer.operations:
            compiled = OPERATIONS[operation.kind](operation)
            if is_needed and (compiled.in_place or compiled.changes_x):
                yield _copy(result, result := Value(result.size))
            x = sources[operation.source] if operation.source else result
            y = result if compiled.in_place else Value(operation.outputs)
            yield Instruction(operation, compiled, x, y)
            result, is_needed = y, False
        values.append(result)
    if values[-1] is values[0]:  # no layer computes anything
        yield _copy(values[0], Value(network.n_inputs))


def _copy(x: Value, y: Value) -> Instruction:
    operation = Operation("slice", x.size, x.size, sizes=(1, x.size, x.size, 0, x.size, 0))
    return Instruction(operation, OPERATIONS["slice"](operation), x, y)


def _needs(layers: Sequence[LayerDescription]) -> Callable[[int], bool]:
    """Return ``needed(k)``: whether the first source of layer k must stay as it is."""
    roots, last = [0], {0: len(layers)}  # the value that a value is another view of; its last reader
    for number, layer in enumerate(layers):
        roots.append(number + 1 if layer.operations else roots[layer.sources[0]])
        last.update((roots[source], max(number, last.get(roots[source], 0))) for source in layer.sources)
    last[roots[-1]] = len(layers)

    def needed(number: int) -> bool:
        first, *others = (roots[source] for source in layers[number].sources)
        return last[first] > number or first in others

    return needed


def _place(found: Sequence[Instruction]) -> None:
    """Put each value into the first gap between the values that are needed at the same time."""
    placed: list[Value] = []  # by their starts
    for number, each in enumerate(found):
        if each.y.start != INPUT:
            continue
        placed = [value for value in placed if value.last >= number]
        each.y.start = 0
        for value in placed:
            if value.start < each.y.end and each.y.start < value.end:
                each.y.start = value.end
        bisect.insort(placed, each.y, key=lambda value: value.start)
