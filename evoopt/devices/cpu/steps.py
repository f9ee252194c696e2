"""The CPU's steps: by kind of operation, the machine code that runs it and what that needs."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from evoopt.devices.interface.network import Operation
from evoopt.kernels.cpu.networks import convolution, recurrent, steps
from evoopt.kernels.cpu.networks.code import Step, by_tile, elementwise


class Steps(NamedTuple):
    """The steps of an operation, by what tiles hold (`program.Kind`), and what they need."""

    many: Step
    few: Step | None = None  # where `many` does not take tiles of one sample
    rows: Step | None = None  # None where parameters are read and there is no such step
    columns: tuple[int, ...] = ()  # of the program's table, from SIZES on
    in_place: bool = False
    scratch: tuple[int, int] = (0, 0)  # its length: for all samples together, and for each of a tile
    zeros: int = 0  # read in place of a parameter that is None, where more than inputs or outputs


def _dense(operation: Operation) -> Steps:
    return Steps(
        steps.dense,
        few=steps.dense_of_few,
        rows=steps.dense_of_rows,
        columns=operation.sizes,
        scratch=(steps.DENSE_SCRATCH, 0),
    )


def _elementwise(operation: Operation) -> Steps:
    function = operation.function
    step = steps.ACTIVATIONS[function] if isinstance(function, str) else elementwise(function)
    return Steps(step, in_place=True)


def _softmax(operation: Operation) -> Steps:
    return Steps(steps.softmax, columns=operation.sizes, in_place=True, scratch=(0, 2))


def _layer_norm(operation: Operation) -> Steps:
    epsilon = np.array(operation.numbers, np.float64).view(np.int64).tolist()
    return Steps(steps.layer_norm, columns=(*operation.sizes, *epsilon), scratch=(0, 2))


def _conv2d(operation: Operation) -> Steps:
    scratch = convolution.scratch_of(operation.sizes, operation.outputs)
    return Steps(
        convolution.convolution,
        few=convolution.convolution_of_few,
        columns=operation.sizes,
        scratch=(scratch, 0),
    )


def _pool(step: Step, operation: Operation) -> Steps:
    return Steps(step, columns=operation.sizes)


def _recurrent(step: Step, operation: Operation) -> Steps:
    _, units, gates, biases, _ = operation.sizes
    sums = biases * gates * units
    return Steps(
        step,
        columns=(*operation.sizes, recurrent.ACTIVATIONS[operation.function]),
        scratch=(steps.DENSE_SCRATCH, sums),
        zeros=sums,
    )


def _function(operation: Operation) -> Steps:
    sizes = tuple(location.size for location in operation.parameters if location is not None)
    return Steps(by_tile(operation.function, sizes))


STEPS: dict[str, Callable[[Operation], Steps]] = {
    "dense": _dense,
    "elementwise": _elementwise,  # an activation of one number
    "softmax": _softmax,
    "layer_norm": _layer_norm,
    "conv2d": _conv2d,
    "max_pool": partial(_pool, convolution.max_pool),
    "average_pool": partial(_pool, convolution.average_pool),
    "rnn": partial(_recurrent, recurrent.rnn),
    "gru": partial(_recurrent, recurrent.gru),
    "lstm": partial(_recurrent, recurrent.lstm),
    "function": _function,  # of a user's own layer
}
