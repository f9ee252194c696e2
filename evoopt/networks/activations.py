"""Activations of layers: their names, the numbers that some of them take, and their operations."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, get_args

import numpy as np

from evoopt import arguments
from evoopt.arrays import shown
from evoopt.compiling.jit import is_compiled
from evoopt.devices.interface.network import Operation
from evoopt.rules.math import NUMBERS

ActivationName = Literal[
    "linear", "tanh", "relu", "sigmoid", "gelu", "silu", "swish", "elu", "selu", "leaky_relu", "softplus",
    "hardtanh", "sin", "softmax", "log_softmax",
]  # the rules of all but the first and the last two are `rules.math.ELEMENTWISE`  # fmt: skip
OVER_CHANNELS = ("softmax", "log_softmax")
ActivationWithNumbers = tuple[Literal["leaky_relu", "elu"], float] | tuple[Literal["hardtanh"], float, float]
ActivationLike = ActivationName | ActivationWithNumbers | Callable[[Any], Any]

_MOST = float(np.finfo(np.float32).max)
_FORMS = ", ".join(f'("{name}", {", ".join(numbers)})' for name, numbers in NUMBERS.items())


def read_activation(activation: ActivationLike) -> ActivationLike:
    """Read a known name, a compiled function, or a name with numbers, which become floats."""
    names = get_args(ActivationName)
    if isinstance(activation, tuple | list):
        return _with_numbers(activation)
    if isinstance(activation, str):
        if activation not in names:
            raise ValueError(
                f"activation must be one of {', '.join(names)}, or a tuple of {_FORMS}, or an njit function, "
                f"got {shown(activation)}."
            )
    elif not is_compiled(activation):
        raise ValueError(
            "An activation of your own must be a function of one number decorated with numba.njit, got "
            f"{shown(activation)}."
        )
    return activation


def _with_numbers(given: Sequence[Any]) -> ActivationLike:
    name, *numbers = given or [None]
    meanings = NUMBERS.get(name, ()) if isinstance(name, str) else ()
    if not meanings or len(meanings) != len(numbers):
        raise ValueError(f"An activation with numbers must be one of {_FORMS}, got {shown(given)}.")
    found: tuple[Any, ...] = tuple(
        arguments.within(f"The {meaning} of {name}", number, -_MOST, _MOST)
        for meaning, number in zip(meanings, numbers, strict=True)
    )
    if name == "hardtanh" and found[0] >= found[1]:
        raise ValueError(f"The lowest of hardtanh must be less than the highest, got {shown(given)}.")
    return (name, *found)


def activation_operations(activation: ActivationLike, features: int, channels: int) -> Iterator[Operation]:
    """Return the operation that applies an activation in place; none for "linear".

    A softmax, or its logarithm, is over the last axis, the channels.
    """
    if isinstance(activation, str) and activation in OVER_CHANNELS:
        yield Operation(activation, features, features, sizes=(features // channels,))
    elif isinstance(activation, tuple):
        name, *numbers = activation
        yield Operation("elementwise", features, features, numbers=tuple(numbers), function=name)
    elif activation != "linear":
        yield Operation("elementwise", features, features, function=activation)
