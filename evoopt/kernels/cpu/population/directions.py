"""The loops of LM-MA-ES: products of maps (1 - c_j) I + c_j m_j m_j^T for direction vectors m_j.

Such a product keeps z in the span of itself and the direction vectors: d = alpha z + sum_j b_j m_j.
The b_j follow from the products m_j^T z and from the Gram matrix of the direction vectors. So rows
take two passes over columns that stay in cache, and no memory but their place in the population.
"""

import numpy as np

from evoopt.compiling.jit import inline, kernel
from evoopt.kernels.cpu.emit.groups import group_of, normals
from evoopt.kernels.cpu.emit.matrix import Matrix
from evoopt.kernels.cpu.networks.products import product_of_columns
from evoopt.rules.philox import COLUMNS, NOISE

SPAN = 8 * COLUMNS  # columns whose numbers in all direction vectors stay in the second-level cache
ROWS = 64  # rows of an item of work
GROUP = 6  # rows multiplied at once
SUMS = 32  # partial sums of a product, which keep their order when they are vectorized


@inline
def _cut(item, rows, n):
    """Return the span of an item of work, and its first and last column and row."""
    parts = (rows + ROWS - 1) // ROWS
    span, part = item // parts, item % parts
    return span, span * SPAN, min((span + 1) * SPAN, n), part * ROWS, min((part + 1) * ROWS, rows)


@inline
def _transpose(M, used, start, stop, packed, width):
    """Pack columns [start, stop) of M (m, n) as (stop - start, width), zeros beyond `used`."""
    for j in range(used):
        row = M[j, start:stop]
        for c in range(len(row)):
            packed[c * width + j] = row[c]


