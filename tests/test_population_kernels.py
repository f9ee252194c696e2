"""Kernels of populations against their definitions in reference_population.py."""

import math

import numpy as np
import pytest
import reference_population as reference
from helpers import each_dtype
from helpers.strategies import REGISTERED, make_registered
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from evoopt.compiling.jit import JIT_DISABLED
from evoopt.devices.choose import HOST
from evoopt.kernels.cpu.population import covariance, genetic, small_covariance
from evoopt.kernels.cpu.population.fingerprint import sum_mixed_words
from evoopt.kernels.cpu.population.moments import squared_lengths, weighted_moments
from evoopt.kernels.cpu.population.noise import sample_pairs, sample_rows
from evoopt.kernels.cpu.population.small_covariance import SMALL
from evoopt.rules import genetic as rules
from evoopt.rules.box import WAYS
from evoopt.rules.philox import philox
from evoopt.strategies.contract.bounds import Box

EPSILON = {np.float32: 1e-6, np.float64: 1e-14}
FULL = 2**32 - 1


def rng():
    return np.random.default_rng(0)


def sample(key, ids, n, dtype=np.float64):
    out = np.empty((len(ids), n), dtype)
    ids = np.array(ids, np.uint64)
    sample_rows(np.uint64(key), ids, np.zeros(n, dtype), np.ones(n, dtype), out, 0, 0, len(ids))
    return out


