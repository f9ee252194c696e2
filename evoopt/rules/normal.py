"""Tails of the standard normal distribution, in double precision."""

import math

from evoopt.compiling.jit import inline


@inline
def upper_tail(x):
    """Return the probability of a normal deviate above `x`."""
    return 0.5 * math.erfc(x * math.sqrt(0.5))


@inline
def upper_quantile(p):
    """Return the number that a normal deviate exceeds with probability `p`, at most 1/2.

    The start is formula 26.2.23 of Abramowitz and Stegun 1964, Handbook of mathematical functions,
    whose error is below 5e-4; two steps of Halley's method leave rounding errors.
    """
    t = math.sqrt(-2.0 * math.log(p))
    x = t - (2.515517 + t * (0.802853 + t * 0.010328)) / (
        1.0 + t * (1.432788 + t * (0.189269 + t * 0.001308))
    )
    for _ in range(2):
        step = (upper_tail(x) - p) * math.sqrt(2 * math.pi) * math.exp(0.5 * x * x)
        x += step / (1.0 - 0.5 * x * step)
    return x
