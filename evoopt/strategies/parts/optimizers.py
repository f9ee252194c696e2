"""Optimizers that turn gradients into moves of the mean, in units of the learning rate.

Kingma and Ba 2015, Adam: a method for stochastic optimization, https://arxiv.org/abs/1412.6980;
Toklu, Liskowski and Srivastava 2020, ClipUp: a simple and powerful optimizer for distribution-based
policy evolution, https://arxiv.org/abs/2008.02387.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar, Protocol

import numpy as np

from evoopt import arguments
from evoopt.devices.interface.population import Engine
from evoopt.strategies.contract.fields import COORDINATES, Fields, array, finite, number, whole
from evoopt.strategies.contract.registry import plain_data
from evoopt.types import Vector

_SHARE = number(0, 1)
EPSILON = 1e-8  # Kingma and Ba's, for gradients in units of sigma


class Optimizer(Protocol):
    """An optimizer with its memory of the gradients so far; it is never changed."""

    def after(self, gradient: Vector, engine: Engine) -> tuple["Optimizer", Vector]:
        """Return the optimizer after one more `gradient`, and the move of the mean."""

    def default_rate(self) -> float:
        """Return the default learning rate in units of sigma."""


@plain_data
@dataclass(frozen=True, eq=False)  # arrays have no truth value
class Adam:
    """Adam: Kingma and Ba, Algorithm 1, in their symbols."""

    _stored: ClassVar[Fields] = {
        **dict.fromkeys(("beta_1", "beta_2"), _SHARE),
        "m": COORDINATES,
        "v": array("n_params", limits=lambda dtype: (0.0, finite(dtype)[1])),
        "t": whole(),
    }

    beta_1: float
    beta_2: float
    m: Vector
    v: Vector
    t: int = 0

    def after(self, gradient: Vector, engine: Engine) -> tuple["Adam", Vector]:
        t = self.t + 1
        betas = self.beta_1, self.beta_2
        settled = 1 - self.beta_1**t, 1 - self.beta_2**t
        m, v, step = engine.map(_adam, gradient, self.m, self.v, *betas, *settled)
        return replace(self, m=m, v=v, t=t), step

    def default_rate(self) -> float:
        return 0.5  # the code of Salimans et al. has 0.01 for a sigma of 0.02


@plain_data
@dataclass(frozen=True, eq=False)
class SGD:
    """Gradient descent with momentum."""

    _stored: ClassVar[Fields] = {"momentum": _SHARE, "velocity": COORDINATES}

    momentum: float
    velocity: Vector

    def after(self, gradient: Vector, engine: Engine) -> tuple["SGD", Vector]:
        velocity = engine.map(_accelerated, gradient, self.velocity, self.momentum, 1.0)
        return replace(self, velocity=velocity), velocity

    def default_rate(self) -> float:
        return 0.5


@plain_data
@dataclass(frozen=True, eq=False)
class ClipUp:
    """ClipUp: Toklu et al., Algorithm 1: normalized gradients and a clipped velocity."""

    _stored: ClassVar[Fields] = {"momentum": _SHARE, "max_speed": number(0), "velocity": COORDINATES}

    momentum: float
    max_speed: float
    velocity: Vector

    def after(self, gradient: Vector, engine: Engine) -> tuple["ClipUp", Vector]:
        length = engine.norm(gradient)
        velocity = engine.map(
            _accelerated, gradient, self.velocity, self.momentum, length if length > 0 else 1.0
        )
        speed = engine.norm(velocity)
        if speed > self.max_speed:
            velocity = engine.map(_scaled, velocity, self.max_speed / speed)
        return replace(self, velocity=velocity), velocity

    def default_rate(self) -> float:
        # the paper's rule: the first |sigma| is 15 times the maximum speed, which is twice the rate
        return math.sqrt(len(self.velocity)) / 30


def make(name: str, n: int, momentum: float, beta_2: float, max_speed: float) -> Optimizer:
    """Return an optimizer without memory; `max_speed` is in units of the learning rate."""
    made: dict[str, Callable[[], Optimizer]] = {
        "adam": lambda: Adam(momentum, beta_2, np.zeros(n), np.zeros(n)),
        "sgd": lambda: SGD(momentum, np.zeros(n)),
        "clipup": lambda: ClipUp(momentum, max_speed, np.zeros(n)),
    }
    return made[arguments.one_of("optimizer", name, made)]()


# Formulas, see `PopulationEngine.map`.


def _adam(
    gradient: Vector, m: Vector, v: Vector, beta_1: float, beta_2: float, settled_1: float, settled_2: float
) -> tuple[Vector, Vector, Vector]:
    m = beta_1 * m + (1 - beta_1) * gradient
    v = beta_2 * v + (1 - beta_2) * (gradient * gradient)
    return m, v, (m / settled_1) / (np.sqrt(v / settled_2) + EPSILON)


def _accelerated(gradient: Vector, velocity: Vector, momentum: float, length: float) -> Vector:
    return gradient / length + momentum * velocity


def _scaled(x: Vector, factor: float) -> Vector:
    return x * factor