@inline
def _fill_normals(key, number, start, stop, deviates, row):
    """Write a row's normal deviates of columns [start, stop); COLUMNS divides `start`."""
    for group in range(start // COLUMNS, (stop + COLUMNS - 1) // COLUMNS):
        normals(key, number, group, NOISE, deviates)
        left = row[group * COLUMNS : min((group + 1) * COLUMNS, stop)]
        for i in range(len(left)):
            left[i] = deviates[i]


@kernel
def project(key, ids, M, used, out, products, lo, hi):
    """Write the normal deviates z of rows ids[r] into `out` (k, n), and products with directions.

    products[span, r, j] is the span's part of m_j^T z for j below `used`, with room for whole
    vectors of `lanes`. Items [lo, hi) of work are pairs of a span and ROWS rows.
    """
    k, n = out.shape
    width = products.shape[2]
    deviates = group_of(out.dtype)
    packed, zeros = np.zeros(SPAN * width, out.dtype), np.zeros(k, out.dtype)
    a, y = out.reshape(k * n), products.reshape(products.size)
    for item in range(lo, hi):
        span, start, stop, first, last = _cut(item, k, n)
        for r in range(first, last):
            _fill_normals(key, ids[r], start, stop, deviates, out[r])
        if used > 0:
            _transpose(M, used, start, stop, packed, width)
            a_start, y_start = first * n + start, (span * k + first) * width
            numbers, result = Matrix(a, a_start, n, 1, 0), Matrix(y, y_start, width, 1, 0)
            directions = Matrix(packed, 0, 1, width, 0)
            product_of_columns(numbers, directions, zeros, result, last - first, stop - start, width)


@kernel
def gram_parts(M, used, out, lo, hi):
    """Write the parts of m_j^T m_i in spans [lo, hi) of columns into `out` (spans, used, width)."""
    m, n = M.shape
    width = out.shape[2]
    packed, zeros = np.zeros(SPAN * width, M.dtype), np.zeros(m, M.dtype)
    a, y = M.reshape(m * n), out.reshape(out.size)
    for span in range(lo, hi):
        start, stop = span * SPAN, min((span + 1) * SPAN, n)
        _transpose(M, used, start, stop, packed, width)
        numbers, result = Matrix(a, start, n, 1, 0), Matrix(y, span * used * width, width, 1, 0)
        product_of_columns(numbers, Matrix(packed, 0, 1, width, 0), zeros, result, used, stop - start, width)


@kernel
def coefficients(products, gram, rates, out, lo, hi):
    """Write b_j of rows [lo, hi) into `out` (k, used); `rates` (used,) are c_j."""
    spans, used = len(products), len(rates)
    b = np.zeros(used)
    for r in range(lo, hi):
        b[:] = 0.0
        for span in range(spans):
            for j in range(used):
                b[j] += products[span, r, j]
        alpha = 1.0
        for j in range(used):
            product = alpha * b[j]
            for i in range(j):
                product += b[i] * gram[j, i]
                b[i] *= 1.0 - rates[j]
            alpha *= 1.0 - rates[j]
            b[j] = rates[j] * product
        for j in range(used):
            out[r, j] = b[j]


@kernel
def combine(mean, sigma, M, alpha, b, out, lo, hi):
    """Turn `out` (k, n) from z into mean + sigma * (alpha z + b M); items are as in `project`."""
    k, n = out.shape
    used = b.shape[1]
    size = used * COLUMNS
    packed, zeros = np.zeros(size * (SPAN // COLUMNS), out.dtype), np.zeros(GROUP, out.dtype)
    a, y = b.reshape(k * used), np.zeros(GROUP * COLUMNS, out.dtype)
    for item in range(lo, hi):
        _, span_start, span_stop, first, last = _cut(item, k, n)
        for j in range(used):
            row = M[j, span_start:span_stop]
            for c in range(len(row)):
                packed[c // COLUMNS * size + j * COLUMNS + c % COLUMNS] = row[c]
        for top in range(first, last, GROUP):
            rows = min(GROUP, last - top)
            for start in range(span_start, span_stop, COLUMNS):
                if used > 0:
                    at = (start - span_start) // COLUMNS * size
                    numbers, result = Matrix(a, top * used, used, 1, 0), Matrix(y, 0, COLUMNS, 1, 0)
                    directions = Matrix(packed, at, 1, COLUMNS, 0)
                    product_of_columns(numbers, directions, zeros, result, rows, used, COLUMNS)
                stop = min(start + COLUMNS, span_stop)
                centre, spread = mean[start:stop], sigma[start:stop]
                for r in range(rows):
                    z, rest = out[top + r, start:stop], y[r * COLUMNS :]
                    for c in range(len(z)):
                        z[c] = centre[c] + spread[c] * (alpha * z[c] + rest[c])


@kernel
def weighted_noise(key, ids, weights, out, lo, hi):
    """Sum weights[r] z_r over rows r into groups [lo, hi) of COLUMNS columns of `out` (n,) float64.

    z_r are the normal deviates of row ids[r], drawn again; sums are added in the order of rows.
    """
    deviates = group_of(np.float64)
    for group in range(lo, hi):
        sums = out[group * COLUMNS : min((group + 1) * COLUMNS, len(out))]
        sums[:] = 0.0
        for r in range(len(weights)):
            w = weights[r]
            if w != 0.0:
                normals(key, ids[r], group, NOISE, deviates)
                for i in range(len(sums)):
                    sums[i] += w * deviates[i]


@kernel
def follow(M, step, decays, gains, lo, hi):
    """Move direction vectors j in [lo, hi), in place: m_j = decays[j] m_j + gains[j] step.

    Then decays[j] is 1 and gains[j] is 0, so that a second call, for example after Ctrl-C, changes
    nothing.
    """
    for j in range(lo, hi):
        row, decay, gain = M[j], decays[j], gains[j]
        for c in range(len(row)):
            row[c] = decay * row[c] + gain * step[c]
        decays[j], gains[j] = 1.0, 0.0


@inline
def _dot(x, y, sums):
    """Return x^T y in float64; `sums` (SUMS,) is working memory."""
    whole = len(x) // SUMS
    sums[:] = 0.0
    for k in range(whole):
        left, right = x[k * SUMS : (k + 1) * SUMS], y[k * SUMS : (k + 1) * SUMS]
        for i in range(len(sums)):
            sums[i] += left[i] * right[i]
    left, right = x[whole * SUMS :], y[whole * SUMS :]
    for i in range(len(left)):
        sums[i] += left[i] * right[i]
    total = 0.0
    for i in range(SUMS):
        total += sums[i]
    return total


@kernel
def whiten(M, rates, rows, lo, hi):
    """Turn rows [lo, hi) of `rows` (k, n) float64 from d into z, by the inverse of each map.

    Sherman and Morrison: (a I + c m m^T)^-1 = (I - c m m^T / (a + c m^T m)) / a, where a = 1 - c
    and `rates` (used,) are the c.
    """
    sums = np.zeros(SUMS)
    for r in range(lo, hi):
        d = rows[r]
        for k in range(len(rates)):
            j = len(rates) - 1 - k
            m, c = M[j], rates[j]
            share = c * _dot(m, d, sums) / (1.0 - c + c * _dot(m, m, sums))
            for i in range(len(d)):
                d[i] = (d[i] - share * m[i]) / (1.0 - c)
