"""The loops of CMA-ES with a full covariance matrix of any size, by register tiles."""

import math

import numpy as np

from evoopt.compiling.jit import inline, kernel
from evoopt.kernels.cpu.emit.groups import group_of, normals
from evoopt.kernels.cpu.emit.matrix import Matrix
from evoopt.kernels.cpu.emit.vectors import columns_of
from evoopt.kernels.cpu.networks.products import four_rows
from evoopt.kernels.cpu.population.adaptation import (
    is_positive,
    move,
    negative_factor,
    shorten_step,
    shortening,
)
from evoopt.rules.philox import COLUMNS, NOISE

BAND = 4  # rows that share one pass over a matrix, as in four_rows


@kernel
def sample_correlated(key, ids, mean, sigma, scale, root, triangular, out, lo, hi):
    """Write mean + sigma * scale * (z @ root) into rows [lo, hi) of `out` (popsize, n).

    z are the normal deviates of row ids[r], `root` (n, n) is upper triangular if `triangular`, and
    `scale` is (n,). The bits of a row do not depend on other rows, because bands are always whole,
    and each sum runs over the rows of `root` in their order.
    """
    n, columns = len(mean), columns_of(mean[0])
    deviates = group_of(np.float64)
    z = np.zeros(BAND * n)
    matrix = root.reshape(n * n)
    zeros, y = np.zeros(columns), np.empty(BAND * columns)
    for start in range(lo, hi, BAND):
        stop = min(start + BAND, hi)
        for r in range(start, stop):
            row = z[(r - start) * n : (r - start + 1) * n]
            for group in range((n + COLUMNS - 1) // COLUMNS):
                normals(key, ids[r], group, NOISE, deviates, n - group * COLUMNS)
                for c in range(group * COLUMNS, min((group + 1) * COLUMNS, n)):
                    row[c] = deviates[c - group * COLUMNS]
        for first in range(0, n, columns):
            width = min(columns, n - first)
            terms = first + width if triangular else n
            four_rows(Matrix(z, 0, n, 1, 0), Matrix(matrix, first, 1, n, 0), terms, zeros, y, width)
            for r in range(start, stop):
                for c in range(width):
                    step = sigma * scale[first + c]
                    out[r, first + c] = mean[first + c] + step * y[(r - start) * columns + c]


@inline
def _solve(root, row, n):
    """Replace `row` (n,) by the solution of z @ root = row."""
    for j in range(n):
        row[j] /= root[j, j]
        factor, tail, weights = row[j], row[j + 1 :], root[j, j + 1 :]
        for c in range(len(tail)):
            tail[c] -= factor * weights[c]


@inline
def _solve_band(root, rows, first, stop, n):
    """Replace rows [first, stop), at most BAND, of `rows` (., n) by solutions of z @ root = row."""
    if stop - first < BAND:
        for i in range(first, stop):
            _solve(root, rows[i], n)
        return
    for j in range(n):
        pivot, weights = root[j, j], root[j, j + 1 :]
        for i in range(first, stop):
            rows[i, j] /= pivot
        z0, z1, z2, z3 = rows[first, j], rows[first + 1, j], rows[first + 2, j], rows[first + 3, j]
        t0, t1, t2, t3 = (
            rows[first, j + 1 :],
            rows[first + 1, j + 1 :],
            rows[first + 2, j + 1 :],
            rows[first + 3, j + 1 :],
        )
        for c in range(len(weights)):
            w = weights[c]
            t0[c] -= z0 * w
            t1[c] -= z1 * w
            t2[c] -= z2 * w
            t3[c] -= z3 * w


@kernel
def whiten(population, order, first, mean, sigma, scale, root, y, squares, lo, hi):
    """Write y_i and |z_i|^2 of the ranks i of bands [lo, hi).

    y_i = (x_i - mean) / (sigma scale) and z_i @ root = y_i, where x_i is row order[i] of the
    population. `y` (popsize + 1, n) and `squares` (popsize,) are float64. Lengths are computed from
    rank `first` on.
    """
    k, n = population.shape
    z = np.empty((BAND, n))
    for band in range(lo, hi):
        start, stop = band * BAND, min((band + 1) * BAND, k)
        for i in range(start, stop):
            x, step, copy = population[order[i]], y[i], z[i - start]
            for c in range(n):
                step[c] = (x[c] - mean[c]) / (sigma * scale[c])
                copy[c] = step[c]
        if stop > first:
            _solve_band(root, z, 0, stop - start, n)
            for i in range(max(start, first), stop):
                total = 0.0
                for c in range(n):
                    total += z[i - start, c] * z[i - start, c]
                squares[i] = total


@kernel
def to_local(root, rows, lo, hi):
    """Replace bands [lo, hi) of BAND rows of `rows` (k, n) by their z, z @ root = row."""
    k, n = rows.shape
    for band in range(lo, hi):
        _solve_band(root, rows, band * BAND, min((band + 1) * BAND, k), n)


@kernel
def shorten(y, squares, outside, weights, longest):
    """Shorten the steps of foreign and late rows, in place, and raise negative weights to 0.

    `outside` (popsize,) marks these rows by rank.
    """
    for i in range(len(weights)):
        if outside[i]:
            shorten_step(y[i], shortening(squares[i], longest))
            weights[i] = max(weights[i], 0.0)


@kernel
def follow_paths(y, squares, weights, mean, sigma, scale, root, p_sigma, p_c, rates, h_limit, constants):
    """Move `mean`, `p_sigma` and `p_c` (n,) in place by the weighted steps, see `adaptation.move`.

    Write p_c behind the steps in `y`, and into `rates` (popsize + 1,) the weight of each row of `y`
    in C. Return the decay of C and the new sigma.
    """
    k, n, c_1, c_mu = len(weights), len(mean), constants[3], constants[4]
    y_w, z_w = np.zeros(n), np.empty(n)
    total = 0.0
    for i in range(k):
        w = weights[i]
        total += w
        rates[i] = c_mu * w
        if w > 0.0:
            for c in range(n):
                y_w[c] += w * y[i, c]
        elif w < 0.0:
            rates[i] *= negative_factor(squares[i], constants[7])
    for c in range(n):
        z_w[c] = y_w[c]
    _solve(root, z_w, n)
    decay, new_sigma = move(y_w, z_w, total, mean, sigma, scale, p_sigma, p_c, h_limit, constants)
    rates[k] = c_1
    for c in range(n):
        y[k, c] = p_c[c]
    return decay, new_sigma


@kernel
def adapt_covariance(C, y, rates, decay, out, lo, hi):
    """Write decay C + sum_i rates_i y_i y_i^T into bands [lo, hi) of `out` (n, n), Eq. (47).

    `out` has numbers in its upper triangle, and 0 below it.
    """
    (k, n), columns = y.shape, columns_of(rates[0])
    flat = y.reshape(k * n)
    scaled = np.zeros(k * BAND)  # BAND columns of y, multiplied by the rates
    zeros, products = np.zeros(columns), np.empty(BAND * columns)
    for band in range(lo, hi):
        a, stop = band * BAND, min((band + 1) * BAND, n)
        for i in range(k):
            for r in range(a, stop):
                scaled[i * BAND + r - a] = rates[i] * y[i, r]
        for first in range(a, n, columns):
            width = min(columns, n - first)
            four_rows(Matrix(scaled, 0, 1, BAND, 0), Matrix(flat, first, 1, n, 0), k, zeros, products, width)
            for r in range(a, stop):
                target, before = out[r, first : first + width], C[r, first : first + width]
                for c in range(width):
                    target[c] = decay * before[c] + products[(r - a) * columns + c]
        for r in range(a, stop):
            for c in range(r):
                out[r, c] = 0.0


@kernel
def cholesky(C, root):
    """Write the upper triangular `root` R of C = R^T R; return whether C is positive definite.

    For each band of BAND rows, the rows above contribute first, then the band itself.
    """
    n, columns = len(C), columns_of(C[0, 0])
    matrix = root.reshape(n * n)
    zeros, products = np.zeros(columns), np.empty(BAND * columns)
    for a in range(0, n, BAND):
        stop = min(a + BAND, n)
        for r in range(a, stop):
            for c in range(n):  # assignments of slices would take seconds to compile
                root[r, c] = C[r, c] if c >= a else 0.0
        if a > 0:
            for first in range(a, n, columns):
                width = min(columns, n - first)
                # a last band of fewer rows also reads the numbers behind it, and drops those
                # results
                left, right = Matrix(matrix, a, 1, n, 0), Matrix(matrix, first, 1, n, 0)
                four_rows(left, right, a, zeros, products, width)
                for r in range(a, stop):
                    target = root[r, first : first + width]
                    for c in range(width):
                        target[c] -= products[(r - a) * columns + c]
        for r in range(a, stop):
            tail = root[r, r:]
            for j in range(a, r):
                factor, above = root[j, r], root[j, r:]
                for c in range(len(tail)):
                    tail[c] -= factor * above[c]
            for c in range(a, r):
                root[r, c] = 0.0
            if not is_positive(tail[0], C[r, r], n):
                return False
            scale = 1.0 / math.sqrt(tail[0])
            for c in range(len(tail)):
                tail[c] *= scale
    return True


@kernel
def learn(
    population, order, outside, first, weights, mean, sigma, scale, root, p_sigma, p_c, longest, h_limit,
    constants, C, new_C, new_root,
):  # fmt: skip
    """Run a whole update on the calling thread; see the kernels that it calls.

    `outside` (popsize,) is by rank, or empty if no row is outside; `new_root` is (0, 0) if no root
    is wanted. Return the new sigma, and whether the covariance is positive definite, as far as
    known.
    """
    k, n = population.shape
    y, squares, rates = np.empty((k + 1, n)), np.empty(k), np.empty(k + 1)
    whiten(population, order, first, mean, sigma, scale, root, y, squares, 0, (k + BAND - 1) // BAND)
    if len(outside):
        weights = weights.copy()
        shorten(y, squares, outside, weights, longest)
    decay, new_sigma = follow_paths(
        y, squares, weights, mean, sigma, scale, root, p_sigma, p_c, rates, h_limit, constants
    )
    adapt_covariance(C, y, rates, decay, new_C, 0, (n + BAND - 1) // BAND)
    return new_sigma, len(new_root) == 0 or cholesky(new_C, new_root)


@kernel
def no_effect(mean, sigma, C, scale, p_c, axis):
    """Return the numbers that the stopping rules need, in one pass.

    They are the largest standard deviation and path step of a coordinate, the first coordinate in
    which 0.2 standard deviations do not change the mean (or -1), and whether 0.1 steps along `axis`
    (n,) change nothing.
    """
    widest, longest, coordinate, along_axis = 0.0, 0.0, -1, True
    for c in range(len(mean)):
        deviation = sigma * scale[c] * math.sqrt(C[c, c])
        widest = max(widest, deviation)
        longest = max(longest, abs(sigma * scale[c] * p_c[c]))
        if coordinate < 0 and mean[c] == mean[c] + 0.2 * deviation:
            coordinate = c
        if mean[c] != mean[c] + 0.1 * sigma * scale[c] * axis[c]:
            along_axis = False
    return widest, longest, coordinate, along_axis
