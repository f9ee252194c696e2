"""Schedules of a falling step size or learning rate: plain data, so that checkpoints hold them."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from evoopt import arguments
from evoopt.arrays import shown
from evoopt.calls import Called
from evoopt.strategies.contract.fields import Fields, float_or, whole
from evoopt.strategies.contract.registry import plain_data
from evoopt.types import Vector


@dataclass(frozen=True)
class _Finite(Called):
    """A schedule that ends after `generations`, at least 1."""

    _stored: ClassVar[Fields] = {"generations": whole(1)}

    generations: int

    def __post_init__(self) -> None:
        arguments.whole("generations", self.generations, 1)

    def _done(self, updates: int) -> float:
        return min(updates / self.generations, 1.0)


@plain_data
@dataclass(frozen=True)
class LinearDecay(_Finite):
    """A linear decay from 1 to 0, for a strategy's option `..._decay`; its `..._limit` ends it.

    Parameters
    ----------
    generations : int
        The number of generations until it is 0.

    Examples
    --------
    >>> import evoopt
    >>> es = evoopt.OpenAIES([1.0, 2.0], 0.1, sigma_decay=evoopt.LinearDecay(100), sigma_limit=0.1)
    """

    def share(self, updates: int) -> float:
        """Return the share of a first value that is left."""
        return 1 - self._done(updates)


@plain_data
@dataclass(frozen=True)
class CosineDecay(_Finite):
    """A decay along a cosine from 1 to 0, for the option `..._decay`; its `..._limit` ends it.

    Parameters
    ----------
    generations : int
        The number of generations until it is 0.

    Examples
    --------
    >>> import evoopt
    >>> es = evoopt.PGPE([1.0, 2.0], 0.1, learning_rate_decay=evoopt.CosineDecay(300))
    """

    def share(self, updates: int) -> float:
        """Return the share of a first value that is left."""
        return (1 + math.cos(math.pi * self._done(updates))) / 2


Decay = float | LinearDecay | CosineDecay
STORED_DECAY = float_or(LinearDecay, CosineDecay, least=0, most=1)


def read(name: str, value: object) -> Decay:
    """Read a schedule, or the factor of each update."""
    if isinstance(value, LinearDecay | CosineDecay):
        return value
    if callable(value):
        raise ValueError(
            f"{name} must be a number, a LinearDecay or a CosineDecay, got {shown(value)}; to follow a "
            "function assign the learning rate between two generations."
        )
    return arguments.within(name, value, 0, 1)


def share(decay: Decay, limit: float, updates: int) -> float:
    """Return the share of a first value that is left after so many updates."""
    left = decay**updates if isinstance(decay, float) else decay.share(updates)
    return max(left, limit)


def shrunk(sigma: Vector, share: float, smallest: float, largest: float) -> Vector:
    """Return a share of the first step sizes, within limits.

    A formula, see `PopulationEngine.map`.
    """
    return np.minimum(np.maximum(share * sigma, smallest), largest)
