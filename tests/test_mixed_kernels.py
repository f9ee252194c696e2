"""Kernels of integers and categories against their definitions, and scipy."""

import math

import numpy as np
import pytest
import reference_population as reference
from helpers import JIT_DISABLED
from helpers.spaces import box_of
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import special, stats

from evoopt import Choice, Integer, Real
from evoopt.devices.cpu import discrete
from evoopt.rules import normal, whole
from evoopt.strategies.parts.categories import Categories


@pytest.fixture(scope="module")
def compiled():
    """Return functions of vectors that call rules, compiled unless the JIT is off."""
    from evoopt.compiling.jit import kernel

    @kernel(allocates=False)
    def tails(x, out):
        for i in range(len(x)):
            out[i] = normal.upper_tail(x[i])

    @kernel(allocates=False)
    def quantiles(x, out):
        for i in range(len(x)):
            out[i] = normal.upper_quantile(x[i])

    def call(function):
        def on_vectors(x):
            out = np.empty_like(x)
            function(x, out)
            return out

        return on_vectors

    return call(tails), call(quantiles)


# ---------------------------------------------------------------- the normal distribution


def test_tails_are_scipys(compiled):
    x = np.concatenate([np.linspace(-8, 37, 500), [0.0, 1e-300]])
    assert_allclose(compiled[0](x), stats.norm.sf(x), rtol=1e-13)


def test_quantiles_are_scipys(compiled):
    p = np.concatenate([10.0 ** np.linspace(-300, -1, 500), np.linspace(0.001, 0.499, 100)])
    assert_allclose(compiled[1](p), -special.ndtri(p), rtol=1e-13)
    near = 0.5 - 10.0 ** np.linspace(-12, -1, 50)
    assert_allclose(compiled[1](near), -special.ndtri(near), atol=1e-15)


# ---------------------------------------------------------------- integers


@st.composite
def integers(draw):
    """Return an integer of more than two numbers, and one of its numbers as its origin."""
    low = draw(st.integers(-30, 50))
    high = low + draw(st.integers(2, 60))
    return Integer(low, high, log=low > 0 and draw(st.booleans())), draw(st.integers(low, high))


def latent(variable, origin):
    """Return the latent values of an integer and the thresholds between them."""
    values = np.arange(variable.low, variable.high + 1.0)
    limits = values[:-1] + 0.5
    return (np.log(values / origin), np.log(limits / origin)) if variable.log else (values, limits)


def between(values, share):
    """Return a latent number at a share of the range, a little beyond both ends."""
    width = values[-1] - values[0]
    return values[0] - 0.2 * width + 1.4 * width * share


shares, seeds = st.floats(0, 1), st.integers(0, 2**32)


@settings(max_examples=300, deadline=None)
@given(integers(), seeds)
def test_latent_numbers_stand_for_the_nearest_number(drawn, seed):
    variable, origin = drawn
    values, limits = latent(variable, origin)
    rows = between(values, np.random.default_rng(seed).random((20, 1)))
    expected = variable.low + np.searchsorted(limits, rows)
    box = box_of(variable, origins=[origin])
    found = rows.copy()
    discrete.round_rows(box.whole, found)
    assert_array_equal(found, expected)
    narrow = values.astype(np.float32)[:, None]
    discrete.round_rows(box.whole, narrow)
    assert_array_equal(narrow[:, 0], np.arange(variable.low, variable.high + 1))


@pytest.mark.parametrize("variable", [Integer(1, 2**40, log=True), Integer(-(2**53), 2**53)])
def test_large_numbers_stay_inside(variable):
    rows = np.array([[-np.inf], [-1e300], [0.0], [36.0], [1e300], [np.inf]])
    discrete.round_rows(box_of(variable).whole, rows)
    assert (rows >= variable.low).all()
    assert (rows <= variable.high).all()
    assert rows[0] == rows[1] == variable.low
    assert rows[-1] == rows[-2] == variable.high


