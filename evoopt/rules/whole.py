"""Whole numbers, and the latent numbers that a search varies in their place.

The latent number of a whole number is the number itself, or log(number / origin); an origin of 0
means the first. A latent number stands for the nearest whole number from `low` to `high`.
"""

import math

from evoopt.compiling.jit import inline


@inline
def latent_of(number, origin):
    """Return the latent number of a number, which need not be whole."""
    return math.log(number) - math.log(origin) if origin > 0.0 else number


@inline
def threshold_of(number, side, origin):
    """Return the latent distance from a number to half a number further: `side` is -1 or 1."""
    return math.log1p(0.5 * side / number) if origin > 0.0 else 0.5 * side


@inline
def number_of(latent, low, high, origin):
    """Return the whole number that a latent number stands for."""
    if latent <= latent_of(low, origin):
        return low
    if latent >= latent_of(high, origin):
        return high
    number = origin * math.exp(latent) if origin > 0.0 else latent
    return min(max(float(round(number)), low), high)
