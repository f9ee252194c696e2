"""The LLVM code of CUDA's register tiles, compiled for the host."""

import numba
import numpy as np
import pytest
from helpers import JIT_DISABLED, SIMULATED

pytest.importorskip("numba_cuda", reason="the package numba-cuda is not installed")

from evoopt.kernels.cuda.emit.register_tile import make_register_tile
from evoopt.kernels.cuda.networks.dense import REGISTER_TILES

pytestmark = pytest.mark.skipif(JIT_DISABLED or SIMULATED, reason="nothing is compiled")
SAMPLES = 32


def aligned(shape, rng):
    """Return random numbers at a multiple of 16 bytes, the alignment of all device arrays."""
    size = int(np.prod(shape))
    buffer = np.empty(size + 4, np.float32)
    start = -buffer.ctypes.data // 4 % 4
    buffer[start : start + size] = rng.normal(size=size)
    return buffer[start : start + size].reshape(shape)


@pytest.mark.parametrize(("n_samples", "n_units"), REGISTER_TILES)
@pytest.mark.parametrize(("n_in", "width", "skip"), [(1, 1, 0), (2, 2, 0), (7, 4, 1)])
def test_a_register_tile_is_a_product_of_matrices(n_samples, n_units, n_in, width, skip, rng):
    width, skip = min(width, n_units), min(skip, n_units - 1)
    units, unit, column = 3 * n_units, n_units, 2 * n_samples if n_samples < 8 else 4
    tile = make_register_tile(n_in, n_samples, n_units, SAMPLES // 2, width)
    start, multiply_add, store = tile.start, tile.multiply_add, tile.store

    @numba.njit
    def run(bias, weights, x, out):
        total = start(bias, unit)
        total = multiply_add(total, weights, unit, units, x, column, SAMPLES)
        store(total, out, unit * SAMPLES + column, SAMPLES, skip)

    bias, weights, x = aligned(units, rng), aligned((n_in, units), rng), aligned((n_in, SAMPLES), rng)
    out, expected = aligned((units, SAMPLES), rng), np.full((units, SAMPLES), np.nan)
    out[:] = np.nan
    run(bias, weights.ravel(), x.ravel(), out.reshape(-1))
    columns = [column + s if s < 4 else SAMPLES // 2 + column + s - 4 for s in range(n_samples)]
    sums = weights.T.astype(float) @ x + bias[:, None]
    written = slice(unit + skip, unit + n_units)
    expected[written, columns] = sums[written, columns]
    np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-5)
