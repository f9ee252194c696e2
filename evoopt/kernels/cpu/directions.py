"""The loops of LM-MA-ES: products of maps (1 - c_j) I + c_j m_j m_j^T, one for each direction vector m_j.

A product of such maps leaves z within the span of itself and the direction vectors: d = alpha z + sum_j b_j m_j.
The coefficients b follow from the products m_j^T z and from the Gram matrix of the direction vectors, so that a
row takes two passes over columns that stay in cache, and no memory but its place in the population.
"""

import numpy as np

from evoopt.kernels.jit import inline, kernel
from evoopt.kernels.philox import COLUMNS, LANES, NOISE, normals

CHUNK = 16 * COLUMNS  # columns: what all direction vectors have there stays in the second-level cache
ROWS = 64  # rows of an item of work
SUMS = 32  # partial sums of a product, which keep their order when they are vectorized


@inline
def _dot(x, y, sums):
    """Return x^T y, `sums` (SUMS,) is working memory."""
    n = len(x)
    whole = n // SUMS * SUMS
    sums[:] = 0
    for start in range(0, whole, SUMS):
        for i in range(SUMS):
            sums[i] += x[start + i] * y[start + i]
    for i in range(n - whole):
        sums[i] += x[whole + i] * y[whole + i]
    total = 0.0
    for i in range(SUMS):
        total += sums[i]
    return total


@inline
def _cut(item, rows, n):
    """Return the chunk of an item of work, and its first and last column and row."""
    blocks = (rows + ROWS - 1) // ROWS
    chunk, block = item // blocks, item % blocks
    return chunk, chunk * CHUNK, min((chunk + 1) * CHUNK, n), block * ROWS, min((block + 1) * ROWS, rows)


@kernel
def project(key, ids, M, used, out, products, lo, hi):
    """Write the normal deviates z of rows ids[r] into `out` (k, n), and their products with directions.

    products[chunk, r, j] is the part of m_j^T z that the columns of the chunk give, for j below `used`. Items
    [lo, hi) of work are pairs of a chunk and ROWS rows.
    """
    k, n = out.shape
    word_buffer = np.empty((4, LANES), np.uint32)
    deviates = np.zeros((4, LANES), out.dtype)
    flat = deviates.reshape(COLUMNS)
    sums = np.zeros(SUMS, out.dtype)
    for item in range(lo, hi):
        chunk, start, stop, first, last = _cut(item, k, n)
        for r in range(first, last):
            for group in range(start // COLUMNS, (stop + COLUMNS - 1) // COLUMNS):
                normals(key, ids[r], group, NOISE, word_buffer, deviates)
                left = out[r, group * COLUMNS : stop]
                for i in range(min(COLUMNS, len(left))):
                    left[i] = flat[i]
            for j in range(used):
                products[chunk, r, j] = _dot(out[r, start:stop], M[j, start:stop], sums)


@kernel
def coefficients(products, gram, rates, out, lo, hi):
    """Write b_j of rows [lo, hi) into `out` (k, used); `rates` (used,) are the c_j, `gram` (used, used)."""
    chunks, _, used = products.shape
    b = np.zeros(used)
    for r in range(lo, hi):
        alpha = 1.0
        for j in range(used):
            product = 0.0
            for chunk in range(chunks):
                product += products[chunk, r, j]
            product *= alpha
            for i in range(j):
                product += b[i] * gram[j, i]
                b[i] *= 1.0 - rates[j]
            alpha *= 1.0 - rates[j]
            b[j] = rates[j] * product
        for j in range(used):
            out[r, j] = b[j]


@kernel
def combine(mean, sigma, M, alpha, b, out, lo, hi):
    """Turn `out` (k, n) from z into mean + sigma * (alpha z + b M); items [lo, hi) as in `project`."""
    k, n = out.shape
    used = b.shape[1]
    for item in range(lo, hi):
        _, start, stop, first, last = _cut(item, k, n)
        centre, spread = mean[start:stop], sigma[start:stop]
        for r in range(first, last):
            d = out[r, start:stop]
            for c in range(len(d)):
                d[c] *= alpha
            whole = used // 4 * 4
            for j in range(0, whole, 4):
                b0, b1, b2, b3 = b[r, j], b[r, j + 1], b[r, j + 2], b[r, j + 3]
                m0, m1, m2, m3 = (
                    M[j, start:stop],
                    M[j + 1, start:stop],
                    M[j + 2, start:stop],
                    M[j + 3, start:stop],
                )
                for c in range(len(d)):
                    d[c] += b0 * m0[c] + b1 * m1[c] + (b2 * m2[c] + b3 * m3[c])
            for j in range(whole, used):
                rest = M[j, start:stop]
                for c in range(len(d)):
                    d[c] += b[r, j] * rest[c]
            for c in range(len(d)):
                d[c] = centre[c] + spread[c] * d[c]


@kernel
def gram_parts(M, used, out, lo, hi):
    """Write what the columns of chunks [lo, hi) give to m_j^T m_i into `out` (chunks, used, used), i <= j."""
    n = M.shape[1]
    sums = np.zeros(SUMS, M.dtype)
    for chunk in range(lo, hi):
        start, stop = chunk * CHUNK, min((chunk + 1) * CHUNK, n)
        for j in range(used):
            for i in range(j + 1):
                out[chunk, j, i] = _dot(M[j, start:stop], M[i, start:stop], sums)
            out[chunk, j, j + 1 :] = 0.0


@kernel
def follow(M, step, decays, gains, lo, hi):
    """Move direction vectors j in [lo, hi), in place: m_j = decays[j] m_j + gains[j] step.

    Then decays[j] is 1 and gains[j] is 0: whoever does it again, after Ctrl-C say, changes nothing.
    """
    for j in range(lo, hi):
        row, decay, gain = M[j], decays[j], gains[j]
        for c in range(len(row)):
            row[c] = decay * row[c] + gain * step[c]
        decays[j], gains[j] = 1.0, 0.0


@kernel
def whiten(M, rates, rows, lo, hi):
    """Turn d into z, rows [lo, hi) of `rows` (k, n) float64 in place, by the inverse of each map.

    Of Sherman and Morrison: (a I + c m m^T)^-1 = (I - c m m^T / (a + c m^T m)) / a. `rates` (used,) are the c.
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
