"""Layers -> the program's table and the shared vector of frozen parameters, for one precision."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from evoopt.kernels import program
from evoopt.kernels.cpu.function import ElementwiseFunction
from evoopt.networks.layers import Layer, Location, Operation, Shape
from evoopt.params import ParamSpec

NamedLayer = tuple[str, Layer, Shape]  # its name, itself, the shape of one sample that comes in


@dataclass(frozen=True)
class Program:
    """What the kernels take besides the population; `functions` keeps users' compiled functions alive."""

    table: NDArray[np.int64]  # (operations, program.COLUMNS)
    frozen: NDArray[Any]
    functions: list[ElementwiseFunction]


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
            functions.append(ElementwiseFunction(operation.function, np.dtype(dtype)))
            row[program.ADDRESS] = functions[-1].address
    return Program(table, frozen, functions)
