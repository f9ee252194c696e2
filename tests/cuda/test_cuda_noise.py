"""Noise: the same integers as on the CPU, and the same normal deviates up to rounding."""

import numpy as np
import pytest
from numba import cuda

from evoopt.kernels.cpu.population.noise import sample_pairs as cpu_pairs
from evoopt.kernels.cpu.population.noise import sample_rows as cpu_rows
from evoopt.kernels.cuda.emit.intrinsics import words
from evoopt.kernels.cuda.population.noise import sample_rows
from evoopt.kernels.cuda.runtime.jit import kernel
from evoopt.kernels.cuda.runtime.stream import Stream
from evoopt.rules.philox import block_words

KEY = np.uint64(0x123456789ABCDEF)


def test_words_are_those_of_the_cpu():
    @kernel(32)
    def write(key, rows, purpose, out):
        four = words(np.uint64(key), rows[cuda.blockIdx.x], np.uint64(cuda.threadIdx.x), np.uint64(purpose))
        for place in range(4):
            out[cuda.blockIdx.x, cuda.threadIdx.x, place] = four[place]

    stream = Stream()
    rows = np.array([0, 7, 2**40 + 3, 2**64 - 2], np.uint64)
    out = stream.to_device(np.zeros((4, 32, 4)), np.uint32)
    stream.launch(write, 4, KEY, stream.to_device(rows, np.uint64), np.uint64(3), out)
    blocks = np.arange(32, dtype=np.uint64)
    expected = [np.stack(block_words(KEY, np.array([row]), blocks, np.uint64(3)), axis=-1) for row in rows]
    np.testing.assert_array_equal(stream.to_host(out), expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("pairs", "on_cpu"), [(False, cpu_rows), (True, cpu_pairs)])
@pytest.mark.parametrize("n", [1, 63, 130])
def test_rows_are_those_of_the_cpu(dtype, pairs, on_cpu, n, rng, poisoned):
    ids = np.array([4, 5, 9, 2**33], np.uint64)
    mean, sigma = rng.normal(size=n), rng.uniform(0.5, 2, n)
    expected = np.empty((4, n), dtype)
    on_cpu(KEY, ids, mean.astype(dtype), sigma.astype(dtype), expected, 0, 0, 4)
    stream, out = Stream(), poisoned((4, n), dtype)
    arguments = stream.to_device(ids, np.uint64), *(stream.to_device(x, float) for x in (mean, sigma))
    stream.launch(sample_rows(dtype, pairs), (n, 4), KEY, *arguments, out)
    rounding = 1e-6 if dtype == np.float32 else 1e-14
    np.testing.assert_allclose(stream.to_host(out), expected, rtol=rounding, atol=rounding)