# ---------------------------------------------------------------- random numbers


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [  # the known answers of Random123 (kat_vectors)
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((FULL,) * 4, (FULL,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_philox_gives_the_known_answers(counter, key, expected):
    assert reference.philox(counter, key) == list(expected)
    assert philox(*(np.uint64(word) for word in counter + key)) == expected


@each_dtype
@pytest.mark.parametrize("n", [1, 4, 63, 64, 65, 200])
def test_rows_are_philox_and_box_muller(dtype, n):
    ids, key = [0, 1, 2**32 + 5, 2**64 - 1], 2**63 + 12345
    expected = [reference.normals(key, row, n) for row in ids]
    assert_allclose(sample(key, ids, n, dtype), expected, rtol=5 * EPSILON[dtype], atol=5 * EPSILON[dtype])


def test_mean_and_sigma_are_by_column():
    mean, sigma = np.arange(70.0), np.arange(70.0) + 1
    out, ids = np.empty((3, 70)), np.arange(3, dtype=np.uint64)
    sample_rows(np.uint64(1), ids, mean, sigma, out, 0, 1, 3)
    assert_allclose(out[1:], mean + sigma * sample(1, [1, 2], 70), rtol=1e-14)


@each_dtype
@pytest.mark.parametrize("n", [1, 63, 64, 65, 200])
def test_pairs_have_opposite_noise(dtype, n):
    ids, key = np.array([6, 7, 2**32 + 4, 2, 3, 3, 2, 2**64 - 1], np.uint64), np.uint64(2**63 + 12345)
    mean, sigma = np.linspace(1, 2, n, dtype=dtype), np.linspace(0.1, 0.3, n, dtype=dtype)
    out = np.full((len(ids), n), np.nan, dtype)
    sample_pairs(key, ids, mean, sigma, out, 0, 1, len(ids))
    assert np.isnan(out[0]).all()
    sample_pairs(key, ids, mean, sigma, out, 0, 0, 1)
    z = np.array([(-1) ** (int(i) % 2) * reference.normals(int(key), int(i) & ~1, n) for i in ids])
    assert_allclose(out, mean + sigma * z, rtol=5 * EPSILON[dtype], atol=5 * EPSILON[dtype])
    assert_allclose(out[0] + out[1], 2 * mean, rtol=2 * np.finfo(dtype).eps)
    assert_array_equal(out[3:5], out[[6, 5]])
    ordinary = np.empty_like(out)
    sample_rows(key, ids, mean, sigma, ordinary, 0, 0, len(ids))
    assert_array_equal(out[ids % 2 == 0], ordinary[ids % 2 == 0])


@pytest.mark.skipif(JIT_DISABLED, reason="a million deviates")
def test_deviates_are_normal():
    z = sample(3, range(1000), 1000)
    count = z.size
    assert abs(z.mean()) < 4 / math.sqrt(count)
    assert abs(z.var() - 1) < 4 * math.sqrt(2 / count)
    assert abs((z**3).mean()) < 4 * math.sqrt(15 / count)
    assert abs((z**4).mean() - 3) < 4 * math.sqrt(96 / count)
    assert stats.kstest(z.ravel(), "norm").pvalue > 1e-3
    tail = (abs(z) > 4).sum()  # 63 in a million are expected
    assert 63 - 32 < tail < 63 + 32
    pairs = np.corrcoef(z[:, :40], rowvar=False) - np.eye(40)
    assert abs(pairs).max() < 5 / math.sqrt(1000)
    assert abs(np.corrcoef(z[:40]) - np.eye(40)).max() < 5 / math.sqrt(1000)


@pytest.mark.skipif(JIT_DISABLED, reason="a million deviates")
def test_float32_is_float64_rounded():
    wide, narrow = sample(3, range(1000), 1000), sample(3, range(1000), 1000, np.float32)
    # A radius near 0 comes from a u near 1, of which float32 has 24 bits.
    assert_allclose(narrow, wide, rtol=1e-5, atol=2e-5)
    assert np.median(abs(narrow - wide)) < 5e-8


def test_the_tail_uses_all_bits():
    largest = reference.box_muller(0, 2**29)[0]
    assert largest == pytest.approx(math.sqrt(2 * 33 * math.log(2)))
    assert largest > 6.7


# ---------------------------------------------------------------- fingerprints


@each_dtype
@pytest.mark.parametrize("n", [1, 7, 130])
def test_fingerprints(dtype, n):
    rows = rng().normal(size=(5, n)).astype(dtype)
    out = np.zeros(5, np.uint64)
    sum_mixed_words(rows.view(np.uint32), 0, out, 1, 5)
    assert out.tolist() == [0] + [reference.fingerprint(row) for row in rows[1:]]


def test_fingerprints_tell_small_changes_apart():
    row = rng().normal(size=50).astype(np.float32)
    rows = [row]
    for i in range(50):
        changed = row.copy()
        changed[i] = np.nextafter(changed[i], np.float32(9))
        rows.append(changed)
        if i:
            swapped = row.copy()
            swapped[[0, i]] = swapped[[i, 0]]
            rows.append(swapped)
    rows = np.array([*rows, -row, 0 * row, 0 * row + 1, row[::-1]])
    out = np.empty(len(rows), np.uint64)
    sum_mixed_words(rows.view(np.uint32), 0, out, 0, len(rows))
    assert len(set(out.tolist())) == len(rows)


# ---------------------------------------------------------------- moments


@each_dtype
@pytest.mark.parametrize("shape", [(2, 1), (5, 17), (9, 2100)])
def test_weighted_moments(dtype, shape):
    if JIT_DISABLED:
        shape = (shape[0], min(shape[1], 40))
    population = rng().normal(2.0, 1.0, shape).astype(dtype)
    weights, squares = rng().normal(size=(2, shape[0])).astype(dtype)
    mean = np.full(shape[1], 2, dtype)
    first, second = np.full((2, shape[1]), np.nan, dtype)
    lo = shape[1] // 3
    weighted_moments(population, weights, squares, mean, first, second, lo, shape[1])
    steps = population.astype(np.float64) - 2
    tolerance = {"rtol": 20 * EPSILON[dtype], "atol": 20 * EPSILON[dtype]}
    assert_allclose(first[lo:], (weights @ steps)[lo:], **tolerance)
    assert_allclose(second[lo:], (squares @ steps**2)[lo:], **tolerance)
    assert np.isnan(first[:lo]).all()


@each_dtype
@pytest.mark.parametrize("n", [1, 16, 45])
def test_squared_lengths(dtype, n):
    population = rng().normal(size=(6, n)).astype(dtype)
    mean, scale = rng().normal(size=n), rng().uniform(1, 2, n)
    out = np.full(6, np.nan)
    places = np.array([0, 5, 3, 2, 2, 4])
    squared_lengths(population, places, mean, 1 / scale, out, 1, 6)
    assert_allclose(out[1:], (((population[places] - mean) / scale) ** 2).sum(axis=1)[1:], rtol=1e-12)


# ---------------------------------------------------------------- covariance


SIZES = [(1, "small"), (6, "small"), (SMALL, "small"), (1, "tiles"), (6, "tiles"), (37, "tiles")]


@each_dtype
@pytest.mark.parametrize(("n", "kernels"), [*SIZES, (70, "tiles")])
@pytest.mark.parametrize("triangular", [True, False])
def test_sample_correlated(dtype, n, kernels, triangular):
    mean, scale, root = rng().normal(size=n), rng().uniform(0.5, 2, n), rng().normal(size=(n, n))
    root = np.triu(root) if triangular else root
    ids = np.array([9, 2, 77, 5, 6, 1], np.uint64)
    out = np.full((6, n), np.nan, dtype)
    if kernels == "small":
        sample, options = small_covariance.sample_correlated, (mean, 0.3, scale, root)
    else:
        sample, options = covariance.sample_correlated, (mean, 0.3, scale, root, triangular)
    sample(np.uint64(4), ids, *options, out, 0, 6)
    z = np.array([reference.normals(4, int(row), n) for row in ids])
    assert_allclose(out, mean + 0.3 * scale * (z @ root), rtol=1e-4, atol=10 * EPSILON[dtype])
    for r in range(6):
        alone = np.empty((1, n), dtype)
        sample(np.uint64(4), ids[r : r + 1], *options, alone, 0, 1)
        assert_array_equal(alone[0], out[r])


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6, 7, 12, 33, 70])
def test_cholesky(n):
    factor = rng().normal(size=(n, n))
    C = np.triu(factor @ factor.T + np.eye(n))
    root = np.full((n, n), np.nan)
    assert covariance.cholesky(C, root)
    assert_allclose(root.T, np.linalg.cholesky(C.T), rtol=1e-10, atol=1e-12)
    for wrong in (-1.0, 0.0, np.nan, np.inf):
        C[n - 1, n - 1] = wrong
        assert not covariance.cholesky(C, np.empty((n, n)))


def update_of_cma(population, order, outside, weights, mean, sigma, scale, root, paths, C, constants):
    """Return the result of the tutorial's update, with another root of C."""
    c_sigma, d_sigma, c_c, c_1, c_mu, mueff, expected_length, varied = constants
    p_sigma, p_c = paths
    y = (population[order] - mean) / (sigma * scale)
    z = np.linalg.solve(root.T, y.T).T
    lengths = np.linalg.norm(z, axis=1)
    factor = np.where(outside, np.minimum(1, 2.0 / lengths), 1.0)[:, None]
    y, z, weights = y * factor, z * factor, np.where(outside, np.maximum(weights, 0), weights)
    y_w, z_w = np.maximum(weights, 0) @ y, np.maximum(weights, 0) @ z
    p_sigma = (1 - c_sigma) * p_sigma + math.sqrt(c_sigma * (2 - c_sigma) * mueff) * z_w
    p_c = (1 - c_c) * p_c + math.sqrt(c_c * (2 - c_c) * mueff) * y_w
    shrink = np.where(weights < 0, varied / np.maximum(np.linalg.norm(z, axis=1), 1e-9) ** 2, 1)
    rank_mu = sum(w * np.outer(step, step) for w, step in zip(weights * shrink, y, strict=True))
    C = (1 - c_1 - c_mu * weights.sum()) * C + c_1 * np.outer(p_c, p_c) + c_mu * rank_mu
    step = sigma * math.exp(c_sigma / d_sigma * (np.linalg.norm(p_sigma) / expected_length - 1))
    return mean + sigma * scale * y_w, p_sigma, p_c, step, C


@pytest.mark.parametrize(("n", "kernels"), SIZES)
@pytest.mark.parametrize("some_outside", [False, True])
@each_dtype
def test_the_update_of_cma(dtype, n, kernels, some_outside):
    k, sigma, draw = 7, 0.7, rng()
    population, order = draw.normal(size=(k, n)).astype(dtype), np.array([3, 1, 0, 4, 2, 6, 5])
    mean, scale = draw.normal(size=n), draw.uniform(0.5, 2, n)
    factor = draw.normal(size=(n, n))
    C = factor @ factor.T + np.eye(n)
    root = np.linalg.cholesky(C).T.copy()
    weights = np.array([0.5, 0.3, 0.2, 0.0, -0.2, -0.3, -0.1])
    constants = (0.3, 1.5, 0.2, 0.05, 0.1, 2.5, 1.2, n - 0.5)
    outside = np.array([0, 1, 0, 0, 1, 0, 0], bool) if some_outside else np.zeros(0, bool)
    paths = draw.normal(size=(2, n)) / 5
    new_mean, new_p_sigma, new_p_c = mean.copy(), *paths.copy()
    new_C, new_root = np.full((2, n, n), np.nan)
    first = 0 if some_outside else 4
    learn = small_covariance.learn if kernels == "small" else covariance.learn
    step, definite = learn(
        population, order, outside, first, weights, new_mean, sigma, scale, root, new_p_sigma, new_p_c, 2.0,
        1e9, constants, np.triu(C), new_C, new_root,
    )  # fmt: skip
    is_outside = outside if some_outside else np.zeros(k, bool)
    expected = update_of_cma(
        population, order, is_outside, weights, mean, sigma, scale, root, paths, C, constants
    )
    found = (new_mean, new_p_sigma, new_p_c, step, np.triu(new_C) + np.triu(new_C, 1).T)
    for one, other in zip(found, expected, strict=True):
        assert_allclose(one, other, rtol=1e-7, atol=1e-7 * np.abs(other).max())
    assert definite
    assert not np.tril(new_C, -1).any()
    assert not np.tril(new_root, -1).any()
    assert_allclose(new_root.T @ new_root, expected[-1], rtol=1e-7, atol=1e-7)


# ---------------------------------------------------------------- genetic algorithm


CROSSOVERS = {
    "clone": rules.CLONE,
    "uniform": rules.UNIFORM,
    "sbx": rules.SBX,
    "arithmetic": rules.ARITHMETIC,
    "tensor": rules.TENSOR,
}
MUTATIONS = {"gaussian": rules.GAUSSIAN, "polynomial": rules.POLYNOMIAL}
TENSORS = {
    "few": [3, 61, 1, 64, 0, 41],  # one tensor ends with a group, one is empty
    "many": [1] * 100 + [70],
}


def variation(crossover, tensors=(), mutation="gaussian", rate=1.0):
    threshold = np.uint64(round(rate * rules.ALWAYS))
    return CROSSOVERS[crossover], np.cumsum(tensors, dtype=np.int64), MUTATIONS[mutation], threshold


@each_dtype
@pytest.mark.parametrize("mutation", MUTATIONS)
@pytest.mark.parametrize("rate", [1.0, 0.3, 0.0])
@pytest.mark.parametrize("crossover", CROSSOVERS)
@pytest.mark.parametrize("tensors", TENSORS.values(), ids=TENSORS)
def test_children(dtype, mutation, rate, crossover, tensors):
    n = 170
    pool = rng().normal(size=(9, n)).astype(dtype)
    pool_steps, sigma = rng().uniform(0.5, 2, 9), rng().uniform(0.1, 1, n).astype(dtype)
    key, ids = np.uint64(99), np.array([4, 5, 2**33, 7], np.uint64)
    parents, steps, out = np.empty((4, 2), np.intp), np.empty(4), np.empty((4, n), dtype)
    genetic.choose_parents(key, ids, 9, 3, parents, 0, 4)
    genetic.child_steps(key, ids, parents, pool_steps, 1 / math.sqrt(2 * n), steps, 0, 4)
    how = variation(crossover, tensors, mutation, rate)
    genetic.breed(key, ids, parents, pool, steps.astype(dtype), sigma, how, 1e30, out, 0, 4)
    options = {"tensors": tensors, "mutation": mutation, "mutation_rate": rate}
    expected = [reference.child(99, int(i), pool, pool_steps, sigma, 3, crossover, **options) for i in ids]
    assert_allclose(steps, [step for _, step in expected], rtol=1e-12)
    assert_allclose(out, [row for row, _ in expected], rtol=1e-4, atol=20 * EPSILON[dtype])


@pytest.mark.parametrize("crossover", [name for name in CROSSOVERS if name != "clone"])
def test_siblings_are_complementary(crossover):
    pool, ids, parents = rng().normal(size=(9, 20)), np.array([6, 7], np.uint64), np.empty((2, 2), np.intp)
    genetic.choose_parents(np.uint64(1), ids, 9, 1, parents, 0, 2)
    assert_array_equal(parents[0], parents[1, ::-1])
    out, how = np.empty((2, 20)), variation(crossover, [2] * 10)
    genetic.breed(np.uint64(1), ids, parents, pool, np.zeros(2), np.ones(20), how, 1e30, out, 0, 2)
    assert_allclose(out.sum(axis=0), pool[parents[0]].sum(axis=0), rtol=1e-12)
    assert (out != pool[parents[:, 0]]).any()


@pytest.mark.skipif(JIT_DISABLED, reason="a million deviates")
@pytest.mark.parametrize("mutation", MUTATIONS)
@pytest.mark.parametrize("rate", [1.0, 0.25])
def test_mutations_have_variance_one_where_they_happen(mutation, rate):
    k, n = 1000, 1000
    out, ids, parents = np.empty((k, n)), np.arange(k, dtype=np.uint64), np.zeros((k, 2), np.intp)
    how = variation("clone", (), mutation, rate)
    genetic.breed(np.uint64(5), ids, parents, np.zeros((1, n)), np.ones(k), np.ones(n), how, 1e30, out, 0, k)
    moved = out[out != 0]
    assert abs(moved.size / out.size - rate) <= 4 * math.sqrt(rate * (1 - rate) / out.size)
    assert abs(moved.mean()) < 4 / math.sqrt(moved.size)
    assert abs(moved.var() - 1) < 0.01
    if mutation == "polynomial":
        assert abs(moved).max() < math.sqrt(153)
        below = (1 - 3 / math.sqrt(153)) ** 16 / 2  # the u of Deb's formula at -3 spreads
        assert abs((moved < -3).mean() - below) < 4 * math.sqrt(below / moved.size)


# ---------------------------------------------------------------- boxes

ends = st.floats(-1e6, 1e6).map(lambda x: round(x, 3))
widths = st.floats(0, 1e5).map(lambda x: round(x, 3))
boxes = st.tuples(ends | st.just(-math.inf), widths | st.just(math.inf)).map(
    lambda box: (box[0], box[0] + box[1] if math.isfinite(box[0]) else box[1])
)


def box_of(name, mean, bounds, dtype):
    """Return the box of a strategy."""
    return make_registered(name, mean, bounds=bounds, dtype=dtype)._box


STRATEGIES = {box_of(name, [0.5], (0.0, 1.0), np.float64).way: name for name in REGISTERED}  # by the way


@settings(deadline=None, max_examples=100)
@given(boxes, st.lists(st.floats(-1e7, 1e7), min_size=1, max_size=5))
def test_transform_is_pycmas(bounds, numbers):
    low, high = bounds
    box = Box((low, high), len(numbers), np.dtype(np.float64), reflects=False)
    rows = np.array([numbers])
    HOST.enclose(box, rows)
    assert ((rows >= low) & (rows <= high)).all()
    expected = [reference.transform(x, low, high) for x in numbers]
    assert_allclose(rows[0], expected, rtol=1e-7, atol=1e-7)


@settings(deadline=None, max_examples=100)
@given(
    boxes,
    st.lists(st.floats(-1e7, 1e7), min_size=1, max_size=5),
    st.booleans(),
    st.sampled_from(list(STRATEGIES)),
)
def test_rows_stay_in_the_box_and_find_their_way_back(bounds, numbers, single, way):
    dtype = np.dtype(np.float32 if single else np.float64)
    n = len(numbers)
    box = box_of(STRATEGIES[way], np.full(n, np.clip(0.0, *bounds)), [bounds] * n, dtype)
    rows = np.array([numbers], dtype)
    HOST.enclose(box, rows)
    lowest, highest = box.first.min(), box.last.max()
    assert ((rows >= lowest) & (rows <= highest)).all()
    if lowest < highest:
        assert bounds[0] <= lowest
        assert highest <= bounds[1]
    again = box.inverse(rows, "row").astype(dtype)
    HOST.enclose(box, again)
    spread = 1e-3 if single else 1e-9
    assert_allclose(again, rows, rtol=10 * spread, atol=spread)


@pytest.mark.parametrize("way", STRATEGIES)
def test_each_inverse_reaches_all_of_the_box(way):
    """Numbers near the ends, too, where the map is no identity."""
    box = box_of(STRATEGIES[way], np.full(101, 5.0), (0.0, 10.0), np.float64)
    rows = np.linspace(0, 10, 101)[None]
    again = box.inverse(rows, "row")
    HOST.enclose(box, again)
    assert_allclose(again, rows, atol=1e-12)


def test_each_way_into_a_box_has_a_strategy():
    assert STRATEGIES.keys() == WAYS.keys()


def test_identity_inside_the_margins():
    box = Box((0.0, 10.0), 3, np.dtype(np.float64), reflects=False)
    rows = np.array([[0.06, 5.0, 9.4]])
    assert_array_equal(box.inverse(rows, "row"), rows)
    HOST.enclose(box, rows)
    assert_array_equal(rows, [[0.06, 5.0, 9.4]])
