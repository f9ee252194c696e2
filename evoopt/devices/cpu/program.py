"""Operations -> the program's table and the shared vector of frozen parameters, for one precision."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from evoopt.devices.cpu.steps import Steps
from evoopt.devices.interface.network import Location, NetworkDescription, Operation
from evoopt.kernels.cpu.emit.simd import tile_shape
from evoopt.kernels.cpu.networks import program
from evoopt.kernels.cpu.networks.code import Step
from evoopt.kernels.cpu.networks.products import COPY_FROM
from evoopt.types import Array

MULTIPLY_ADDS_WORTH_A_THREAD = 2.5e6  # some 50 microseconds of work
ITEMS_WORTH_A_THREAD = 100  # of any size: calling the steps takes a part of a microsecond
BLOCK_BYTES = 16384  # of what lies between two steps: a third of the first level cache
BLOCK_OF_WIDE_LAYERS = 4  # tiles that share what a wide layer reads of the row,
WIDE_BLOCK_BYTES = 1 << 21  # if they fit into the second level cache
# What tiles hold: samples of a row side by side; few samples of a row, one a tile; or one sample each of as
# many rows as a vector has lanes, whose parameters lie side by side
Kind = Literal["many", "few", "rows"]


@dataclass(frozen=True)
class Program:
    """What the kernels take besides the population; `steps` keeps the machine code alive."""

    table: NDArray[np.int64]  # (operations, columns of program.py)
    frozen: Array
    multiply_adds: int  # of one sample, and its outputs
    widest: int  # most features between two steps
    room: int  # length of the scratch
    state_size: int  # of one sample
    kind: Kind
    block: int  # tiles that go through the steps together
    steps: list[Step]

    @property
    def arguments(self) -> tuple[Array, NDArray[np.int64], int, int]:
        """What kernels take next to the population."""
        return self.frozen, self.table, self.widest, self.room

    def tiling(self, samples: int) -> tuple[int, int, int]:
        """Give the columns and lanes of tiles for so many samples, and how many of them make a block."""
        if self.kind == "few":
            return 1, 1, max(samples, 1)
        return *tile_shape(self.frozen.dtype), self.block

    def grain(self, samples: int) -> int:
        """Give the fewest items of so many samples that are worth a thread of their own."""
        by_work = int(MULTIPLY_ADDS_WORTH_A_THREAD / max(1, self.multiply_adds * samples))
        return max(1, min(by_work, ITEMS_WORTH_A_THREAD))


def compile_program(
    network: NetworkDescription, steps: Sequence[Steps], dtype: "np.dtype[Any]", kind: Kind
) -> Program:
    """Compile the program of a network, with the steps of each of its operations.

    Raises LookupError if an operation has no step of this kind.
    """
    operations = network.operations
    widest = max(max(operation.inputs, operation.outputs) for operation in operations)
    zeros = Location(
        sum(array.size for array in network.frozen), True, max(widest, *(s.zeros for s in steps))
    )
    chosen = [_step(*each, kind) for each in zip(operations, steps, strict=True)]
    columns, _ = tile_shape(dtype)
    return Program(
        _table(operations, steps, [step.address(dtype) for step in chosen], zeros),
        np.concatenate([*map(np.ravel, network.frozen), np.zeros(zeros.size)]).astype(dtype),
        sum(operation.weights * operation.places + operation.outputs for operation in operations),
        widest,
        max(each.scratch[0] + each.scratch[1] * columns for each in steps),
        network.state_size,
        kind,
        _block(operations, widest * columns * dtype.itemsize),
        chosen,
    )


def _step(operation: Operation, steps: Steps, kind: Kind) -> Step:
    if kind == "few" and steps.few is not None:
        return steps.few
    if kind == "rows" and operation.parameters:
        if steps.rows is None:
            raise LookupError("a layer has no step for the samples of several rows")
        return steps.rows
    return steps.many


def _table(
    operations: Sequence[Operation], steps: Sequence[Steps], addresses: Sequence[int], zeros: Location
) -> NDArray[np.int64]:
    """Resolve parameters to offsets, trainable ones in the row, frozen ones in the shared vector."""
    n_parameters = max(len(operation.parameters) for operation in operations)
    table = np.zeros((len(operations), program.PARAMETERS + 2 * n_parameters), np.int64)
    state = 0
    for row, operation, each, address in zip(table, operations, steps, addresses, strict=True):
        row[program.INPUTS], row[program.OUTPUTS] = operation.inputs, operation.outputs
        row[program.ADDRESS], row[program.IN_PLACE] = address, each.in_place
        row[program.STATE], row[program.STATE_SIZE] = state, operation.state
        state += operation.state
        row[program.SIZES :][: len(each.columns)] = each.columns
        places = [(found or zeros)[:2] for found in operation.parameters]
        row[program.PARAMETERS :][: 2 * len(places)] = np.ravel(places)
    return table


def _block(operations: Sequence[Operation], tile_bytes: int) -> int:
    """Give how many tiles go through the steps together, each of so many bytes between two steps."""
    block = BLOCK_BYTES // tile_bytes
    if any(operation.weights >= COPY_FROM for operation in operations):
        block = max(block, min(BLOCK_OF_WIDE_LAYERS, WIDE_BLOCK_BYTES // tile_bytes))
    return min(max(block, 1), 8)