@settings(max_examples=300, deadline=None)
@given(integers(), shares, seeds, st.integers(1, 12))
def test_integer_centering_is_as_defined(drawn, of_mean, seed, count):
    variable, origin = drawn
    values, limits = latent(variable, origin)
    generator = np.random.default_rng(seed)
    mean = between(values, np.array([of_mean, 0.0]))
    spread = 10.0 ** generator.uniform(-2, 1) * (values[1] - values[0])
    rows = mean + spread * generator.normal(size=(15, 2))
    best = generator.permutation(15)[:count]
    expected, mutated = reference.centred(rows[best, 0], mean[0], values, limits)
    found = rows.copy()
    box = box_of(variable, Real(0, 1), origins=[origin, 0])
    moved = discrete.centre(box.whole, np.array([1]), mean, best, found)
    assert moved.tolist() == [mutated.any()]
    assert_allclose(found[best, 0], expected, rtol=1e-9, atol=1e-9 * (values[-1] - values[0]))
    others = np.setdiff1d(np.arange(15), best)
    assert_array_equal(found[others, 0], rows[others, 0])
    assert_array_equal(found[:, 1], np.repeat(mean[1], 15))  # this coordinate rests


def kept(variable, origin, mean, spread, margin, last, moved):
    """Return mean, deviation and mutation rate with the margin kept, by the kernel."""
    box, variances = box_of(variable, origins=[origin]), np.array([4.0])
    mean, scale, rate = np.array([mean]), np.array([spread / 6]), np.array([last])
    how = margin, 1.0, np.array([moved]), mean.copy(), 3.0, variances
    discrete.keep_margin(box.whole, *how, mean, scale, rate)
    return mean[0], 6 * scale[0], rate[0]


@settings(max_examples=500, deadline=None)
@given(integers(), shares, st.floats(-3, 3), st.booleans(), st.floats(0.001, 0.27), st.floats(0.01, 1))
def test_margins_are_as_defined(drawn, of_mean, log_spread, moved, margin, share):
    variable, origin = drawn
    values, limits = latent(variable, origin)
    mean, spread = between(values, of_mean), 10.0**log_spread * (values[1] - values[0])
    last = margin + share * (0.4999 - margin)  # no rate is less likely than the margin
    assume(mean not in limits)
    expected = reference.with_margin(mean, spread, values, limits, margin, 1.0 if moved else last)
    found = kept(variable, origin, mean, spread, margin, last, moved)
    # near 1/2 quantiles lose digits
    precision = 1e-9 * max(1, (expected[1] / (values[1] - values[0])) ** 2)
    assert_allclose(found, expected, rtol=precision, atol=precision * (values[-1] - values[0]))


@settings(max_examples=300, deadline=None)
@given(integers(), shares, st.floats(-6, 3), st.floats(0.001, 0.27))
def test_other_numbers_stay_likely(drawn, of_mean, log_spread, margin):
    """The mean keeps its number, and its neighbours at least the margin together."""
    variable, origin = drawn
    values, limits = latent(variable, origin)
    mean, spread = between(values, of_mean), 10.0**log_spread * (values[1] - values[0])
    assume(mean not in limits)
    home = np.searchsorted(limits, mean)
    mean, spread, _ = kept(variable, origin, mean, spread, margin, 0.4, True)
    assert np.searchsorted(limits, mean) == home
    p_low = special.ndtr((limits[home - 1] - mean) / spread) if home > 0 else 0.0
    p_high = special.ndtr((mean - limits[home]) / spread) if home < len(limits) else 0.0
    assert p_low + p_high > margin * (1 - 1e-6)
    for p, inside in ((p_low, home > 0), (p_high, home < len(limits))):
        assert p > 0.5 * margin * (1 - 1e-6) or not inside


@pytest.mark.parametrize("spread", [1.0, 2000.0, 1e6])
def test_a_wide_distribution_stays_as_it_is(spread):
    found = kept(Integer(-(10**7), 10**7), 0, 0.3, spread, 0.27, 0.5, True)
    assert_allclose(found[:2], [0.3, spread], rtol=1e-9)


