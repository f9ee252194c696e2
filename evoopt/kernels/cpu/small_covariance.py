"""CMA-ES of few parameters: the loops of `covariance`, one row after the other.

Matrices of at most SMALL rows stay in the first level cache, where register tiles gain nothing; and these
loops compile in a quarter of the time.
"""

import numpy as np

from evoopt.kernels.cpu.adaptation import factorize, move, rate_of, shorten_step, shortening, solve
from evoopt.kernels.cpu.groups import group_of, normals
from evoopt.kernels.jit import inline, kernel
from evoopt.kernels.philox import NOISE

SMALL = 24  # parameters


@kernel(allocates=False)
def sample_correlated(key, ids, mean, sigma, scale, root, triangular, out, lo, hi):
    """Write rows [lo, hi) of `out` (popsize, n): mean + sigma * scale * (z @ root), as `covariance` does."""
    n, z = len(mean), group_of(np.float64)
    for r in range(lo, hi):
        normals(key, ids[r], 0, NOISE, z, n)
        for c in range(n):
            y = 0.0
            for i in range(c + 1 if triangular else n):
                y += z[i] * root[i, c]
            out[r, c] = mean[c] + sigma * scale[c] * y


@inline
def _add_product(rate, y, C):
    """Add rate y y^T to the upper triangle of C."""
    for a in range(len(y)):
        factor, row = rate * y[a], C[a]
        for b in range(a, len(y)):
            row[b] += factor * y[b]


@kernel(allocates=False)
def learn(
    population, order, outside, first, weights, mean, sigma, scale, root, p_sigma, p_c, longest, h_limit,
    constants, C, new_C, new_root,
):  # fmt: skip
    """A whole update, as `covariance.learn` has it."""
    n, c_1, c_mu = len(mean), constants[3], constants[4]
    y, z, y_w = group_of(np.float64)[:n], group_of(np.float64)[:n], group_of(np.float64)[:n]
    for c in range(n):
        y_w[c] = 0.0
        for r in range(n):
            new_C[c, r] = 0.0
    total = 0.0
    for i in range(len(weights)):
        x, weight, square = population[order[i]], weights[i], 0.0
        for c in range(n):
            y[c] = z[c] = (x[c] - mean[c]) / (sigma * scale[c])
        if i >= first:
            solve(root, z, n)
            for c in range(n):
                square += z[c] * z[c]
        if len(outside) and outside[i]:
            factor, weight = shortening(square, longest), max(weight, 0.0)
            shorten_step(y, factor)
        total += weight
        if weight > 0.0:
            for c in range(n):
                y_w[c] += weight * y[c]
        _add_product(rate_of(weight, square, n, c_mu), y, new_C)
    for c in range(n):
        z[c] = y_w[c]
    solve(root, z, n)
    decay, new_sigma = move(y_w, z, total, mean, sigma, scale, p_sigma, p_c, h_limit, constants)
    _add_product(c_1, p_c, new_C)
    for a in range(n):
        for b in range(a, n):
            new_C[a, b] += decay * C[a, b]
    if len(new_root) == 0:
        return new_sigma, True
    for a in range(n):
        for b in range(n):
            new_root[a, b] = new_C[a, b]
    return new_sigma, factorize(new_C, new_root, 0, n)
