"""Children of a genetic algorithm: each a function of the seed, its number and the pool of parents."""

import math

import numpy as np

from evoopt.kernels.cpu.normals import normals, words
from evoopt.kernels.jit import inline, kernel
from evoopt.kernels.philox import CHOICE, COLUMNS, CROSSOVER, LANES, MUTATION, STEP

CLONE, UNIFORM, SBX = range(3)
MOST_CONTESTANTS = COLUMNS // 2  # two tournaments share one group of words


@kernel
def choose_parents(key, ids, pool_size, tournament, parents, lo, hi):
    """Write the parents of children [lo, hi) into `parents` (k, 2), as places in the pool.

    Each is the best of `tournament` members drawn with replacement: the first, as the pool is sorted.
    Siblings 2k and 2k + 1 have the same ones, exchanged.
    """
    word_buffer = np.empty((4, LANES), np.uint32)
    flat = word_buffer.reshape(COLUMNS)
    for r in range(lo, hi):
        words(key, ids[r] >> np.uint64(1), 0, CHOICE, word_buffer)
        second = np.int64(ids[r] & np.uint64(1))
        for parent in range(2):
            best = np.int64(pool_size - 1)
            for i in range(parent * tournament, (parent + 1) * tournament):
                best = min(best, np.int64((np.uint64(flat[i]) * np.uint64(pool_size)) >> np.uint64(32)))
            parents[r, parent ^ second] = best


@kernel
def child_steps(key, ids, parents, pool_steps, rate, out, lo, hi):
    """Write steps of children [lo, hi) into `out` (k,): the parents' geometric mean * exp(rate N(0, 1))."""
    word_buffer = np.empty((4, LANES), np.uint32)
    deviates = np.zeros((4, LANES))
    for r in range(lo, hi):
        normals(key, ids[r], 0, STEP, deviates)
        mean = math.sqrt(pool_steps[parents[r, 0]]) * math.sqrt(pool_steps[parents[r, 1]])
        out[r] = mean * math.exp(rate * deviates[0, 0])


@inline
def _spread_factor(u):
    """Beta of simulated binary crossover with distribution index 15 for u in (0, 1); roots make x^(1/16)."""
    real = type(u)
    ratio = (u + u) if u <= real(0.5) else real(0.5) / (real(1) - u)
    return np.sqrt(np.sqrt(np.sqrt(np.sqrt(ratio))))


@inline
def _cross(x, other, flat_words, crossover):
    """Exchange or mix coordinates of `x` and `other`, both (COLUMNS,), where the highest bit is set."""
    if crossover == UNIFORM:
        for i in range(COLUMNS):
            x[i] = other[i] if flat_words[i] >> np.uint32(31) else x[i]
    elif crossover == SBX:
        for i in range(COLUMNS):
            real = type(x[i])
            u = real(np.int32(flat_words[i] & np.uint32(0x7FFFFFFF))) * real(2.0**-31) + real(2.0**-32)
            half = real(0.5)
            mixed = half * (x[i] + other[i]) + half * _spread_factor(u) * (x[i] - other[i])
            x[i] = mixed if flat_words[i] >> np.uint32(31) else x[i]


@kernel
def breed(key, ids, parents, pool, steps, sigma, crossover, limit, out, lo, hi):
    """Write children [lo, hi) into `out` (k, n): crossover of two rows of `pool` (size, n), then mutation.

    Siblings share the numbers of the crossover and are complementary. Each coordinate moves by steps[r] *
    sigma * N(0, 1), at most to `limit` or -`limit`, so that no family grows to infinity; `sigma` is (n,).
    """
    n = pool.shape[1]
    word_buffer = np.empty((4, LANES), np.uint32)
    deviates = np.zeros((4, LANES), out.dtype)
    flat_words, flat = word_buffer.reshape(COLUMNS), deviates.reshape(COLUMNS)
    x, other = np.zeros(COLUMNS, out.dtype), np.zeros(COLUMNS, out.dtype)
    for r in range(lo, hi):
        a, b, step = parents[r, 0], parents[r, 1], steps[r]
        for group in range((n + COLUMNS - 1) // COLUMNS):
            start = group * COLUMNS
            count = min(COLUMNS, n - start)
            normals(key, ids[r], group, MUTATION, deviates)
            for i in range(count):
                x[i], other[i] = pool[a, start + i], pool[b, start + i]
            if crossover != CLONE:
                words(key, ids[r] >> np.uint64(1), group, CROSSOVER, word_buffer)
                _cross(x, other, flat_words, crossover)
            for i in range(count):
                child = x[i] + step * sigma[start + i] * flat[i]
                child = child if child < limit else limit
                out[r, start + i] = child if child > -limit else -limit
