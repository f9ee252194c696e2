"""Optimizers that turn gradients into steps of the mean; the strategies multiply these by the learning rate.

Kingma and Ba 2015, Adam: a method for stochastic optimization, https://arxiv.org/abs/1412.6980; Toklu,
Liskowski and Srivastava 2020, ClipUp: a simple and powerful optimizer for distribution-based policy
evolution, https://arxiv.org/abs/2008.02387.
"""

import math
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from evoopt.arguments import Vector
from evoopt.strategies.registry import plain_data

EPSILON = 1e-8  # Kingma and Ba's, for gradients in units of sigma


class Optimizer(Protocol):
    """What an optimizer remembers of the gradients so far; nobody changes it."""

    def after(self, gradient: Vector) -> tuple["Optimizer", Vector]:
        """Return the optimizer after one more `gradient`, which it may overwrite, and where it leads."""

    def default_rate(self) -> float:
        """Return a learning rate in units of sigma."""


@plain_data
@dataclass(frozen=True, eq=False)  # arrays have no truth value
class Adam:
    """Kingma and Ba, Algorithm 1, in their symbols."""

    beta_1: float
    beta_2: float
    m: Vector
    v: Vector
    t: int = 0

    def after(self, gradient: Vector) -> tuple["Adam", Vector]:
        t = self.t + 1
        m = self.beta_1 * self.m
        m += (1 - self.beta_1) * gradient
        gradient *= gradient
        gradient *= 1 - self.beta_2
        gradient += self.beta_2 * self.v
        length = np.sqrt(gradient / (1 - self.beta_2**t))
        length += EPSILON
        step = np.divide(m / (1 - self.beta_1**t), length, out=length)
        return replace(self, m=m, v=gradient, t=t), step

    def default_rate(self) -> float:
        return 0.5  # that of the code of Salimans et al., 0.01 where sigma is 0.02


@plain_data
@dataclass(frozen=True, eq=False)
class SGD:
    """Gradient descent with momentum."""

    momentum: float
    velocity: Vector

    def after(self, gradient: Vector) -> tuple["SGD", Vector]:
        gradient += self.momentum * self.velocity
        return replace(self, velocity=gradient), gradient.copy()

    def default_rate(self) -> float:
        return 0.5


@plain_data
@dataclass(frozen=True, eq=False)
class ClipUp:
    """Toklu et al., Algorithm 1: steps of one length, a velocity that is clipped; in learning rates."""

    momentum: float
    max_speed: float
    velocity: Vector

    def after(self, gradient: Vector) -> tuple["ClipUp", Vector]:
        length = norm(gradient)
        if length > 0:
            gradient /= length
        gradient += self.momentum * self.velocity
        speed = norm(gradient)
        if speed > self.max_speed:
            gradient *= self.max_speed / speed
        return replace(self, velocity=gradient), gradient.copy()

    def default_rate(self) -> float:
        # the paper's rule, a first |sigma| of 15 times the maximum speed, and that twice the learning rate
        return math.sqrt(len(self.velocity)) / 30


def make(name: str, n: int, momentum: float, beta_2: float, max_speed: float) -> Optimizer:
    """Return an optimizer that has seen nothing; `max_speed` in learning rates."""
    if name == "adam":
        return Adam(momentum, beta_2, np.zeros(n), np.zeros(n))
    if name == "sgd":
        return SGD(momentum, np.zeros(n))
    if name == "clipup":
        return ClipUp(momentum, max_speed, np.zeros(n))
    raise ValueError(f'optimizer must be "adam", "sgd" or "clipup", but {name!r} came.')


def norm(x: Vector) -> float:
    """Return |x|."""
    # einsum and not a function of BLAS, whose bits change with its threads
    return math.sqrt(np.einsum("i,i->", x, x))
