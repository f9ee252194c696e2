"""Properties of searches in any space, for every strategy, of the kinds of variables it takes."""

import functools
import pickle

import numpy as np
import pytest
from helpers import JIT_DISABLED
from helpers.spaces import make_in, require_rows
from helpers.strategies import OURS, RESTARTED, each, injects, run, those, through_file
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from evoopt import CMAES, Choice, Integer, Real, Space


def kinds_of(cls):
    return (cls.args[1] if isinstance(cls, functools.partial) else cls)._kinds


def searches_integers(cls):
    return Integer in kinds_of(cls)


CLASSES = OURS | those(RESTARTED, searches_integers)
each_class, each_discrete = each(CLASSES), each(those(CLASSES, searches_integers))

# ---------------------------------------------------------------- any space

shares = st.floats(0, 1)


@st.composite
def reals(draw):
    low = draw(st.sampled_from([-1e6, -3, 0, 1e-9, 0.1, 7]) | st.floats(-1e3, 1e3))
    width = draw(st.sampled_from([0, 1e-6, 1, 1e9]) | st.floats(0, 1e3))
    log = low > 0 and draw(st.booleans())
    return Real(low, low + width, log=log, periodic=width > 1e-3 and not log and draw(st.booleans()))


@st.composite
def integers(draw):
    low = draw(st.integers(-30, 30))
    width = draw(st.sampled_from([0, 1, 2, 2**20]) | st.integers(0, 50))
    return Integer(low, low + width, log=low > 0 and draw(st.booleans()))


choices = st.integers(1, 6).map(lambda size: Choice(*"abcdef"[:size]))
KINDS = {Real: reals(), Integer: integers(), Choice: choices}


def spaces(kinds):
    variables = st.one_of(*(KINDS[kind] for kind in kinds))
    return st.lists(variables, min_size=1, max_size=6).map(named)


def named(variables):
    return Space(**{f"v{i}": variable for i, variable in enumerate(variables)})


def row_at(space, share):
    """Return the row at a share of each variable."""
    row = np.clip(space.low + share * (space.high - space.low), space.low, space.high)
    return np.where(space._is_whole, np.rint(row), row)


def require_near(space, row, expected):
    """Require a row near another one, also across the seam of a period."""
    apart, largest = np.abs(row - expected), np.maximum(abs(space.low), abs(space.high))
    is_periodic = np.array([getattr(each, "periodic", False) for each in space.variables])
    around = np.where(is_periodic, space.high - space.low - apart, np.inf)
    assert (np.minimum(apart, around) <= 1e-6 * largest + 1e-37).all()  # float32 has no smaller ones


STARTS = {
    "None": lambda space, row: None,
    "row": lambda space, row: row,
    "dict": lambda space, row: space.decode(row),
}


def around_nothing(rows):
    return np.arange(len(rows), dtype=float)


FITNESS = {
    "sum": lambda rows: rows.sum(axis=1, dtype=float),
    "flat": lambda rows: np.zeros(len(rows)),
    "plateaus": lambda rows: np.floor(rows[:, 0] / 3.0),
    "some NaN": lambda rows: np.where(np.arange(len(rows)) % 3, rows[:, -1], np.nan),
    "order": around_nothing,
}
SIGMAS = {
    "None": lambda space: None,
    "number": lambda space: 0.3,
    "array": lambda space: np.full(len(space), 2),
}


@settings(max_examples=4 if JIT_DISABLED else 25, deadline=None)
@given(data=st.data())
@each_class
def test_whatever_the_space(cls, data):
    """Rows are of the space, functions of their numbers, and a copy goes on bit for bit."""
    space = data.draw(spaces(kinds_of(cls)))
    dtype = data.draw(st.sampled_from([np.float32, np.float64]))
    start, sigma, fitness = (data.draw(st.sampled_from([*each])) for each in (STARTS, SIGMAS, FITNESS))
    noisy, share, seed = data.draw(st.booleans()), data.draw(shares), data.draw(st.integers(0, 9))
    x0 = STARTS[start](space, row_at(space, share))
    options = {"dtype": dtype, "noisy": noisy, "seed": seed}
    es, twin = (make_in(cls, space, x0, SIGMAS[sigma](space), **options) for _ in range(2))
    if x0 is not None:
        require_near(space, es.mean, row_at(space, share))
    for _ in range(4):
        population, ids = es.ask(), twin.ask_ids()
        require_rows(space, population)
        assert_array_equal(twin.rows(ids[::-1])[::-1], population)
        values = FITNESS[fitness](population)
        es.tell(population, values)
        twin.tell(ids, values)
        for found in (es.mean, es.solution):
            require_rows(space, found[None])
        assert_array_equal(es.mean, twin.mean)
        assert np.all(np.isfinite(es.sigma))
        assert np.all(np.asarray(es.sigma) > 0)
        assert es.stop() == twin.stop()
        twin = pickle.loads(pickle.dumps(twin))
    assert es.best.x is None or space.decode(es.best.x)
    assert repr(es) == repr(twin)


# ---------------------------------------------------------------- the smallest and largest spaces

