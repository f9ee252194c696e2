"""Readers of arguments of networks, which raise ValueError in a sentence."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from evoopt import arguments, arrays
from evoopt.arrays import shown
from evoopt.memory import require_memory
from evoopt.networks.initializers import FORGET_ONES, INITIALIZERS
from evoopt.networks.layers import Layer, Parameter
from evoopt.types import Shape


def as_layers(layers: Sequence[Layer], name: str = "layers", least: int = 1) -> tuple[Layer, ...]:
    """Read layers in order, at least one or none."""
    found: list[Layer] = []
    for layer in arguments.items(layers):  # which may have no end
        if not isinstance(layer, Layer):
            advice = f"; call {layer.__name__} with its sizes" if isinstance(layer, type) else ""
            raise _no_layers(name, layers, advice)
        found.append(layer)
    if not found and (least or not isinstance(layers, tuple | list)):
        advice = f"; put it into a list, [{shown(layers)}]" if isinstance(layers, Layer) else ""
        raise _no_layers(name, layers, advice)
    return tuple(found)


def _no_layers(name: str, layers: object, advice: str) -> ValueError:
    return ValueError(
        f"{name} must be a list of layers such as [evoopt.Dense(10)], got {shown(layers)}{advice}."
    )


def check_name(name: object) -> str:
    """Read the name of a layer: words joined by dots."""
    if isinstance(name, str) and all(name.split(".")):
        return name
    raise ValueError(f'name must be a str such as "policy" or "policy.first", got {shown(name)}.')


def check_different(names: Iterable[str]) -> None:
    """Raise ValueError for two parameters of one name, which dots in names can make."""
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise ValueError(
            f"Parameters must have different names, got two of {repeated[0]!r}; pass another name=."
        )


def check_output_shape(layer: Layer, shape: object) -> Shape:
    """Read the shape of a layer's output."""
    return _sizes(f"The output_shape of {type(layer).__name__}", shape)


def check_parameters(name: str, layer: Layer, parameters: object, output: Shape) -> None:
    """Raise ValueError for impossible parameters of a layer, or for more than the memory holds."""
    of = f"of {type(layer).__name__}"
    parameters = arguments.mapping(f"The result of parameters() {of}", parameters)
    numbers = 0
    for key, parameter in parameters.items():
        if not isinstance(key, str) or not isinstance(parameter, Parameter):
            raise ValueError(
                f"parameters() {of} must return an evoopt.Parameter for each name, got "
                f"{shown(parameter)} for {shown(key)}."
            )
        numbers += math.prod(_sizes(f"The shape of the parameter {key!r} {of}", parameter.shape))
        known = (*INITIALIZERS, FORGET_ONES)
        arguments.one_of(f"The initializer of the parameter {key!r} {of}", parameter.initializer, known)
        for fan in parameter.fan_in, parameter.fan_out:
            arguments.number(f"fan_in, and fan_out, of the parameter {key!r} {of}", fan, positive=True)
        arguments.flag(f"trainable of the parameter {key!r} {of}", parameter.trainable)
    needed = 4 * max(numbers, math.prod(output))
    require_memory(f"The layer {name}", needed, "parameters or outputs", "make it, or its inputs, smaller")


def _sizes(name: str, shape: object) -> Shape:
    if not isinstance(shape, tuple | list):
        raise ValueError(f"{name} must be a tuple of sizes, got {shown(shape)}.")
    return arguments.possible_shape(name, (arguments.whole(name, size, 1) for size in shape))


def as_shape(name: str, shape: Sequence[int]) -> Shape:
    """Read the shape of one sample, of at least one axis."""
    arrays.unmasked(name, shape)
    sizes = np.atleast_1d(np.asarray(shape, object)).tolist()
    if not sizes or any(size is None for size in sizes):  # one of them may be an array
        raise ValueError(
            f"{name} must be the sizes of one sample, without the batch, such as (64,), got {shown(shape)}."
        )
    arrays.read(name, shape)
    whole = (arguments.whole(f"each size of the {name}", n, 1) for n in sizes)
    return arguments.possible_shape(name, whole)
