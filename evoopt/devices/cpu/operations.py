"""The CPU's operations: for each kind, its code and the memory that the code needs."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from evoopt.devices.interface.network import Operation
from evoopt.kernels.cpu.networks import (
    convolution,
    gathering,
    merging,
    normalization,
    operations,
    recurrent,
    softmax,
)
from evoopt.kernels.cpu.networks.code import OperationCode, by_tile, elementwise


class CpuOperation(NamedTuple):
    """An operation on the CPU: its code for each `program.Kind` of tiles, and its needs."""

    tiles: OperationCode
    samples: OperationCode | None = None  # None if `tiles` takes single samples, too
    lanes: OperationCode | None = None  # not needed for operations without parameters
    columns: tuple[int, ...] = ()  # numbers of the program's table from SIZES on
    in_place: bool = False  # y has the result of the operation before, which the code changes
    changes_x: bool = False  # the code may write into x, as into scratch
    scratch: tuple[int, int] = (0, 0)  # length for all samples together, and for each sample of a tile
    zeros: int = 0  # zeros to read instead of a parameter that is None, if more than inputs or outputs


def _dense(operation: Operation) -> CpuOperation:
    return CpuOperation(
        operations.dense_of_tiles,
        samples=operations.dense_of_samples,
        lanes=operations.dense_of_lanes,
        columns=operation.sizes,
        scratch=(operations.DENSE_SCRATCH, 0),
    )


def _elementwise(operation: Operation) -> CpuOperation:
    function = operation.function
    if not isinstance(function, str):
        code = elementwise(function)
    elif operation.numbers:
        code = operations.ACTIVATIONS_WITH_NUMBERS[function]
    else:
        code = operations.ACTIVATIONS[function]
    return CpuOperation(code, columns=_bits(operation), in_place=True)


def _softmax(code: OperationCode, operation: Operation) -> CpuOperation:
    return CpuOperation(code, columns=operation.sizes, in_place=True, scratch=(0, 2))


def _layer_norm(operation: Operation) -> CpuOperation:
    columns = (*operation.sizes, *_bits(operation))
    return CpuOperation(normalization.layer_norm, columns=columns, scratch=(0, 2))


def _batch_norm(operation: Operation) -> CpuOperation:
    (places,) = operation.sizes
    columns = (places, *_bits(operation))
    return CpuOperation(normalization.batch_norm, columns=columns, scratch=(operation.outputs // places, 0))


def _rescaling(operation: Operation) -> CpuOperation:
    return CpuOperation(normalization.rescaling, columns=_bits(operation))


def _bits(operation: Operation) -> tuple[int, ...]:
    """Return an operation's numbers as whole numbers with the bits of float64."""
    return tuple(np.array(operation.numbers, np.float64).view(np.int64).tolist())


def _conv2d(operation: Operation) -> CpuOperation:
    scratch = convolution.scratch_of(operation.sizes, operation.outputs)
    return CpuOperation(
        convolution.convolution_of_tiles,
        samples=convolution.convolution_of_samples,
        columns=operation.sizes,
        scratch=(scratch, 0),
    )


def _of_sizes(code: OperationCode, operation: Operation) -> CpuOperation:
    return CpuOperation(code, columns=operation.sizes)


def _recurrent(code: OperationCode, operation: Operation) -> CpuOperation:
    _, units, gates, biases, _ = operation.sizes
    sums = biases * gates * units
    return CpuOperation(
        code,
        columns=(*operation.sizes, recurrent.ACTIVATIONS[operation.function]),
        scratch=(operations.DENSE_SCRATCH, sums),
        zeros=sums,
    )


def _merge(code: OperationCode, in_place: bool, operation: Operation) -> CpuOperation:
    return CpuOperation(code, columns=operation.sizes, in_place=in_place)


def _function(operation: Operation) -> CpuOperation:
    sizes = tuple(location.size for location in operation.parameters if location is not None)
    return CpuOperation(by_tile(operation.function, sizes), changes_x=True)


OPERATIONS: dict[str, Callable[[Operation], CpuOperation]] = {
    "dense": _dense,
    "elementwise": _elementwise,  # an activation of one number
    "softmax": partial(_softmax, softmax.softmax),
    "log_softmax": partial(_softmax, softmax.log_softmax),
    "layer_norm": _layer_norm,
    "batch_norm": _batch_norm,
    "rescaling": _rescaling,
    "embedding": partial(_of_sizes, gathering.embedding),
    "permute": partial(_of_sizes, gathering.permute),
    "conv2d": _conv2d,
    "max_pool": partial(_of_sizes, convolution.max_pool),
    "average_pool": partial(_of_sizes, convolution.average_pool),
    "rnn": partial(_recurrent, recurrent.rnn),
    "gru": partial(_recurrent, recurrent.gru),
    "lstm": partial(_recurrent, recurrent.lstm),
    "slice": partial(_merge, merging.copy, False),
    "insert": partial(_merge, merging.copy, True),  # a slice among others
    "add": partial(_merge, merging.add, True),
    "multiply": partial(_merge, merging.multiply, True),
    "function": _function,  # a user's own layer
}
