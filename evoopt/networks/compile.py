"""Layers -> the program's table and the shared vector of frozen parameters, for one precision."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from evoopt.kernels.cpu.emit.simd import tile_shape
from evoopt.kernels.cpu.networks import program
from evoopt.kernels.cpu.networks.code import Step
from evoopt.kernels.cpu.networks.products import COPY_FROM
from evoopt.networks.layers import Layer, Location, Operation
from evoopt.params import ParamSpec
from evoopt.types import Shape

MULTIPLY_ADDS_WORTH_A_THREAD = 2.5e6  # some 50 microseconds of work
ITEMS_WORTH_A_THREAD = 100  # of any size: calling the steps takes a part of a microsecond
BLOCK_BYTES = 16384  # of what lies between two steps: a third of the first level cache
BLOCK_OF_WIDE_LAYERS = 4  # tiles that share what a wide layer reads of the row,
WIDE_BLOCK_BYTES = 1 << 21  # if they fit into the second level cache
# What tiles hold: samples of a row side by side; few samples of a row, one a tile; or one sample each of as
# many rows as a vector has lanes, whose parameters lie side by side
Kind = Literal["many", "few", "rows"]
NamedLayer = tuple[str, Layer, Shape]  # its name, itself, the shape of one sample that comes in


@dataclass(frozen=True)
class Program:
    """What the kernels take besides the population; `steps` keeps the machine code alive."""

    table: NDArray[np.int64]  # (operations, columns of program.py)
    frozen: NDArray[Any]
    multiply_adds: int  # of one sample, and its outputs
    widest: int  # most features between two steps
    room: int  # length of the scratch
    state_size: int  # of one sample
    kind: Kind
    block: int  # tiles that go through the steps together
    steps: list[Step]

    @property
    def arguments(self) -> tuple[Any, ...]:
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


def _step(operation: Operation, kind: Kind) -> Step:
    if kind == "few" and operation.step_of_few is not None:
        return operation.step_of_few
    if kind == "rows" and operation.parameters:
        if operation.step_of_rows is None:
            raise LookupError("a layer has no step for the samples of several rows")
        return operation.step_of_rows
    return operation.step


def compile_program(
    layers: Iterable[NamedLayer], spec: ParamSpec, dtype: "np.dtype[Any]", kind: Kind
) -> Program:
    """Resolve names to offsets: trainable parameters in the row, frozen ones in the shared vector.

    Raises LookupError if a layer has no step of this kind.
    """
    locations = {name: Location(start, False) for name, start in zip(spec.names, spec.offsets, strict=True)}
    parts, end = [], 0
    for name, value in spec.frozen.items():
        locations[name] = Location(end, True)
        parts.append(value.reshape(-1))
        end += value.size
    zeros = Location(end, True)  # the bias of layers without one

    operations: list[Operation] = []
    for name, layer, shape in layers:
        own = {key: locations[f"{name}.{key}"] for key in layer.parameters(shape)}
        operations += layer.operations(shape, {"zeros": zeros, **own})

    columns, _ = tile_shape(dtype)
    widest = max(max(operation.inputs, operation.outputs) for operation in operations)
    n_zeros = max(operation.zeros for operation in operations)
    n_parameters = max(len(operation.parameters) for operation in operations)
    table = np.zeros((len(operations), program.PARAMETERS + 2 * n_parameters), np.int64)
    steps: list[Step] = []
    state_size = 0
    for row, operation in zip(table, operations, strict=True):
        steps.append(_step(operation, kind))
        row[program.INPUTS], row[program.OUTPUTS] = operation.inputs, operation.outputs
        row[program.ADDRESS] = steps[-1].address(dtype)
        row[program.IN_PLACE] = operation.in_place
        row[program.STATE], row[program.STATE_SIZE] = state_size, operation.state
        state_size += operation.state
        row[program.SIZES :][: len(operation.sizes)] = operation.sizes
        row[program.PARAMETERS :][: 2 * len(operation.parameters)] = np.ravel(operation.parameters)
    tile_bytes = widest * columns * dtype.itemsize
    block = BLOCK_BYTES // tile_bytes
    if any(operation.weights >= COPY_FROM for operation in operations):
        block = max(block, min(BLOCK_OF_WIDE_LAYERS, WIDE_BLOCK_BYTES // tile_bytes))
    return Program(
        table,
        np.concatenate([*parts, np.zeros(max(widest, n_zeros))]).astype(dtype),
        sum(operation.weights * operation.places + operation.outputs for operation in operations),
        widest,
        max(operation.scratch[0] + operation.scratch[1] * columns for operation in operations),
        state_size,
        kind,
        min(max(block, 1), 8),
        steps,
    )
