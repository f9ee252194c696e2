"""The shape of GA's mutations: the ratios of sigma follow the spread of the best parents."""

import math

import numpy as np
from numpy.typing import NDArray

from evoopt.devices.interface.population import Engine
from evoopt.types import Array, Vector

WIDEST = math.log(1e8)  # limit of log(sigma / the geometric mean of all)
RATE = 0.1  # learning rate of log(sigma); 1 forgets the past


def spread_of_best(pool: Array, engine: Engine) -> Vector:
    """Return the standard deviations (n_params,) of the best quarter of a sorted `pool`."""
    shift, squares, _ = _moments(pool[: max(len(pool) // 4, 2)], engine)
    with np.errstate(over="ignore", invalid="ignore"):  # infinite if parents are far apart
        spread: Vector = engine.map(_deviation, shift, squares)
    return spread


def centre_of(pool: Array, engine: Engine) -> Vector:
    """Return the mean of all rows of `pool`, shape (n_params,)."""
    shift, _, first = _moments(pool, engine)
    centre: Vector = engine.map(_sum, first, shift)
    return centre


def _moments(rows: Array, engine: Engine) -> tuple[Vector, Vector, Vector]:
    """Return mean and mean square of the differences of rows from the first row, and this row."""
    weights, first = np.full(len(rows), 1 / len(rows)), engine.snapshot(rows[0], np.dtype(np.float64))
    return *engine.moments(rows, weights, weights, first), first


def log_centre_of_varied(sigma: Vector, spread: Vector) -> float:
    """Return the mean logarithm of sigma where there is a spread, 0 if there is none."""
    varied = _is_varied(spread)
    return float(np.log(sigma[varied]).mean()) if varied.any() else 0.0


def follow(
    sigma: Vector, spread: Vector, log_centre: float, smallest: float, largest: float, engine: Engine
) -> Vector:
    """Return `sigma` moved towards the ratios of `spread`, if there is any; both (n_params,).

    `log_centre` is the mean logarithm that sigma keeps.
    """
    varied = engine.total(_varied, spread)
    if not varied:
        return sigma
    mean_log = engine.total(_log_of_varied, spread) / varied
    moved: Vector = engine.map(_followed, sigma, spread, mean_log, log_centre, smallest, largest)
    return moved


# Formulas, see `PopulationEngine.map`. A spread of 0, or from FARTHEST_SPREAD on, counts as none.

FARTHEST_SPREAD = 1e300


def _sum(first: Vector, shift: Vector) -> Vector:
    return first + shift


def _deviation(shift: Vector, squares: Vector) -> Vector:
    return np.sqrt(np.maximum(squares - shift * shift, 0.0))


def _is_varied(spread: Vector) -> NDArray[np.bool_]:
    return (spread > 0.0) & (spread < FARTHEST_SPREAD)


def _log(spread: Vector) -> Vector:
    return np.log(np.minimum(np.maximum(spread, 1e-300), FARTHEST_SPREAD))


def _varied(spread: Vector) -> Vector:
    return np.where(_is_varied(spread), 0.0 * _log(spread) + 1.0, 0.0)


def _log_of_varied(spread: Vector) -> Vector:
    return np.where(_is_varied(spread), _log(spread), 0.0)


def _followed(
    sigma: Vector, spread: Vector, mean_log: float, log_centre: float, smallest: float, largest: float
) -> Vector:
    log_sigma = np.log(sigma)
    drift = (_log(spread) - mean_log) - (log_sigma - log_centre)
    moved = np.minimum(np.maximum(log_sigma + RATE * drift - log_centre, -WIDEST), WIDEST)
    result = np.where(_is_varied(spread), np.exp(moved + log_centre), sigma)
    return np.minimum(np.maximum(result, smallest), largest)
