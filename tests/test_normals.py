"""10^8 normal deviates in float32: their distribution and their independence."""

import math

import llvmlite.binding as llvm
import numba
import numpy as np
import pytest
from helpers import JIT_DISABLED
from scipy.special import ndtr
from scipy.stats import poisson

from evoopt import threads
from evoopt.kernels.cpu.population.noise import sample_rows

ROWS, COLUMNS, BLOCKS = 1000, 10_000, 10
COUNT = ROWS * COLUMNS * BLOCKS
RANGE, BINS = 7.0, 2**16  # all deviates are within 6.76 sigma
KEYS = np.array([1, 2], np.uint64)
LAGS = ((0, 1), (0, 2), (0, 16), (0, 32), (0, 64), (1, 0), (2, 0), (1, 1), (1, 16))  # (rows, columns)
ANOTHER_KEY = (0, 0)

pytestmark = pytest.mark.skipif(JIT_DISABLED, reason="10^8 deviates")


@numba.njit(fastmath={"contract", "reassoc"})
def count(z, histogram, powers):
    """Add deviates to a histogram over (-RANGE, RANGE), and to the sums of the powers 1 to 4."""
    for row in z:
        first = second = third = fourth = 0.0
        for i in range(len(row)):
            x = np.float64(row[i])
            histogram[int((x + RANGE) * (BINS / (2 * RANGE)))] += 1
            first += x
            second += x * x
            third += x * x * x
            fourth += x * x * x * x
        powers += np.array([first, second, third, fourth])


@numba.njit(fastmath={"contract", "reassoc"})
def correlate(z, other):
    """Return sums of z z' and of (z^2 - 1) (z'^2 - 1) / 2, with mean 0 and variance 1 per pair."""
    plain = squares = 0.0
    for r in range(len(z)):
        for i in range(z.shape[1]):
            x, y = np.float64(z[r, i]), np.float64(other[r, i])
            plain += x * y
            squares += (x * x - 1) * (y * y - 1) / 2
    return plain, squares


@pytest.fixture(scope="module")
def found():
    """Return a histogram, sums of powers, and sums of products at each lag and with another key."""
    histogram, powers = np.zeros(BINS, np.int64), np.zeros(4)
    products = {lag: np.zeros(3) for lag in (*LAGS, ANOTHER_KEY)}
    population = np.empty((2, ROWS, COLUMNS), np.float32)
    zero, one = np.zeros(COLUMNS, np.float32), np.ones(COLUMNS, np.float32)
    for block in range(BLOCKS):
        ids = np.arange(block * ROWS, (block + 1) * ROWS, dtype=np.uint64)
        for key, z in zip(KEYS, population, strict=True):
            threads.run(sample_rows, ROWS, key, ids, zero, one, z, 0)
        z, other = population
        count(z, histogram, powers)
        for (row, column), sums in products.items():
            later = other if (row, column) == ANOTHER_KEY else z
            pairs = z[: ROWS - row, : COLUMNS - column], later[row:, column:]
            sums += [*correlate(*pairs), pairs[0].size]
    return histogram, powers, products


def test_kolmogorov_smirnov(found):
    histogram, _, _ = found
    edges = np.linspace(-RANGE, RANGE, BINS + 1)[1:]
    distance = np.abs(np.cumsum(histogram) / COUNT - ndtr(edges)).max()
    assert math.sqrt(COUNT) * distance < 1.63  # p = 0.01


def test_moments(found):
    _, powers, _ = found
    deviations = (powers / COUNT - [0, 1, 0, 3]) * np.sqrt(COUNT / np.array([1, 2, 15, 96]))
    assert np.abs(deviations).max() < 3.5


@pytest.mark.parametrize("sigma", [4, 5, 6])
def test_tails(found, sigma):
    histogram, _, _ = found
    edges = np.linspace(-RANGE, RANGE, BINS + 1)
    for side, cut in (
        (histogram[edges[1:] <= -sigma], edges[edges <= -sigma][-1]),
        (histogram[edges[:-1] >= sigma], -edges[edges >= sigma][0]),
    ):
        expected = COUNT * ndtr(cut)
        assert poisson.cdf(side.sum(), expected) > 0.001
        assert poisson.sf(side.sum() - 1, expected) > 0.001


@pytest.mark.parametrize("lag", [*LAGS, ANOTHER_KEY])
def test_correlations(found, lag):
    *sums, pairs = found[2][lag]
    deviations = np.array(sums) / math.sqrt(pairs)
    assert np.abs(deviations).max() < 4


SAMPLE = """
import hashlib
import numpy as np
from evoopt.kernels.cpu.population.noise import sample_rows
from evoopt.kernels.cpu.emit.vectors import host_vectors
digest = hashlib.sha256()
for dtype in (np.float32, np.float64):
    out, ids = np.empty((3, 5000), dtype), np.arange(3, dtype=np.uint64)
    sample_rows(np.uint64(1), ids, np.zeros(5000, dtype), np.ones(5000, dtype), out, 0, 0, 3)
    digest.update(out.tobytes())
print(host_vectors().bytes, digest.hexdigest())
"""


def test_narrower_vectors_give_the_same_bits(run_python):
    host = llvm.get_host_cpu_features()
    if not (host.get("avx512f") and host.get("fma")):
        pytest.skip("needs two widths of vectors with the same instructions")
    wide = ("avx512", "avx10", "amx")
    features = ",".join(f"{'-+'[on and not name.startswith(wide)]}{name}" for name, on in host.items())
    narrow = {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": features}
    ours, theirs = run_python(SAMPLE).split(), run_python(SAMPLE, **narrow).split()
    assert (ours[0], theirs[0]) == ("64", "32")
    assert ours[1] == theirs[1]
