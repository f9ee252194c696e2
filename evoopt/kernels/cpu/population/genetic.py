"""Children of a genetic algorithm, which depend on the key, their numbers and the pool alone."""

import math

import numpy as np

from evoopt.compiling.jit import inline, kernel
from evoopt.kernels.cpu.emit.groups import group_of, make_fill, normals, words
from evoopt.rules.genetic import (
    ALWAYS,
    ARITHMETIC,
    POLYNOMIAL,
    SBX,
    TENSOR,
    UNIFORM,
    polynomial_steps,
    spread_factors,
)
from evoopt.rules.philox import (
    CHOICE,
    COLUMNS,
    CROSSOVER,
    MUTATION,
    PLACES,
    STEP,
)


@kernel(allocates=False)
def choose_parents(key, ids, pool_size, tournament, parents, lo, hi):
    """Write the parents of children [lo, hi) into `parents` (k, 2), as places in the pool.

    A parent is the best of `tournament` members drawn with replacement, so the first, because the
    pool is sorted. Siblings 2k and 2k + 1 have the same parents, exchanged.
    """
    drawn = group_of(np.uint32)
    for r in range(lo, hi):
        words(key, ids[r] >> np.uint64(1), 0, CHOICE, drawn)
        second = np.int64(ids[r] & np.uint64(1))
        for parent in range(2):
            best = np.int64(pool_size - 1)
            for i in range(parent * tournament, (parent + 1) * tournament):
                best = min(best, np.int64((np.uint64(drawn[i]) * np.uint64(pool_size)) >> np.uint64(32)))
            parents[r, parent ^ second] = best


@kernel(allocates=False)
def choose_uniformly(key, ids, pool_size, parents, lo, hi):
    """Write a parent of each child [lo, hi) into `parents` (k,): places, all equally likely."""
    drawn = group_of(np.uint32)
    for r in range(lo, hi):
        words(key, ids[r], 0, CHOICE, drawn)
        parents[r] = np.int64((np.uint64(drawn[0]) * np.uint64(pool_size)) >> np.uint64(32))


@kernel(allocates=False)
def child_steps(key, ids, parents, pool_steps, rate, out, lo, hi):
    """Write the step sizes of children [lo, hi) into `out` (k,).

    A step size is the parents' geometric mean * exp(rate N(0, 1)).
    """
    deviates = group_of(np.float64)
    for r in range(lo, hi):
        normals(key, ids[r], 0, STEP, deviates)
        mean = math.sqrt(pool_steps[parents[r, 0]]) * math.sqrt(pool_steps[parents[r, 1]])
        out[r] = mean * math.exp(rate * deviates[0])


_fill_spread_factors = make_fill(spread_factors)


_fill_polynomial_steps = make_fill(polynomial_steps)


@inline
def _exchange(chosen, x, other):
    """Exchange coordinates whose word has its highest bit set; all arrays are (COLUMNS,)."""
    for i in range(COLUMNS):
        mine, others = x[i], other[i]  # always both: a load in a branch is not vectorized
        x[i] = others if np.int32(chosen[i]) < 0 else mine


@inline
def _mix(beta, x, other):
    """Mix coordinates whose beta is not 0; all arrays are (COLUMNS,)."""
    half = type(x[0])(0.5)
    for i in range(COLUMNS):
        mine, others, factor = x[i], other[i], beta[i]
        mixed = half * (mine + others) + half * factor * (mine - others)
        x[i] = mine if factor == 0 else mixed


@inline
def _blend(share, x, other):
    """Move all coordinates (COLUMNS,) to one place between the parents; a sibling mirrors it."""
    for i in range(COLUMNS):
        x[i] = other[i] + share * (x[i] - other[i])


@inline
def _exchange_tensors(key, pair, ends, tensor, start, count, drawn, x, other):
    """Exchange the coordinates of chosen tensors in columns [start, start + count).

    `tensor` is the number of the first column's tensor, `ends` (tensors,) are the columns where
    tensors end. Return the tensor of the column after the last.
    """
    words(key, pair, tensor // COLUMNS, CROSSOVER, drawn)
    i = 0
    while i < count:
        stop = min(ends[tensor] - start, count)
        if np.int32(drawn[tensor % COLUMNS]) < 0:
            for c in range(i, stop):
                x[c] = other[c]
        i = stop
        if ends[tensor] == start + stop:
            tensor += 1
            if tensor % COLUMNS == 0:
                words(key, pair, tensor // COLUMNS, CROSSOVER, drawn)
    return tensor


@inline
def _spare(threshold, drawn, steps):
    """Set steps to 0 whose word is not below the threshold; all arrays are (COLUMNS,)."""
    for i in range(COLUMNS):
        step = steps[i]
        steps[i] = step if np.uint64(drawn[i]) < threshold else type(step)(0)


@kernel(allocates=False)
def breed(key, ids, parents, pool, steps, sigma, variation, limit, out, lo, hi):
    """Write children [lo, hi) into `out` (k, n): crossover of two rows of `pool`, then mutation.

    Siblings share the numbers of the crossover and are complementary. Each coordinate moves by
    steps[r] * sigma * a deviate of variance 1, and is clipped to [-`limit`, `limit`], so that no
    family grows to infinity; `sigma` is (n,). `variation` is (crossover, ends of the tensors,
    mutation, threshold of its rate).
    """
    n, real = pool.shape[1], out.dtype.type
    crossover, ends, mutation, threshold = variation
    drawn, deviates, beta = group_of(np.uint32), group_of(out.dtype), group_of(out.dtype)
    x, other = group_of(out.dtype), group_of(out.dtype)
    for i in range(COLUMNS):  # columns beyond the last are computed, too, and slowly if denormal
        x[i] = other[i] = 0
    for r in range(lo, hi):
        a, b, step, pair = parents[r, 0], parents[r, 1], steps[r], ids[r] >> np.uint64(1)
        tensor, share = 0, real(0)
        if crossover == ARITHMETIC:
            words(key, pair, 0, CROSSOVER, drawn)
            share = real(drawn[0]) * real(2.0**-32)
        for group in range((n + COLUMNS - 1) // COLUMNS):
            start = group * COLUMNS
            count = min(COLUMNS, n - start)
            for i in range(count):
                x[i], other[i] = pool[a, start + i], pool[b, start + i]
            if crossover == UNIFORM:
                words(key, pair, group, CROSSOVER, drawn)
                _exchange(drawn, x, other)
            elif crossover == SBX:
                _fill_spread_factors(key, pair, np.uint64(group), np.uint64(CROSSOVER), beta)
                _mix(beta, x, other)
            elif crossover == ARITHMETIC:
                _blend(share, x, other)
            elif crossover == TENSOR:
                tensor = _exchange_tensors(key, pair, ends, tensor, start, count, drawn, x, other)
            if mutation == POLYNOMIAL:
                _fill_polynomial_steps(key, ids[r], np.uint64(group), np.uint64(MUTATION), deviates)
            else:
                normals(key, ids[r], group, MUTATION, deviates)
            if threshold < ALWAYS:
                words(key, ids[r], group, PLACES, drawn)
                _spare(threshold, drawn, deviates)
            for i in range(count):
                child = x[i] + step * sigma[start + i] * deviates[i]
                child = child if child < limit else limit
                out[r, start + i] = child if child > -limit else -limit
