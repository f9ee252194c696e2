"""Children of a genetic algorithm, those of `cpu.genetic.breed`: a thread for four columns of a row."""

import functools
from typing import Any

import numpy as np
from numba import cuda
from numpy.typing import DTypeLike

from evoopt.kernels.cuda.emit.intrinsics import make_block, normals_of, words
from evoopt.kernels.cuda.population.noise import THREADS
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
    """Make ``kernel(key, ids, parents, pool, steps, sigma, ends, threshold, limit, out)``, see `cpu.genetic`.

    `crossover` and `mutation` are codes from there; with `always`, a threshold of ALWAYS, every coordinate
    mutates. `steps` (k,) and `sigma` (n,) are float64, `parents` (k, 2) int64; the grid is `noise.grid_of`.
    """
    real: Any = np.dtype(dtype).type
    deviates_of = make_block(polynomial_steps, dtype) if mutation == POLYNOMIAL else normals_of(dtype)
    factors_of = make_block(spread_factors, dtype)
    half = real(0.5)

    @kernel(THREADS, name=name_of(real, crossover, mutation, always))
    def children(key, ids, parents, pool, steps, sigma, ends, threshold, limit, out):
        n = out.shape[1]
        key = np.uint64(key)
        block = cuda.blockIdx.x * THREADS + cuda.threadIdx.x
        first = block // LANES * COLUMNS + block % LANES
        if first >= n:
            return
        r = cuda.blockIdx.y
        while r < out.shape[0]:
            row, pair, place = ids[r], ids[r] >> np.uint64(1), np.uint64(block)
            a, b, step = parents[r, 0], parents[r, 1], real(steps[r])
            deviates = deviates_of(key, row, place, np.uint64(MUTATION))
            drawn = words(key, row, place, np.uint64(PLACES))
            chosen = words(key, pair, place, np.uint64(CROSSOVER))
            factors = factors_of(key, pair, place, np.uint64(CROSSOVER))
            share = real(words(key, pair, np.uint64(0), np.uint64(CROSSOVER))[0]) * real(2.0**-32)
            for i in range(4):
                c = first + i * LANES
                if c < n:
                    x, other, factor = pool[a, c], pool[b, c], factors[i]
                    if crossover == UNIFORM:
                        x = other if chosen[i] >= _HIGHEST else x
                    elif crossover == SBX:
                        mixed = half * (x + other) + half * factor * (x - other)
                        x = x if factor == 0 else mixed
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
                    x = x + (step * real(sigma[c]) * deviates[i] if moves else real(0))
                    x = x if x < limit else limit
                    out[r, c] = x if x > -limit else -limit
            r += cuda.gridDim.y

    return children
