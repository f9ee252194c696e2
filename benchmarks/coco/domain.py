"""The variables of a mixed problem, and the distribution of its starts."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from evoopt import Choice, Integer, Real, Space

Vector = NDArray[Any]


@dataclass(frozen=True)
class Domain:
    """A space, with a box that starts are drawn from and the first standard deviations.

    Attributes
    ----------
    space : Space
    low, high : ndarray, shape (n,)
        The ends of the starts, whole where the variable has whole numbers.
    steps : ndarray, shape (n,)
        The first standard deviation of each column; a choice ignores its own.
    """

    space: Space
    low: Vector
    high: Vector
    steps: Vector

    def columns(self, kind: type[Real] | type[Integer] | type[Choice]) -> Vector:
        """Return the numbers of the columns of a kind."""
        return np.flatnonzero([isinstance(each, kind) for each in self.space.variables])

    def start(self, rng: Generator) -> Vector:
        """Draw a row uniformly."""
        u, is_real = rng.random(len(self.space)), np.isin(np.arange(len(self.space)), self.columns(Real))
        real = self.low + u * (self.high - self.low)
        return np.where(is_real, real, np.floor(self.low + u * (self.high - self.low + 1)))


def whole_box(space: Space) -> Domain:
    """Return starts in the whole space, with a sixth or, for integers, a fifth of the widths.

    These are the default deviations of CatCMA with margin.
    """
    parts = np.array([5.0 if isinstance(each, Integer) else 6.0 for each in space.variables])
    return Domain(space, space.low, space.high, (space.high - space.low) / parts)
