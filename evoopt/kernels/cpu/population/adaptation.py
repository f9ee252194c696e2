"""The rules of CMA-ES for matrices of all sizes, in the symbols of arXiv:1604.00772.

C = R^T R with R upper triangular (Cholesky), and C is given by its upper triangle, so that vector
instructions work along rows, which are contiguous in memory. A step is y = z @ R.
"""

import math

from evoopt.compiling.jit import inline

EPSILON = 2.0**-52


@inline
def shortening(square, longest):
    """Return the factor of a foreign or late step, whose squared length is given."""
    length = math.sqrt(square)
    # a step so long that numbers overflow gets the factor 0
    return min(1.0, longest / max(length, 1e-300)) if math.isfinite(length) else 0.0


@inline
def shorten_step(step, factor):
    """Multiply a step (n,) in place; if the factor is 0, the step may be infinite or NaN."""
    for c in range(len(step)):
        step[c] = step[c] * factor if factor > 0.0 else 0.0


@inline
def negative_factor(square, n):
    """Return n / |z|^2, the factor of a negative weight, Eq. (46)."""
    return n / (math.sqrt(square) + 1e-9) ** 2


@inline
def move(y_w, z_w, total, mean, sigma, scale, p_sigma, p_c, h_limit, constants):
    """Move `mean`, `p_sigma` and `p_c` (n,) in place by the weighted step y_w = z_w @ R.

    `total` is the sum of all weights. Return the decay of C and the new sigma. `constants` are
    (c_sigma, d_sigma, c_c, c_1, c_mu, mueff, E|N(0, I)|, n); n counts the coordinates that vary.
    """
    c_sigma, d_sigma, c_c, c_1, c_mu, mueff, expected_length, _ = constants
    gain = math.sqrt(c_sigma * (2.0 - c_sigma) * mueff)
    squared_length = 0.0
    for c in range(len(mean)):
        # Eq. (43) with R instead of the symmetric root of C, as in Krause et al. 2016, needs no
        # axes
        p_sigma[c] = (1.0 - c_sigma) * p_sigma[c] + gain * z_w[c]
        squared_length += p_sigma[c] * p_sigma[c]
    h_sigma = squared_length < h_limit
    gain = math.sqrt(c_c * (2.0 - c_c) * mueff) if h_sigma else 0.0
    for c in range(len(mean)):
        p_c[c] = (1.0 - c_c) * p_c[c] + gain * y_w[c]  # Eq. (45)
        mean[c] += sigma * scale[c] * y_w[c]  # Eq. (42)
    decay = 1.0 - c_1 - c_mu * total
    if not h_sigma:
        decay += c_1 * c_c * (2.0 - c_c)
    change = c_sigma / d_sigma * (math.sqrt(squared_length) / expected_length - 1.0)
    return decay, sigma * math.exp(min(1.0, change))  # Eq. (44)


@inline
def is_positive(pivot, variance, n):
    """Return whether a pivot is more than the rounding errors of its variance."""
    return n * EPSILON * variance < pivot < math.inf
