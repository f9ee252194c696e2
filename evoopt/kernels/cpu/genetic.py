"""Children of a genetic algorithm: each a function of the seed, its number and the pool of parents."""

import math

import numpy as np

from evoopt.kernels.jit import inline, kernel
from evoopt.kernels.philox import CHOICE, COLUMNS, CROSSOVER, LANES, MUTATION, normals, words

STEP = MUTATION + 1  # the purpose of the deviates that change step sizes
CLONE, UNIFORM, SBX = range(3)


@inline
def _winner(key, pair, parent, tournament, pool_size, word_buffer):
    """First of `tournament` members of the pool, drawn with replacement: the best, as the pool is sorted."""
    words(key, pair, parent, CHOICE, word_buffer)
    flat = word_buffer.reshape(COLUMNS)
    best = pool_size - 1
    for i in range(tournament):
        best = min(best, np.int64((np.uint64(flat[i]) * np.uint64(pool_size)) >> np.uint64(32)))
    return best


@inline
def _spread_factor(u):
    """Beta of simulated binary crossover with distribution index 15 for u in (0, 1); roots make x^(1/16)."""
    ratio = u + u if u <= type(u)(0.5) else type(u)(0.5) / (type(u)(1) - u)
    return np.sqrt(np.sqrt(np.sqrt(np.sqrt(ratio))))


@kernel
def child_steps(key, ids, pool_steps, tournament, rate, out, lo, hi):
    """Write steps of children [lo, hi) into `out` (k,): the parents' geometric mean * exp(rate N(0, 1))."""
    word_buffer = np.empty((4, LANES), np.uint32)
    deviates = np.zeros((4, LANES))
    for r in range(lo, hi):
        pair = ids[r] >> np.uint64(1)
        a = _winner(key, pair, 0, tournament, len(pool_steps), word_buffer)
        b = _winner(key, pair, 1, tournament, len(pool_steps), word_buffer)
        normals(key, ids[r], 0, STEP, word_buffer, deviates)
        out[r] = math.sqrt(pool_steps[a]) * math.sqrt(pool_steps[b]) * math.exp(rate * deviates[0, 0])


@kernel
def breed(key, ids, pool, steps, sigma, tournament, crossover, out, lo, hi):
    """Write children [lo, hi) into `out` (k, n).

    Parents come from `pool` (size, n), best first, by tournament. Siblings 2k and 2k + 1 share parents and
    crossover numbers and are complementary. Then each coordinate moves by steps[r] * sigma * N(0, 1); `sigma`
    is (n,).
    """
    n = pool.shape[1]
    word_buffer = np.empty((4, LANES), np.uint32)
    flat_words = word_buffer.reshape(COLUMNS)
    deviates = np.zeros((4, LANES), out.dtype)
    flat = deviates.reshape(COLUMNS)
    for r in range(lo, hi):
        pair, second = ids[r] >> np.uint64(1), ids[r] & np.uint64(1)
        a = _winner(key, pair, 0, tournament, len(pool), word_buffer)
        b = _winner(key, pair, 1, tournament, len(pool), word_buffer)
        if second:
            a, b = b, a
        step = steps[r]
        for group in range((n + COLUMNS - 1) // COLUMNS):
            normals(key, ids[r], group, MUTATION, word_buffer, deviates)
            words(key, pair, group, CROSSOVER, word_buffer)
            start = group * COLUMNS
            for c in range(start, min(start + COLUMNS, n)):
                word = flat_words[c - start]
                x, other = pool[a, c], pool[b, c]
                if crossover == UNIFORM:
                    x = other if word >> np.uint32(31) else x
                elif crossover == SBX:
                    u = type(x)(np.int32(word & np.uint32(0x7FFFFFFF))) * type(x)(2.0**-31) + type(x)(
                        2.0**-32
                    )
                    beta = _spread_factor(u)
                    half = type(x)(0.5)
                    mixed = half * (x + other) + half * beta * (x - other)
                    x = mixed if word >> np.uint32(31) else x
                out[r, c] = x + step * sigma[c] * flat[c - start]
