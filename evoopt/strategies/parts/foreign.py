"""Foreign and late rows: their distance from the mean is limited, as in pycma."""

import math

import numpy as np

from evoopt.devices.interface.population import Engine
from evoopt.strategies.contract.told import Told
from evoopt.types import Vector

FARTHEST = 1e-12  # rows with a smaller factor are ignored, because their squares may overflow


def longest_step(n: int) -> float:
    """Return the limit of the Mahalanobis distance of foreign and late rows from the mean."""
    return math.sqrt(n) + 2 * n / (n + 2)


def shortening(length: Vector, n: int) -> Vector:
    """Return the factors (k,) that bring distances to the limit; 0 for NaN and huge distances."""
    factors = np.minimum(1.0, longest_step(n) / np.maximum(length, 1e-300))
    factors[~(factors >= FARTHEST)] = 0.0
    return factors


def outside_factors(told: Told, mean: Vector, scale: Vector, engine: Engine) -> Vector | None:
    """Return the factors (popsize,) that limit the distances of rows, or None if none is outside.

    They are 1 except for foreign and late rows.
    """
    if told.outside is None:
        return None
    factors = np.ones(len(told.order))
    outside = np.flatnonzero(told.outside)
    factors[outside] = shortening(engine.lengths(told.rows, outside, mean, scale), len(mean))
    return factors
