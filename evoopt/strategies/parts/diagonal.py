"""What strategies with a step size for each coordinate share: weighted moments of the told rows."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evoopt import threads
from evoopt.kernels.cpu.population.moments import squared_lengths, weighted_moments
from evoopt.strategies.contract.told import Told
from evoopt.types import Vector

GRAIN = 100_000  # numbers worth waking a thread for
FARTHEST = 1e-12  # rows that would be shortened by more teach nothing: their squares may overflow


def moments(
    population: NDArray[Any], weights: Vector, square_weights: Vector, mean: NDArray[Any]
) -> tuple[Vector, Vector]:
    """Return sum_r w_r (x_r - mean) and sum_r v_r (x_r - mean)^2, each of shape (n_params,)."""
    rows, n = population.shape
    dtype = population.dtype
    first, second = np.empty(n, dtype), np.empty(n, dtype)
    arguments = (
        population,
        weights.astype(dtype),
        square_weights.astype(dtype),
        mean.astype(dtype),
        first,
        second,
    )
    threads.run(weighted_moments, n, *arguments, grain=max(GRAIN // rows, 64))
    return first.astype(np.float64, copy=False), second.astype(np.float64, copy=False)


def condition(most: float, least: float) -> float:
    """Return the condition of the covariance matrix with standard deviations from `least` to `most`."""
    ratio = most / least
    return ratio * ratio


def lengths(population: NDArray[Any], places: NDArray[np.intp], mean: Vector, scale: Vector) -> Vector:
    """Return |(x - mean) / scale| of the rows at `places`, shape (k,)."""
    n = population.shape[1]
    squares = np.empty(len(places))
    threads.run(
        squared_lengths, len(places), population, places, mean, 1 / scale, squares, grain=GRAIN // n + 1
    )
    return np.sqrt(squares)


def longest_step(n: int) -> float:
    """Return the Mahalanobis length to which steps of foreign and late rows are clipped, as pycma does."""
    return math.sqrt(n) + 2 * n / (n + 2)


def shortening(length: Vector, n: int) -> Vector:
    """Return by what to shorten steps of these Mahalanobis lengths (k,); 0 where there is no number."""
    factors = np.minimum(1.0, longest_step(n) / np.maximum(length, 1e-300))
    factors[~(factors >= FARTHEST)] = 0.0
    return factors


def outside_factors(told: Told, mean: Vector, scale: Vector, ops: Any) -> Vector | None:
    """Return by what to shorten the step of each row (popsize,): 1 but for foreign and late ones.

    None if there are no such.
    """
    if told.outside is None:
        return None
    factors = np.ones(len(told.order))
    outside = np.flatnonzero(told.outside)
    factors[outside] = shortening(ops.lengths(told.population, outside, mean, scale), len(mean))
    return factors