def test_large_numbers_have_the_margins_of_small_ones():
    """Margins hold where float64 has no halves between whole numbers, or between logarithms."""
    expected = kept(Integer(-4, 5), 0, 0.0, 0.01, 0.1, 0.5, True)
    found = kept(Integer(2**53 - 9, 2**53), 0, 2.0**53 - 5, 0.01, 0.1, 0.5, True)
    assert_allclose(found[1:], expected[1:], rtol=1e-9)
    latent, origin = math.log(2**52) - math.log(2**30), 2**30
    found = kept(Integer(1, 2**53, log=True), origin, latent, 1e-30, 0.1, 0.5, True)
    assert_allclose(found[1:], [expected[1] / 2**52, expected[2]], rtol=1e-6)


def test_a_mean_takes_its_share_of_an_update():
    box, rate, scale = box_of(Integer(-50, 50), Integer(-50, 50)), np.array([0.5, 0.5]), np.full(2, 5.0)
    before, mean = np.array([1.0, 2.0]), np.array([11.0, -8.0])
    how = 0.1, 0.2, np.ones(2, np.bool_), before, 1.0, np.ones(2)
    discrete.keep_margin(box.whole, *how, mean, scale, rate)
    assert_allclose(mean, [3, 0], atol=1e-9)
    assert_allclose(scale, 5)


def test_mutations_become_rare_without_success():
    """The rate of mutations does not rise unless one of the best rows has another number."""
    for variable, mean in ((Integer(0, 9), 4.1), (Integer(0, 9), 0.1), (Integer(0, 9), 8.9)):
        _, _, rate = kept(variable, 0, mean, 0.5, 0.05, 0.1, False)
        assert rate <= 0.1 + 1e-12
        _, _, rate = kept(variable, 0, mean, 0.5, 0.05, 0.1, True)
        assert rate > 0.12


def test_an_origin_of_0_is_no_logarithm():
    assert whole.latent_of(3.0, 0.0) == 3.0
    assert whole.latent_of(8.0, 2.0) == pytest.approx(math.log(4))
    assert whole.number_of(math.log(4), 1.0, 9.0, 2.0) == 8.0
    assert whole.number_of(-1e9, 1.0, 9.0, 2.0) == 1.0
    assert whole.number_of(2.6, 1.0, 9.0, 0.0) == 3.0


# ---------------------------------------------------------------- categories


def categories_of(*sizes, margin=0.1):
    box = box_of(Real(0, 1), *(Choice(*range(size)) for size in sizes), Choice("only"))
    return Categories(box, margin)


def test_integers_of_two_numbers_are_categories():
    categories = Categories(box_of(Integer(7, 8), Integer(1, 2, log=True), Integer(0, 2)), 0.1)
    assert categories.columns.tolist() == [0, 1]
    odds, mean, rows = np.array([0.2, 0.8, 0.6, 0.4]), np.zeros(3), np.zeros((400, 3))
    categories.draw(np.uint64(3), np.arange(400, dtype=np.uint64), odds, rows)
    assert set(rows[:, 0].tolist()) == {7.0, 8.0}
    assert set(rows[:, 1].tolist()) == {1.0, 2.0}
    best = np.flatnonzero((rows[:, 0] == 7) & (rows[:, 1] == 2))[:3]
    where = categories.columns, categories.low, categories.starts, categories.least, 1.0
    discrete.follow(*where, np.ones(3), best, rows, mean, odds, categories.path, categories.adapted)
    assert odds[0] > 0.2
    assert odds[3] > 0.4
    assert mean.tolist() == [7.0 if odds[0] > 0.5 else 8.0, 2.0 if odds[3] > 0.5 else 1.0, 0.0]


