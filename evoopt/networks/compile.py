"""Layers -> the program's table and the shared vector of frozen parameters, for one precision."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba.core.errors import NumbaError
from numpy.typing import DTypeLike, NDArray

from evoopt.kernels import program
from evoopt.kernels.cpu.function import ElementwiseFunction
from evoopt.networks.layers import Layer, Location, Operation, Shape
from evoopt.params import ParamSpec

MULTIPLY_ADDS_WORTH_A_THREAD = 2.5e6  # some 50 microseconds of work
NamedLayer = tuple[str, Layer, Shape]  # its name, itself, the shape of one sample that comes in


@dataclass(frozen=True)
class Program:
    """What the kernels take besides the population; `functions` keeps users' compiled functions alive."""

    table: NDArray[np.int64]  # (operations, program.COLUMNS)
    frozen: NDArray[Any]
    multiply_adds: int  # of one sample
    functions: list[ElementwiseFunction]

    def grain(self, samples: int) -> int:
        """Give the fewest items of so many samples that are worth a thread of their own."""
        return max(1, int(MULTIPLY_ADDS_WORTH_A_THREAD / max(1, self.multiply_adds * samples)))


def compile_program(layers: Iterable[NamedLayer], spec: ParamSpec, dtype: DTypeLike) -> Program:
    """Resolve names to offsets: trainable parameters in the row, frozen ones in the shared vector."""
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

    widest = max(operation.outputs for operation in operations)
    frozen = np.concatenate([*parts, np.zeros(widest)]).astype(dtype)
    functions: list[ElementwiseFunction] = []
    table = np.zeros((len(operations), program.COLUMNS), np.int64)
    for row, operation in zip(table, operations, strict=True):
        row[program.OPERATION] = operation.code
        row[program.INPUTS], row[program.OUTPUTS] = operation.inputs, operation.outputs
        row[program.KERNEL], row[program.KERNEL_FROZEN] = operation.kernel
        row[program.BIAS], row[program.BIAS_FROZEN] = operation.bias
        if operation.function is not None:
            functions.append(_compile_function(operation.function, np.dtype(dtype)))
            row[program.ADDRESS] = functions[-1].address
    dense = table[:, program.OPERATION] == program.DENSE
    multiply_adds = int(table[dense, program.INPUTS] @ table[dense, program.OUTPUTS])
    return Program(table, frozen, multiply_adds, functions)


def _compile_function(function: Callable[[Any], Any], dtype: np.dtype[Any]) -> ElementwiseFunction:
    try:
        return ElementwiseFunction(function, dtype)
    except NumbaError as error:
        raise ValueError(
            f"An activation takes one {dtype} number and gives one, but {function} does not: {error}."
        ) from error
