"""CMA-ES for few parameters: the kernels of `covariance` as plain loops.

Matrices of at most SMALL rows stay in the first-level cache, where register tiles gain nothing. For
up to ten parameters an update takes a third to an eighth of the time, and these loops compile in a
quarter of it. All sums are added in the order of their indices.
"""

import math

import numpy as np

from evoopt.compiling.jit import inline, kernel
from evoopt.kernels.cpu.emit.groups import group_of, normals
from evoopt.kernels.cpu.population.adaptation import (
    is_positive,
    move,
    negative_factor,
    shorten_step,
    shortening,
)
from evoopt.rules.philox import NOISE

SMALL = 24  # parameters; at most 32, because a row takes half a group of deviates


@kernel(allocates=False)
def sample_correlated(key, ids, mean, sigma, scale, root, out, lo, hi):
    """Write mean + sigma * scale * (z @ root) into rows [lo, hi) of `out` (popsize, n)."""
    n, z, y = len(mean), group_of(np.float64), group_of(np.float64)
    for r in range(lo, hi):
        normals(key, ids[r], 0, NOISE, z, n)
        for c in range(n):
            y[c] = z[0] * root[0, c]
        for i in range(1, n):
            factor = z[i]
            for c in range(n):
                y[c] += factor * root[i, c]
        for c in range(n):
            out[r, c] = mean[c] + sigma * scale[c] * y[c]


@inline
def _solve(root, inverse, row, z):
    """Solve z @ root = row for `z`, and return |z|^2; `inverse` (n,) is 1 / root[j, j]."""
    square = 0.0
    for j in range(len(root)):
        rest = row[j]
        for i in range(j):
            rest -= z[i] * root[i, j]
        z[j] = rest * inverse[j]
        square += z[j] * z[j]
    return square


@inline
def _add_product(rate, y, C):
    """Add rate y y^T to C."""
    for a in range(len(C)):
        factor = rate * y[a]
        for b in range(len(C)):
            C[a, b] += factor * y[b]


@inline
def _cholesky(C, root):
    """Write `root` (n, n) with C = root^T root; return whether C is positive definite."""
    n = len(C)
    for r in range(n):
        for c in range(r):
            root[r, c] = 0.0
        scale = 1.0
        for c in range(r, n):
            rest = C[r, c]
            for j in range(r):
                rest -= root[j, r] * root[j, c]
            if c == r:
                if not is_positive(rest, C[r, r], n):
                    return False
                scale = 1.0 / math.sqrt(rest)
            root[r, c] = rest * scale
    return True


@kernel(allocates=False)
def learn(
    population, order, outside, first, weights, mean, sigma, scale, root, p_sigma, p_c, longest, h_limit,
    constants, C, new_C, new_root,
):  # fmt: skip
    """Run a whole update, see `covariance.learn`."""
    n, c_1, c_mu = len(mean), constants[3], constants[4]
    y, z, y_w = group_of(np.float64), group_of(np.float64), group_of(np.float64)
    precision, inverse = group_of(np.float64), group_of(np.float64)
    for a in range(n):
        y_w[a], precision[a], inverse[a] = 0.0, 1.0 / (sigma * scale[a]), 1.0 / root[a, a]
        for b in range(n):
            new_C[a, b] = 0.0
    total = 0.0
    for i in range(len(weights)):
        x, weight, square = population[order[i]], weights[i], 0.0
        for c in range(n):
            y[c] = (x[c] - mean[c]) * precision[c]
        if i >= first:
            square = _solve(root, inverse, y, z)
        if len(outside) and outside[i]:
            weight = max(weight, 0.0)
            shorten_step(y[:n], shortening(square, longest))
        total += weight
        rate = c_mu * weight
        if weight > 0.0:
            for c in range(n):
                y_w[c] += weight * y[c]
        elif weight < 0.0:
            rate *= negative_factor(square, constants[7])
        _add_product(rate, y, new_C)
    _solve(root, inverse, y_w, z)
    decay, new_sigma = move(y_w, z, total, mean, sigma, scale, p_sigma, p_c, h_limit, constants)
    for a in range(n):
        factor = c_1 * p_c[a]
        for b in range(n):
            new_C[a, b] = decay * C[a, b] + (new_C[a, b] + factor * p_c[b]) if b >= a else 0.0
    return new_sigma, len(new_root) == 0 or _cholesky(new_C, new_root)
