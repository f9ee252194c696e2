"""Rows of a population from counter-based noise; a thread makes four deviates of a row at once.

The four are a *quad*, made of one counter of Philox; they lie LANES columns apart.
"""

import functools
from typing import Any

import numpy as np
from numba import cuda
from numpy.typing import DTypeLike

from evoopt.kernels.cuda.emit.intrinsics import normals_of
from evoopt.kernels.cuda.runtime.jit import kernel, name_of
from evoopt.kernels.cuda.runtime.sizes import block_size
from evoopt.rules.philox import COLUMNS, LANES, NOISE

THREADS = max(LANES, block_size(128))  # whole groups of LANES
PER_BLOCK = THREADS // LANES * COLUMNS, 1  # columns and rows


@functools.cache
def sample_rows(dtype: DTypeLike, pairs: bool = False) -> Any:
    """Make ``kernel(key, ids, mean, sigma, out)``, whose items are columns and rows (n, k).

    It writes mean + sigma * normal deviates into `out` (k, n) of the dtype; `mean` and `sigma` are
    (n,) float64, `ids` (k,) uint64. With `pairs`, rows 2i + 1 have the noise of rows 2i, negated.
    """
    normals = normals_of(dtype)
    real: Any = np.dtype(dtype).type

    @kernel(THREADS, PER_BLOCK, name=name_of(real, pairs))
    def sample(key, ids, mean, sigma, out):
        n = out.shape[1]
        r = cuda.blockIdx.y
        quad = cuda.blockIdx.x * THREADS + cuda.threadIdx.x
        first = quad // LANES * COLUMNS + quad % LANES  # the first of its columns
        if first >= n:
            return
        while r < out.shape[0]:
            row, sign = ids[r], real(1)
            if pairs:
                sign = real(1) - real(2) * real(row & np.uint64(1))
                row = row >> np.uint64(1) << np.uint64(1)
            deviates = normals(np.uint64(key), row, np.uint64(quad), np.uint64(NOISE))
            for place in range(4):
                c = first + place * LANES
                if c < n:
                    out[r, c] = real(mean[c]) + sign * (real(sigma[c]) * deviates[place])
            r += cuda.gridDim.y

    return sample
