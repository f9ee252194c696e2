"""Children of a genetic algorithm, as in `cpu.genetic`; a thread makes four columns of a row."""

import functools
from typing import Any

import numpy as np
from numba import cuda
from numpy.typing import DTypeLike

from evoopt.kernels.cuda.emit.intrinsics import make_quad, normals_of, words
from evoopt.kernels.cuda.population.noise import PER_BLOCK, THREADS
from evoopt.kernels.cuda.runtime.jit import kernel, name_of
from evoopt.rules.genetic import (
    ARITHMETIC,
    POLYNOMIAL,
    SBX,
    TENSOR,
    UNIFORM,
    polynomial_steps,
    spread_factors,
)
from evoopt.rules.philox import COLUMNS, CROSSOVER, LANES, MUTATION, PLACES

_HIGHEST = np.uint32(1 << 31)


@functools.cache
def breed(dtype: DTypeLike, crossover: int, mutation: int, always: bool) -> Any:
    """Make ``kernel(key, ids, parents, pool, factors, sigma, ends, threshold, limit, out)``.

    The kernel's arguments are as in `cpu.genetic`; `crossover` and `mutation` are codes of
    `rules.genetic`. With `always`, for a threshold of ALWAYS, every coordinate mutates. The step
    sizes are `factors` (k,) times `sigma` (n,), both float64; `parents` are (k, 2) int64. The items
    are columns and rows (n, k).
    """
    real: Any = np.dtype(dtype).type
    deviates_of = make_quad(polynomial_steps, dtype) if mutation == POLYNOMIAL else normals_of(dtype)
    spreads_of = make_quad(spread_factors, dtype)
    half = real(0.5)

    @kernel(THREADS, PER_BLOCK, name=name_of(real, crossover, mutation, always))
    def children(key, ids, parents, pool, factors, sigma, ends, threshold, limit, out):
        n = out.shape[1]
        key = np.uint64(key)
        quad = cuda.blockIdx.x * THREADS + cuda.threadIdx.x
        first = quad // LANES * COLUMNS + quad % LANES
        if first >= n:
            return
        r = cuda.blockIdx.y
        while r < out.shape[0]:
            row, pair, place = ids[r], ids[r] >> np.uint64(1), np.uint64(quad)
            a, b, scale = parents[r, 0], parents[r, 1], real(factors[r])
            deviates = deviates_of(key, row, place, np.uint64(MUTATION))
            drawn = words(key, row, place, np.uint64(PLACES))
            chosen = words(key, pair, place, np.uint64(CROSSOVER))
            spreads = spreads_of(key, pair, place, np.uint64(CROSSOVER))
            share = real(words(key, pair, np.uint64(0), np.uint64(CROSSOVER))[0]) * real(2.0**-32)
            for i in range(4):
                c = first + i * LANES
                if c < n:
                    x, other, spread = pool[a, c], pool[b, c], spreads[i]
                    if crossover == UNIFORM:
                        x = other if chosen[i] >= _HIGHEST else x
                    elif crossover == SBX:
                        mixed = half * (x + other) + half * spread * (x - other)
                        x = x if spread == 0 else mixed
                    elif crossover == ARITHMETIC:
                        x = other + share * (x - other)
                    elif crossover == TENSOR:
                        tensor = 0
                        while ends[tensor] <= c:
                            tensor += 1
                        at = tensor // COLUMNS * LANES + tensor % LANES
                        four = words(key, pair, np.uint64(at), np.uint64(CROSSOVER))
                        x = other if four[tensor % COLUMNS // LANES] >= _HIGHEST else x
                    moves = always or np.uint64(drawn[i]) < threshold
                    x = x + (scale * real(sigma[c]) * deviates[i] if moves else real(0))
                    x = x if x < limit else limit
                    out[r, c] = x if x > -limit else -limit
            r += cuda.gridDim.y

    return children
