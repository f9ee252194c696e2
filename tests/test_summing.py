"""Sums over rows that are drawn on the way, against rows that were made before."""

import tracemalloc
from unittest import mock

import numpy as np
import pytest
from helpers import each_dtype, needs_jit
from helpers.functions import sphere
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from evoopt import PGPE, SNES, OpenAIES, SepCMAES, Strategy
from evoopt.devices.choose import HOST
from evoopt.devices.cpu import summing
from evoopt.devices.interface.population import Recipe, made

each_summing = pytest.mark.parametrize("cls", [SNES, SepCMAES, OpenAIES, PGPE])


@each_dtype
@given(
    k=st.integers(2, 7),
    n=st.integers(1, 400),
    pairs=st.booleans(),
    seed=st.integers(0, 99),
    part=st.integers(1, 1000),
)
@settings(max_examples=30, deadline=None)
def test_sums_are_those_of_rows_that_were_made(dtype, k, n, pairs, seed, part):
    rng = np.random.default_rng(seed)
    ids = np.sort(rng.choice(3 * k, k, replace=False)).astype(np.uint64)
    mean, sigma = rng.normal(size=n).astype(dtype), rng.uniform(0.5, 2, n).astype(dtype)
    recipe = Recipe(HOST, np.uint64(seed), ids, mean, sigma, pairs, np.dtype(dtype))
    rows = made(recipe)
    w, v = rng.normal(size=k), rng.normal(size=k)
    w[rng.integers(k)] = v[rng.integers(k)] = 0.0
    places = np.flatnonzero(rng.random(k) < 0.5)
    with mock.patch.multiple(summing, PART=part, GRAIN=1):
        found = HOST.moments(recipe, w, v, mean.astype(float))
        fingerprints = HOST.fingerprints(recipe)
        lengths = HOST.lengths(recipe, places, mean.astype(float), sigma.astype(float))
    assert_array_equal(found, HOST.moments(rows, w, v, mean.astype(float)))
    assert_array_equal(fingerprints, HOST.fingerprints(rows))
    assert_array_equal(lengths, HOST.lengths(rows, places, mean.astype(float), sigma.astype(float)))


def peak_of_a_run(cls, n, fitness):
    """Return the most bytes that a run of row numbers has at once."""

    def whole_run(generations):
        es = cls(np.zeros(n, np.float32), 0.1, popsize=len(fitness), seed=1)
        for _ in range(generations):
            es.tell(es.ask_ids(), fitness)

    whole_run(1)  # compiles
    tracemalloc.start()
    whole_run(3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


@needs_jit
@each_summing
@pytest.mark.parametrize("fitness", [np.arange(128.0), np.full(128, np.nan)])
def test_a_told_number_needs_no_place_for_its_row(cls, fitness):
    n = 100_000
    assert peak_of_a_run(cls, n, fitness) < 4 * n * len(fitness) / 2  # float32 rows take 4 n k


@needs_jit
@each_summing
def test_short_rows_need_no_place_of_longer_ones(cls):
    k = 50_000
    assert peak_of_a_run(cls, 1, np.arange(float(k))) < 150 * k


class Rounding(Strategy):
    def _sample(self, snapshot, ids, out):
        super()._sample(snapshot, ids, out)
        np.round(out, out=out)


class Rounded(Strategy):
    def _make(self, snapshot, ids, out):
        super()._make(snapshot, ids, out)
        np.round(out, out=out)


@each_summing
@pytest.mark.parametrize("drawing", [Rounding, Rounded])
@pytest.mark.parametrize("comes_first", [True, False])
def test_a_users_class_may_draw_other_rows(cls, drawing, comes_first):
    bases = (drawing, cls) if comes_first else (cls, drawing)
    own = type("Own", bases, {})
    one, two = (own(np.full(5, 9.0), 2.0, popsize=8, seed=1) for _ in range(2))
    for _ in range(3):
        ids, numbers = one.ask_ids(), two.ask_ids()
        rows = one.rows(ids)
        one.tell(rows, sphere(rows))
        two.tell(numbers, sphere(rows))
    assert_array_equal(one.mean, two.mean)


@each_summing
def test_a_users_class_may_look_at_the_rows(cls):
    class Looking(cls):
        def _update(self, told):
            self.seen = told.population
            super()._update(told)

    es = Looking(np.zeros(5), 2.0, popsize=8, seed=1)
    ids = es.ask_ids()
    rows = es.rows(ids)
    es.tell(ids, sphere(rows))
    assert_array_equal(es.seen, rows)
