"""Spaces of Gymnasium: conversion of observations to inputs, and of outputs to actions."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from evoopt import arrays
from evoopt.networks.base import BaseNetwork
from evoopt.rules.ranges import spanned_arrays
from evoopt.tasks.episodes import action_span
from evoopt.types import Array, Shape

Actions = Callable[[Array], Array]  # outputs (k, n) -> actions (k, ...)


@dataclass(frozen=True)
class Observations:
    """A reader of observations of a Box, which also converts them to inputs.

    Attributes
    ----------
    about : str
        The environment and its spaces, for errors.
    shape : tuple of int
        The shape of an observation.
    input_shape : tuple of int
        The input shape of the network.
    advice : str
        The advice in errors about an observation that does not fit.
    """

    about: str
    shape: Shape
    input_shape: Shape
    advice: str = field(default="correct what reset and step return, or the observation_space", kw_only=True)

    def read(self, observations: Sequence[Any]) -> Array:
        """Read observations, real numbers of the right shape, as floats (k, *shape)."""
        shape = self.shape
        plain = [
            each
            if type(each) is np.ndarray and each.shape == shape and each.dtype.kind in "fiub"
            else self._read_one(each)
            for each in observations
        ]
        found = np.array(plain).reshape(-1, *shape)
        return found.astype(np.result_type(found, np.float32), copy=False)

    def _read_one(self, observation: object) -> Array:
        found = arrays.read(f"An observation of {self.about}", observation)
        if found.shape != self.shape:
            raise ValueError(
                f"An observation of {self.about} must have the shape {self.shape} of its space, got "
                f"{found.shape}; {self.advice}."
            )
        return found

    def inputs(self, observations: Array) -> Array:
        """Return inputs (k, *input_shape)."""
        return observations.reshape(-1, *self.input_shape)


@dataclass(frozen=True)
class DiscreteObservations(Observations):
    """A reader of observations of a Discrete space, which become one-hot inputs."""

    start: int

    def read(self, observations: Sequence[Any]) -> Array:
        """Read observations, whole numbers of the space, as (k,)."""
        found = np.array([self._read_one(each) for each in observations])
        (size,) = self.input_shape
        outside = found[(found < self.start) | (found >= self.start + size)]
        if len(outside):
            raise ValueError(
                f"An observation of {self.about} must be from {self.start} to {self.start + size - 1}, got "
                f"{outside[0]}; {self.advice}."
            )
        return found

    def _read_one(self, observation: object) -> Any:
        if isinstance(observation, int | np.integer):
            return int(observation)
        found = super()._read_one(observation)
        if found.dtype.kind not in "iub":
            raise ValueError(
                f"An observation of {self.about} must be a whole number, got {observation!r}; convert it by "
                "int()."
            )
        return int(found)

    def inputs(self, observations: Array) -> Array:
        inputs = np.zeros((len(observations), *self.input_shape), np.float32)
        inputs[np.arange(len(observations)), observations - self.start] = 1
        return inputs


@dataclass(frozen=True)
class Choices:
    """Discrete actions, the largest output of each part: (k, *shape), from `starts` on."""

    sizes: tuple[int, ...]
    starts: Array  # it has the shape of an action
    dtype: "np.dtype[Any]"

    def __call__(self, outputs: Array) -> Array:
        ends = np.cumsum(self.sizes)[:-1]
        chosen = [part.argmax(axis=1) for part in np.split(outputs, ends, axis=1)]
        return (np.stack(chosen, axis=1).reshape(-1, *self.starts.shape) + self.starts).astype(self.dtype)


@dataclass(frozen=True)
class Continuous:
    """Actions of a Box with bounds `low` and `high`, both in the shape and dtype of an action."""

    low: Array
    high: Array

    def __call__(self, outputs: Array) -> Array:
        span = action_span(self.low.reshape(-1), self.high.reshape(-1))
        numbers = spanned_arrays(outputs, *span).astype(self.low.dtype)
        clipped: Array = np.clip(numbers.reshape(-1, *self.low.shape), self.low, self.high)
        return clipped


def observations_of(space: object, net: BaseNetwork, about: str) -> Observations:
    """Return the reader of a space's observations; raise ValueError if the network does not fit."""
    from gymnasium import spaces  # noqa: PLC0415  (an optional extra)

    if isinstance(space, spaces.Box):
        shape, flat = tuple(space.shape), (math.prod(space.shape),)
        what = f"{shape}" if shape == flat else f"{shape}, or {flat} for flattened observations"
        _check_inputs(net, {shape, flat}, what, about)
        return Observations(about, shape, net.input_shape)
    if isinstance(space, spaces.Discrete):
        shape = (int(space.n),)
        _check_inputs(net, {shape}, f"{shape}, one input for each observation", about)
        return DiscreteObservations(about, (), shape, int(space.start))
    raise ValueError(
        f"The observations of {about} must be a Box or Discrete; wrap the environment, "
        f"for example in gymnasium.wrappers.FlattenObservation."
    )


def actions_of(space: object, net: BaseNetwork, about: str) -> Actions:
    """Return the conversion of outputs to actions; raise ValueError for an unsuitable space."""
    from gymnasium import spaces  # noqa: PLC0415  (an optional extra)

    if isinstance(space, spaces.Discrete):
        _check_outputs(net, int(space.n), "one for each action", about)
        return Choices((int(space.n),), np.array(space.start), np.dtype(int))
    if isinstance(space, spaces.MultiDiscrete):
        sizes = tuple(space.nvec.reshape(-1).tolist())
        _check_outputs(net, sum(sizes), "one for each choice", about)
        return Choices(sizes, np.array(space.start), np.dtype(space.dtype))
    if isinstance(space, spaces.Box) and space.dtype.kind == "f":
        _check_outputs(net, math.prod(space.shape), "one for each number of an action", about)
        return Continuous(space.low, space.high)
    raise ValueError(
        f"The actions of {about} must be Discrete, MultiDiscrete or a Box of floats; wrap the "
        f"environment, for example in gymnasium.wrappers.TransformAction."
    )


def described(space: object) -> str:
    """Return a short text about a space, because bounds of a Box can be thousands of numbers."""
    from gymnasium import spaces  # noqa: PLC0415  (an optional extra)

    if isinstance(space, spaces.Box):
        return f"Box of shape {space.shape} and {space.dtype}"
    return " ".join(str(space).split())


def _check_inputs(net: BaseNetwork, shapes: set[Shape], what: str, about: str) -> None:
    if net.input_shape not in shapes:
        raise ValueError(
            f"The network must have the input_shape {what} to act in {about}, got {net.input_shape}."
        )


def _check_outputs(net: BaseNetwork, n: int, what: str, about: str) -> None:
    if math.prod(net.output_shape) != n:
        raise ValueError(
            f"The network must have {n} outputs, {what}, to act in {about}, got outputs of shape "
            f"{net.output_shape}{_advice(net)}."
        )


def _advice(net: BaseNetwork) -> str:
    heads = getattr(net, "heads", {})
    return f"; of the heads {', '.join(heads)} leave those out that do not act" if heads else ""