EDGES = {
    "one integer": Space(n=Integer(0, 9)),
    "one binary": Space(n=Integer(0, 1)),
    "one logarithm of an integer": Space(n=Integer(1, 10**6, log=True)),
    "one choice": Space(c=Choice("a", "b")),
    "a choice of one": Space(c=Choice("a")),
    "all fixed": Space(x=Real(2, 2), n=Integer(3, 3), y=Real(5, 5, log=True), c=Choice("a")),
    "only choices": Space(c=Choice("a", "b"), d=Choice(1, 2, 3, 4, 5), e=Choice(None)),
    "only integers": Space(n=Integer(0, 1), m=Integer(-3, 3), k=Integer(8, 512, log=True)),
    "one real": Space(x=Real(0, 1), n=Integer(0, 9), c=Choice("a", "b")),
    "one real that is fixed": Space(x=Real(1, 1), n=Integer(0, 9)),
    "many categories": Space(c=Choice(*range(300)), x=Real(0, 1)),
    "thousand": named([[Real(0, i + 1), Integer(0, i), Choice("a", i), Integer(1, i + 1, log=True)][i % 4]
                       for i in range(60 if JIT_DISABLED else 1000)]),
}  # fmt: skip


@pytest.mark.parametrize("space", EDGES.values(), ids=EDGES)
@each_discrete
def test_small_and_large_spaces(cls, space, tmp_path):
    es = make_in(cls, space)
    for _ in range(3):
        population = es.ask()
        require_rows(space, population)
        es.tell(population, population.sum(axis=1))
        require_rows(space, es.mean[None])
        es.stop()
    again = through_file(es, tmp_path)
    assert_array_equal(again.ask(), es.ask())
    require_rows(space, es.best.x[None])


@pytest.mark.parametrize("end", ["low", "high"])
@each_discrete
def test_the_ends_are_reached_and_not_left(cls, end):
    space = Space(
        x=Real(1e-5, 0.1, log=True),
        n=Integer(-3, 3),
        units=Integer(1, 1000, log=True),
        flag=Integer(0, 1),
        c=Choice(1, 2, 3),
    )
    sign = 1 if end == "low" else -1
    es = make_in(cls, space, popsize=20)
    generations = 5 if JIT_DISABLED else 150
    for _ in range(generations):
        population = es.ask()
        require_rows(space, population)
        latent = np.concatenate([np.log(population[:, [0, 2]]), population[:, [1, 3, 4]]], axis=1)
        es.tell(population, sign * latent.sum(axis=1))
    if not JIT_DISABLED:
        best = getattr(space, end)
        assert_array_equal(es.best.x[1:], best[1:])
        assert_allclose(es.best.x[0], best[0], rtol=0.2)


@each_discrete
def test_a_start_at_the_ends(cls):
    space = EDGES["only integers"]
    for end in (space.low, space.high):
        es = make_in(cls, space, end)
        assert_array_equal(es.mean, end)
        run(es, 2, around_nothing)
        rows = es.rows(es.ask_ids(150))
        assert (np.ptp(rows, axis=0) > 0).all()  # no variable is stuck at its end


@each(those(CLASSES, lambda cls: searches_integers(cls) and injects(cls)))
def test_foreign_rows_of_the_ends(cls):
    space = named([Real(1e-5, 0.1, log=True), Integer(-3, 3), Integer(1, 1000, log=True), Choice(1, 2)])
    for dtype in (np.float32, np.float64):
        es = make_in(cls, space, dtype=dtype)
        ends = np.array([space.low, space.high], dtype)
        es.tell(np.concatenate([es.ask(), ends]), [*range(2, 8), 0, 1])
        assert_array_equal(es.best.x, ends[0])
        require_rows(space, es.mean[None])


# ---------------------------------------------------------------- the distribution


@pytest.mark.parametrize("noisy", [False, True])
def test_choices_and_fixed_integers_are_uncorrelated(noisy):
    space = named([Real(-1, 1), Integer(-9, 9), Choice(*"abc"), Integer(2, 2), Real(0, 1), Choice("a")])
    es = run(CMAES(space, seed=1, noisy=noisy), 10, lambda p: (p[:, 0] + p[:, 1] - p[:, 4]) ** 2 + p[:, 2])
    covariance = es.covariance
    assert_array_equal(covariance, covariance.T)
    for column in (2, 3, 5):
        assert_array_equal(np.delete(covariance[column], column), 0)
    assert_allclose(es.std, es.sigma * np.sqrt(np.diag(covariance)))
    assert np.count_nonzero(covariance[0]) == 3


def test_deviations_are_those_of_the_rows():
    space = named([Real(-1e6, 1e6), Integer(-(10**6), 10**6), Integer(1, 10**9, log=True)])
    es = run(CMAES(space, seed=1, popsize=20), 3, lambda p: p[:, 0] ** 2 + p[:, 1] ** 2)
    rows = es.rows(es.ask_ids(4000)).astype(float)
    rows[:, 2] = np.log(rows[:, 2])
    assert_allclose(rows.std(axis=0), es.std, rtol=0.1)
