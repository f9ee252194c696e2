"""Children of a genetic algorithm: each a function of the seed, its number and the pool of parents."""

import math

import numpy as np

from evoopt.kernels.cpu.groups import make_fill, normals, words
from evoopt.kernels.jit import inline, kernel
from evoopt.kernels.philox import CHOICE, COLUMNS, CROSSOVER, LANES, MUTATION, STEP, minus_two_log, polynomial

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
def choose_uniformly(key, ids, pool_size, parents, lo, hi):
    """Write the parents of children [lo, hi) into `parents` (k,): places in the pool, all equally likely."""
    word_buffer = np.empty((4, LANES), np.uint32)
    for r in range(lo, hi):
        words(key, ids[r], 0, CHOICE, word_buffer)
        parents[r] = np.int64((np.uint64(word_buffer[0, 0]) * np.uint64(pool_size)) >> np.uint64(32))


@kernel
def child_steps(key, ids, parents, pool_steps, rate, out, lo, hi):
    """Write steps of children [lo, hi) into `out` (k,): the parents' geometric mean * exp(rate N(0, 1))."""
    deviates = np.zeros((4, LANES))
    for r in range(lo, hi):
        normals(key, ids[r], 0, STEP, deviates)
        mean = math.sqrt(pool_steps[parents[r, 0]]) * math.sqrt(pool_steps[parents[r, 1]])
        out[r] = mean * math.exp(rate * deviates[0, 0])


# exp(x) for |x| <= log(2^31) / 64, as long as half a unit in the last place asks for
_EXP = {
    4: tuple(1 / math.factorial(k) for k in range(6, -1, -1)),
    8: tuple(1 / math.factorial(k) for k in range(12, -1, -1)),
}


def _spread_factors(words, dtype):
    """Beta of simulated binary crossover with distribution index 15 where the highest bit is set, else 0.

    With u in (0, 1) from the other bits it is (2 u)^(1/16) below 1/2, and (2 - 2 u)^(-1/16) above.
    """
    factors = []
    for word in words:
        above, rest = (word << 1).view(np.int32) < 0, word.view(np.int32) & 0x3FFFFFFF
        t = np.where(above, rest ^ 0x3FFFFFFF, rest).astype(dtype) * 2.0**-30 + 2.0**-31
        quarter = minus_two_log(t) * (1 / 128)
        root = polynomial(np.where(above, quarter, -quarter), _EXP[t.dtype.itemsize])
        square = root * root
        factors.append(np.where(word.view(np.int32) < 0, square * square, 0.0))
    return factors


_fill_spread_factors = make_fill(_spread_factors)


@inline
def _exchange(chosen, x, other):
    """Exchange coordinates, all (COLUMNS,), where the highest bit is set."""
    for i in range(COLUMNS):
        mine, others = x[i], other[i]  # both always: what is loaded in a branch is not vectorized
        x[i] = others if np.int32(chosen[i]) < 0 else mine


@inline
def _mix(beta, x, other):
    """Mix coordinates, all (COLUMNS,), where beta is not 0."""
    half = type(x[0])(0.5)
    for i in range(COLUMNS):
        mine, others, factor = x[i], other[i], beta[i]
        mixed = half * (mine + others) + half * factor * (mine - others)
        x[i] = mine if factor == 0 else mixed


@kernel
def breed(key, ids, parents, pool, steps, sigma, crossover, limit, out, lo, hi):
    """Write children [lo, hi) into `out` (k, n): crossover of two rows of `pool` (size, n), then mutation.

    Siblings share the numbers of the crossover and are complementary. Each coordinate moves by steps[r] *
    sigma * N(0, 1), at most to `limit` or -`limit`, so that no family grows to infinity; `sigma` is (n,).
    """
    n = pool.shape[1]
    word_buffer = np.empty((4, LANES), np.uint32)
    deviates, factors = np.zeros((4, LANES), out.dtype), np.zeros((4, LANES), out.dtype)
    chosen, flat, beta = word_buffer.reshape(COLUMNS), deviates.reshape(COLUMNS), factors.reshape(COLUMNS)
    x, other = np.zeros(COLUMNS, out.dtype), np.zeros(COLUMNS, out.dtype)
    for r in range(lo, hi):
        a, b, step, pair = parents[r, 0], parents[r, 1], steps[r], ids[r] >> np.uint64(1)
        for group in range((n + COLUMNS - 1) // COLUMNS):
            start = group * COLUMNS
            count = min(COLUMNS, n - start)
            for i in range(count):
                x[i], other[i] = pool[a, start + i], pool[b, start + i]
            if crossover == UNIFORM:
                words(key, pair, group, CROSSOVER, word_buffer)
                _exchange(chosen, x, other)
            elif crossover == SBX:
                _fill_spread_factors(key, pair, np.uint64(group), np.uint64(CROSSOVER), factors)
                _mix(beta, x, other)
            normals(key, ids[r], group, MUTATION, deviates)
            for i in range(count):
                child = x[i] + step * sigma[start + i] * flat[i]
                child = child if child < limit else limit
                out[r, start + i] = child if child > -limit else -limit
