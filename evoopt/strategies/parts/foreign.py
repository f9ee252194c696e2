"""Foreign and late rows: how far from the mean they may be, and by what their steps are shortened."""

import math

import numpy as np

from evoopt.devices.interface.population import Engine
from evoopt.strategies.contract.told import Told
from evoopt.types import Vector

FARTHEST = 1e-12  # rows that would be shortened by more teach nothing: their squares may overflow


def longest_step(n: int) -> float:
    """Return the Mahalanobis length to which steps of foreign and late rows are clipped, as pycma does."""
    return math.sqrt(n) + 2 * n / (n + 2)


def shortening(length: Vector, n: int) -> Vector:
    """Return by what to shorten steps of these Mahalanobis lengths (k,); 0 where there is no number."""
    factors = np.minimum(1.0, longest_step(n) / np.maximum(length, 1e-300))
    factors[~(factors >= FARTHEST)] = 0.0
    return factors


def outside_factors(told: Told, mean: Vector, scale: Vector, engine: Engine) -> Vector | None:
    """Return by what to shorten the step of each row (popsize,): 1 but for foreign and late ones.

    None if there are no such.
    """
    if told.outside is None:
        return None
    factors = np.ones(len(told.order))
    outside = np.flatnonzero(told.outside)
    factors[outside] = shortening(engine.lengths(told.population, outside, mean, scale), len(mean))
    return factors
