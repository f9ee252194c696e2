"""Programs: operations as a table, with the vector of frozen parameters, in one precision."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from evoopt.devices.cpu.operations import CpuOperation
from evoopt.devices.cpu.values import Instruction
from evoopt.devices.interface.network import Location, NetworkDescription, Operation
from evoopt.kernels.cpu.emit.vectors import tile_shape
from evoopt.kernels.cpu.networks import program
from evoopt.kernels.cpu.networks.code import OperationCode
from evoopt.kernels.cpu.networks.products import COPY_FROM
from evoopt.types import Array

MULTIPLY_ADDS_WORTH_A_THREAD = 2.5e6  # some 50 microseconds of work
ITEMS_WORTH_A_THREAD = 100  # items of any size: their calls take a part of a microsecond
CHUNK_BYTES = 16384  # bytes between two operations: a third of the first-level cache
CHUNK_OF_WIDE_LAYERS = 4  # tiles that share a wide layer's reads of the row,
WIDE_CHUNK_BYTES = 1 << 21  # if they fit into the second level cache
# The content of tiles: samples of a row side by side; single samples of a row; or one sample of
# each of as many rows as a vector has lanes, with their parameters side by side
Kind = Literal["tiles", "samples", "lanes"]


@dataclass(frozen=True)
class Program:
    """A network in the form that kernels take; `codes` keeps the machine code alive."""

    table: NDArray[np.int64]  # (operations, columns of program.py)
    frozen: Array
    multiply_adds: int  # multiply-adds and outputs of one sample
    state_size: int  # numbers for each sample
    kind: Kind
    chunk: int  # tiles that go through the operations together
    codes: list[OperationCode]

    def tiling(self, samples: int) -> tuple[int, int, int]:
        """Return columns and lanes of tiles for so many samples, and the tiles of a chunk."""
        if self.kind == "samples":
            return 1, 1, max(samples, 1)
        return *tile_shape(self.frozen.dtype), self.chunk

    def grain(self, samples: int) -> int:
        """Return the fewest items of so many samples that are worth a thread."""
        by_work = int(MULTIPLY_ADDS_WORTH_A_THREAD / max(1, self.multiply_adds * samples))
        return max(1, min(by_work, ITEMS_WORTH_A_THREAD))


def compile_program(
    network: NetworkDescription, instructions: Sequence[Instruction], dtype: "np.dtype[Any]", kind: Kind
) -> Program:
    """Compile the program of a network, from its instructions.

    LookupError is raised if an operation has no code of this kind.
    """
    operations = [each.operation for each in instructions]
    widest = max(max(operation.inputs, operation.outputs) for operation in operations)
    zeros = Location(
        sum(array.size for array in network.frozen),
        True,
        max(widest, *(each.compiled.zeros for each in instructions)),
    )
    codes = [_code(each.operation, each.compiled, kind) for each in instructions]
    columns, _ = tile_shape(dtype)
    table = _table(instructions, zeros, columns)
    live = max(widest, max(each.y.end for each in instructions) // 2)  # numbers, for a sample, at once
    table[:, program.ADDRESS] = [code.address(dtype) for code in codes]
    return Program(
        table,
        np.concatenate([*map(np.ravel, network.frozen), np.zeros(zeros.size)]).astype(dtype),
        sum(operation.weights * operation.places + operation.outputs for operation in operations),
        network.state_size,
        kind,
        _chunk(operations, live * columns * dtype.itemsize),
        codes,
    )


def _code(operation: Operation, compiled: CpuOperation, kind: Kind) -> OperationCode:
    if kind == "samples" and compiled.samples is not None:
        return compiled.samples
    if kind == "lanes" and operation.parameters:
        if compiled.lanes is None:
            raise LookupError("a layer has no code for the samples of several rows")
        return compiled.lanes
    return compiled.tiles


def _table(instructions: Sequence[Instruction], zeros: Location, columns: int) -> NDArray[np.int64]:
    """Return the program's table without the addresses.

    Parameters become offsets, trainable ones in the row, frozen ones in the shared vector. Tiles
    have at most `columns` samples.
    """
    n_parameters = max(len(each.operation.parameters) for each in instructions)
    table = np.zeros((len(instructions), program.PARAMETERS + 2 * n_parameters), np.int64)
    state = 0
    for row, (operation, compiled, x, y) in zip(table, instructions, strict=True):
        row[program.INPUTS], row[program.OUTPUTS] = operation.inputs, operation.outputs
        row[program.STATE], row[program.STATE_SIZE] = state, operation.state
        state += operation.state
        row[program.X], row[program.Y] = x.start, y.start
        row[program.SCRATCH] = compiled.scratch[0] + compiled.scratch[1] * columns
        row[program.SIZES :][: len(compiled.columns)] = compiled.columns
        places = [(found or zeros)[:2] for found in operation.parameters]
        row[program.PARAMETERS :][: 2 * len(places)] = np.ravel(places)
    return table


def _chunk(operations: Sequence[Operation], tile_bytes: int) -> int:
    """Return how many tiles make a chunk, each of so many bytes between two operations."""
    chunk = CHUNK_BYTES // tile_bytes
    if any(operation.weights >= COPY_FROM for operation in operations):
        chunk = max(chunk, min(CHUNK_OF_WIDE_LAYERS, WIDE_CHUNK_BYTES // tile_bytes))
    return min(max(chunk, 1), 8)
