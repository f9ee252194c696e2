"""Running mean and standard deviation of observations.

Chan, Golub and LeVeque 1983, Algorithms for computing the sample variance,
https://doi.org/10.1080/00031305.1983.10483115.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from evoopt import arguments, arrays
from evoopt.arguments import MOST
from evoopt.devices.interface.rollout import Scaling
from evoopt.types import Vector

LEAST_VARIANCE = 1e-8  # the floor, for observations that hardly change
LARGEST_SUM = 1e250  # the total of larger ones could overflow


@dataclass(frozen=True)
class Statistics:
    """The number of observations, their mean, and the sums of squared differences from it."""

    count: int
    mean: Vector
    squares: Vector

    @classmethod
    def empty(cls, size: int) -> Self:
        return cls(0, np.zeros(size), np.zeros(size))

    @classmethod
    def read(cls, state: Mapping[str, Any]) -> Self:
        """Make statistics from a dict of their attributes, with copies of its arrays."""
        vectors = [arrays.read(name, state[name]).astype(np.float64) for name in ("mean", "squares")]
        if not all(np.isfinite(vector).all() for vector in vectors):
            raise ValueError("mean and squares of a state must be finite, got NaN or infinite numbers.")
        return cls(arguments.whole("count", state["count"], 0, MOST), *vectors)

    @property
    def std(self) -> Vector:
        """The standard deviation; ones for fewer than two observations."""
        if self.count < 2:
            return np.ones_like(self.mean)
        return np.sqrt(np.maximum(self.squares / self.count, LEAST_VARIANCE))

    @property
    def scaling(self) -> Scaling:
        """The shift and the scale of observations before a network sees them."""
        return Scaling(self.mean, 1 / self.std)

    def merge(self, sums: NDArray[Any]) -> "Statistics":
        """Return statistics with more observations, by their `sums` (..., 3, size).

        The sums are over observation - mean, its squares and ones. A part (3, size) with NaN, or
        with a number of at least `LARGEST_SUM`, is left out.
        """
        parts = sums.reshape(-1, 3, len(self.mean))
        shift, squares, ones = parts[is_usable(parts)].sum(axis=0)
        total = self.count + int(ones[0])
        shift_of_mean = shift / max(total, 1)
        return Statistics(total, self.mean + shift_of_mean, self.squares + squares - shift * shift_of_mean)


def is_usable(sums: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which parts of sums (k, 3, size) have neither NaN nor too large numbers, as (k,)."""
    usable: NDArray[np.bool_] = (np.abs(sums) < LARGEST_SUM).all(axis=(1, 2))
    return usable
