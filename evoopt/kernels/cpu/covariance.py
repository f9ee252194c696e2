"""The loops of CMA-ES with a full covariance matrix, in the symbols of arXiv:1604.00772."""

import math

import numpy as np

from evoopt.kernels.jit import kernel
from evoopt.kernels.philox import COLUMNS, LANES, NOISE, normals

BLOCK = 4  # rows that share one pass over a matrix


@kernel
def sample_correlated(key, ids, mean, factor, sigma, out, lo, hi):
    """Write rows [lo, hi) of `out` (popsize, n): mean + sigma * z @ factor.

    z are the normal deviates of row ids[r], `factor` (n, n) is the transpose of a root of the covariance
    matrix. A row has the same bits in any company: blocks are always whole, and each sum runs over the rows
    of `factor` in their order.
    """
    n = len(mean)
    word_buffer = np.empty((4, LANES), np.uint32)
    deviates = np.zeros((4, LANES))
    flat = deviates.reshape(COLUMNS)
    z = np.zeros((BLOCK, n))
    y = np.zeros((BLOCK, n))
    for start in range(lo, hi, BLOCK):
        stop = min(start + BLOCK, hi)
        for r in range(start, stop):
            for group in range((n + COLUMNS - 1) // COLUMNS):
                normals(key, ids[r], group, NOISE, word_buffer, deviates)
                for c in range(group * COLUMNS, min((group + 1) * COLUMNS, n)):
                    z[r - start, c] = flat[c - group * COLUMNS]
        y[:] = 0.0
        for j in range(n):
            z0, z1, z2, z3 = z[0, j], z[1, j], z[2, j], z[3, j]
            for c in range(n):
                f = factor[j, c]
                y[0, c] += z0 * f
                y[1, c] += z1 * f
                y[2, c] += z2 * f
                y[3, c] += z3 * f
        for r in range(start, stop):
            for c in range(n):
                out[r, c] = mean[c] + sigma * y[r - start, c]


@kernel
def whiten(population, order, mean, spread, basis, roots, y, z, lo, hi):
    """For ranks i in [lo, hi): y_i = (x_i - mean) / spread and z_i = D^-1 B^T y_i.

    `y` and `z` are (popsize, n) float64, x_i is row order[i] of the population, `spread` (n,) the step size
    in each coordinate, `basis` B and `roots` D.
    """
    n = len(mean)
    for i in range(lo, hi):
        x = population[order[i]]
        for c in range(n):
            y[i, c] = (x[c] - mean[c]) / spread[c]
            z[i, c] = 0.0
        for c in range(n):
            step = y[i, c]
            for j in range(n):
                z[i, j] += step * basis[c, j]
        for j in range(n):
            z[i, j] /= roots[j]


@kernel
def active_rates(z, weights, c_mu):
    """Return c_mu w_i (popsize,), negative ones times n / |z_i|^2, Eq. (46)."""
    rates = np.empty(len(weights))
    n = z.shape[1]
    for i in range(len(weights)):
        rates[i] = c_mu * weights[i]
        if weights[i] < 0.0:
            squares = 0.0
            for j in range(n):
                squares += z[i, j] * z[i, j]
            rates[i] *= n / (math.sqrt(squares) + 1e-9) ** 2
    return rates


@kernel
def follow_paths(y, z, weights, basis, mean, spread, p_sigma, p_c, c_sigma, c_c, mueff, h_limit):
    """Move `mean`, `p_sigma` and `p_c` (n,) in place by the weighted steps.

    Returns |p_sigma|^2 and h_sigma, whether it is below `h_limit`.
    """
    n = len(mean)
    y_w, z_w = np.zeros(n), np.zeros(n)
    for i in range(len(weights)):
        w = weights[i]
        if w > 0.0:
            for c in range(n):
                y_w[c] += w * y[i, c]
                z_w[c] += w * z[i, c]
    gain = math.sqrt(c_sigma * (2.0 - c_sigma) * mueff)
    squared_length = 0.0
    for c in range(n):
        shift = 0.0
        for j in range(n):
            shift += basis[c, j] * z_w[j]
        p_sigma[c] = (1.0 - c_sigma) * p_sigma[c] + gain * shift  # Eq. (43), C^-1/2 <y>_w = B <z>_w
        squared_length += p_sigma[c] * p_sigma[c]
    h_sigma = squared_length < h_limit
    gain = math.sqrt(c_c * (2.0 - c_c) * mueff) if h_sigma else 0.0
    for c in range(n):
        p_c[c] = (1.0 - c_c) * p_c[c] + gain * y_w[c]  # Eq. (45)
        mean[c] += spread[c] * y_w[c]  # Eq. (42)
    return squared_length, h_sigma


@kernel
def adapt_covariance(C, y, weights, p_c, decay, c_1, out, lo, hi):
    """Rows [lo, hi) of out = decay C + c_1 p_c p_c^T + sum_i w_i y_i y_i^T, Eq. (47).

    The lower triangle; 0 above it.
    """
    for a in range(lo, hi):
        row = out[a]
        row[a + 1 :] = 0.0
        rate = c_1 * p_c[a]
        for b in range(a + 1):
            row[b] = decay * C[a, b] + rate * p_c[b]
        for i in range(len(weights)):
            rate = weights[i] * y[i, a]
            for b in range(a + 1):
                row[b] += rate * y[i, b]


@kernel
def diagonal_range(C):
    """Return the smallest and the largest number on the diagonal."""
    smallest = largest = C[0, 0]
    for c in range(1, len(C)):
        smallest, largest = min(smallest, C[c, c]), max(largest, C[c, c])
    return smallest, largest


@kernel
def make_factor(basis, roots, scale, factor):
    """Write factor = (diag(scale) B D)^T."""
    n = len(roots)
    for j in range(n):
        for c in range(n):
            factor[j, c] = basis[c, j] * roots[j] * scale[c]


@kernel
def no_effect(mean, sigma, C, scale, p_c, axis):
    """What the stopping rules look at, in one pass.

    Returns the largest standard deviation and path step of a coordinate, the first coordinate in which 0.2
    standard deviations do not change the mean (or -1), and whether 0.1 steps along `axis` (n,) change
    nothing.
    """
    widest, longest, coordinate, along_axis = 0.0, 0.0, -1, True
    for c in range(len(mean)):
        deviation = sigma * scale[c] * math.sqrt(C[c, c])
        widest = max(widest, deviation)
        longest = max(longest, abs(sigma * scale[c] * p_c[c]))
        if coordinate < 0 and mean[c] == mean[c] + 0.2 * deviation:
            coordinate = c
        if mean[c] != mean[c] + 0.1 * sigma * axis[c]:
            along_axis = False
    return widest, longest, coordinate, along_axis
