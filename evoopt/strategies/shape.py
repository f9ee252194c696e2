"""The shape of a genetic algorithm's mutations: the ratios of sigma follow the spread of the best parents."""

import math

import numpy as np

from evoopt.arguments import Array, Vector
from evoopt.strategies.diagonal import moments

WIDEST = math.log(1e8)  # of a sigma against the geometric mean of all
RATE = 0.1  # of the logarithm of sigma in each coordinate; 1 forgets the past


def spread_of_best(pool: Array) -> Vector:
    """Return the standard deviations of the best quarter of `pool`, sorted best first; shape (n_params,)."""
    best = pool[: max(len(pool) // 4, 2)]
    weights = np.full(len(best), 1 / len(best))
    shift, squares = moments(best, weights, weights, best[0])
    with np.errstate(over="ignore", invalid="ignore"):  # of parents far apart; that is not finite
        spread: Vector = np.sqrt(np.maximum(squares - shift**2, 0.0))
    return spread


def follow(sigma: Vector, spread: Vector, log_centre: float) -> Vector:
    """Return `sigma` moved towards the ratios of `spread`, where there is any; both (n_params,).

    `log_centre` is the mean logarithm that sigma keeps.
    """
    varied = (spread > 0) & np.isfinite(spread)
    result = sigma.copy()
    if varied.any():
        log_sigma, log_spread = np.log(sigma[varied]), np.log(spread[varied])
        drift = (log_spread - log_spread.mean()) - (log_sigma - log_centre)
        moved = np.clip(log_sigma + RATE * drift - log_centre, -WIDEST, WIDEST)
        result[varied] = np.exp(moved + log_centre)
    return result
