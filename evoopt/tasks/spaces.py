"""Spaces of Gymnasium: how observations become inputs of a network, and its outputs actions."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from evoopt.arrays import Array
from evoopt.networks.network import Network
from evoopt.tasks.episodes import action_span, spanned

Convert = Callable[[Array], Array]


def inputs_of(space: Any, net: Network) -> Convert:
    """Give the function from observations (k, ...) to inputs (k, *input_shape); ValueError if none fits."""
    kind = type(space).__name__
    if kind == "Box":
        expected, shape = tuple(space.shape), net.input_shape
        if shape != expected and shape != (math.prod(expected),):
            raise ValueError(
                f"A network with the input_shape {expected} of the observations was expected, or "
                f"({math.prod(expected)},) for them flattened, but its input_shape is {shape}."
            )
        return lambda observations: observations.reshape(-1, *shape)
    if kind == "Discrete":
        n = int(space.n)
        if net.input_shape != (n,):
            raise ValueError(
                f"A network with the input_shape ({n},) was expected, one input for each of the {n} "
                f"observations, but its input_shape is {net.input_shape}."
            )
        one_hot = np.eye(n, dtype=np.float32)
        return lambda observations: one_hot[observations - space.start]
    raise ValueError(
        f"Observations that are a Box or Discrete were expected, but the environment has {space}; wrap it, "
        f"in gymnasium.wrappers.FlattenObservation for example."
    )


def actions_of(space: Any, net: Network) -> Convert:
    """Give the function from outputs (k, n) to actions (k, ...); ValueError for a space that does not fit."""
    kind = type(space).__name__
    if kind == "Discrete":
        _check_outputs(net, int(space.n), f"one for each of the {space.n} actions")
        return lambda outputs: space.start + outputs.argmax(axis=1)
    if kind == "MultiDiscrete":
        sizes = space.nvec.reshape(-1)
        _check_outputs(net, int(sizes.sum()), f"one for each choice of {space}")
        ends = sizes.cumsum()
        parts = list(zip(ends - sizes, ends, strict=True))

        def choices(outputs: Array) -> Array:
            chosen = [outputs[:, start:end].argmax(axis=1) for start, end in parts]
            return np.stack(chosen, axis=1).reshape(-1, *space.shape) + space.start

        return choices
    if kind == "Box" and space.dtype.kind == "f":
        _check_outputs(net, math.prod(space.shape), f"one for each number of the action {space}")
        return _box_actions(space)
    raise ValueError(
        f"Actions that are Discrete, MultiDiscrete or a Box of floats were expected, but the environment has "
        f"{space}; wrap it, in gymnasium.wrappers.TransformAction for example."
    )


def _box_actions(space: Any) -> Convert:
    span = action_span(space.low.reshape(-1), space.high.reshape(-1))

    def actions(outputs: Array) -> Array:
        numbers = spanned(outputs, *span).astype(space.dtype)
        return np.clip(numbers.reshape(-1, *space.shape), space.low, space.high)

    return actions


def _check_outputs(net: Network, n: int, what: str) -> None:
    if math.prod(net.output_shape) != n:
        raise ValueError(
            f"A network with {n} outputs, {what}, was expected, but its outputs have the shape "
            f"{net.output_shape}."
        )