def test_rows_are_philox():
    """The words of 65 choices need a second group."""
    categories, odds = categories_of(*[3] * 70), np.tile([0.2, 0.5, 0.3], 70)
    ids, out = np.array([0, 5, 2**40], np.uint64), np.zeros((3, 72))
    categories.draw(np.uint64(2**63 + 5), ids, odds, out)
    for row, drawn in zip(ids.tolist(), out, strict=True):
        words = reference.row_words(2**63 + 5, row, 70, reference.CATEGORY)
        uniform = (words + 0.5) * 2.0**-32
        assert_array_equal(drawn[1:71], np.searchsorted([0.2, 0.7], uniform, side="right"))
    assert_array_equal(out[:, [0, 71]], 0)  # not its columns


def test_frequencies_are_the_odds():
    k = 5_000 if JIT_DISABLED else 100_000
    categories = categories_of(2, 5, 3)
    odds = np.array([0.9, 0.1, 0.4, 0.3, 0.2, 0.09, 0.01, 1 / 3, 1 / 3, 1 / 3])
    out = np.zeros((k, 5), np.float32)
    categories.draw(np.uint64(7), np.arange(k, dtype=np.uint64), odds, out)
    for j, start, end in ((1, 0, 2), (2, 2, 7), (3, 7, 10)):
        counts = np.bincount(out[:, j].astype(int), minlength=end - start)
        assert stats.chisquare(counts, k * odds[start:end]).pvalue > 1e-3
    pairs = np.bincount((5 * out[:, 1] + out[:, 2]).astype(int), minlength=10)
    assert stats.chisquare(pairs, k * np.outer(odds[:2], odds[2:7]).ravel()).pvalue > 1e-3


def test_odds_that_do_not_add_up_to_1_by_rounding_have_a_last_category():
    odds = np.array([0.5, 0.5 - 1e-12])
    out = np.zeros((1000, 3))
    categories_of(2).draw(np.uint64(7), np.arange(1000, dtype=np.uint64), odds, out)
    assert set(out[:, 1].tolist()) == {0.0, 1.0}


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(2, 6), min_size=1, max_size=5), seeds, st.floats(0.01, 1), st.integers(1, 9))
def test_odds_follow_as_defined(sizes, seed, rate, best):
    generator = np.random.default_rng(seed)
    margin = 1 - 0.73 ** (1 / len(sizes))
    categories = categories_of(*sizes, margin=margin)
    expected = reference.ASNG([np.full(size, 1 / size) for size in sizes], margin)
    mean = np.full(len(sizes) + 2, -1.0)
    arrays = categories.odds, categories.path, categories.adapted
    for _ in range(4):
        rows = np.zeros((12, len(sizes) + 2))
        rows[:, 1:-1] = generator.integers(0, sizes, (12, len(sizes)))
        order = generator.permutation(12)[:best]
        weights = generator.random(best)
        where = categories.columns, categories.low, categories.starts, categories.least, rate
        discrete.follow(*where, weights, order, rows, mean, *arrays)
        expected.step(rows[order, 1:-1].astype(int), weights, rate)
        assert_allclose(categories.odds, np.concatenate(expected.odds), rtol=1e-9)
        paths = np.split(categories.path, categories.starts[1:-1])
        assert_allclose(np.concatenate([path[:-1] for path in paths]), np.concatenate(expected.path))
        assert_allclose(categories.adapted, [expected.gamma, expected.Delta], rtol=1e-9)
        assert_array_equal(
            mean[1:-1], [q.argmax() for q in np.split(categories.odds, categories.starts[1:-1])]
        )
        assert_array_equal(mean[[0, -1]], -1)
        assert (categories.odds >= np.repeat(categories.least, sizes) * (1 - 1e-9)).all()


def test_nothing_to_learn_changes_nothing():
    """Rows without weights move neither the odds nor the path."""
    categories = categories_of(2, 3)
    arrays = categories.odds, categories.path, categories.adapted
    before = [each.copy() for each in arrays]
    rows, order = np.zeros((3, 4)), np.arange(3)
    where = categories.columns, categories.low, categories.starts, categories.least, 1.0
    discrete.follow(*where, np.zeros(3), order, rows, np.zeros(4), *arrays)
    for found, expected in zip(arrays, before, strict=True):
        assert_allclose(found, expected, rtol=1e-15)
