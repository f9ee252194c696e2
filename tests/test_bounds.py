"""Forms of bounds: n pairs, one pair for all, or scipy's; ambiguous forms are refused."""

import functools
import math
import warnings

import numpy as np
import pytest
import scipy.optimize
from helpers import needs_jit
from helpers.refusals import REFUSED, Tensor, one_masked, refuses
from helpers.strategies import REGISTERED, each_registered, make_registered
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

import evoopt
from evoopt.strategies.contract.bounds import Box

LOW, HIGH = np.array([0.5, -2.0, 1.25, -1.0]), np.array([3.0, 2.5, 1.25, 7.0])


def table(n):
    return np.stack([LOW[:n], HIGH[:n]], axis=1)


READ = {
    "a list of tuples": lambda n: [tuple(pair) for pair in table(n).tolist()],
    "a tuple of lists": lambda n: tuple(table(n).tolist()),
    "a zip": lambda n: zip(LOW[:n], HIGH[:n], strict=True),
    "a generator": lambda n: (pair for pair in table(n).tolist()),
    "a map": lambda n: map(tuple, table(n).tolist()),
    "an array": table,
    "an array in Fortran order": lambda n: np.asfortranarray(table(n)),
    "an array of objects": lambda n: table(n).astype(object),
    "a masked array without masks": lambda n: np.ma.array(table(n)),
    "a tensor": lambda n: Tensor(table(n), float),
    "scipy's": lambda n: scipy.optimize.Bounds(LOW[:n], HIGH[:n]),
    "scipy's of lists": lambda n: scipy.optimize.Bounds(LOW[:n].tolist(), HIGH[:n].tolist()),
}
each_read = pytest.mark.parametrize("form", READ.values(), ids=READ.keys())
each_size = pytest.mark.parametrize("n", [1, 2, 3, 4])

AMBIGUOUS = {
    "a tuple of arrays": lambda n: (LOW[:n], HIGH[:n]),
    "a list of arrays": lambda n: [LOW[:n], HIGH[:n]],
    "an array and a list": lambda n: (LOW[:n], HIGH[:n].tolist()),
    "tensors": lambda n: (Tensor(LOW[:n], float), Tensor(HIGH[:n], float)),
    "a zip of arrays": lambda n: iter((LOW[:n], HIGH[:n])),
    "a number and an array": lambda n: (-9.0, HIGH[:n]),
    "an array and None": lambda n: (LOW[:n], None),
    "lists": lambda n: (LOW[:n].tolist(), HIGH[:n].tolist() if n != 2 else None),
}
each_ambiguous = pytest.mark.parametrize("form", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())


def box_of(bounds, n):
    box = Box(bounds, n, np.dtype(np.float64), reflects=False)
    return box.low.tolist(), box.high.tolist()


def minimized(method, bounds, n, call=evoopt.minimize):
    """Return the rows that a minimization evaluates."""
    seen = []

    def fun(x):
        seen.append(x.copy())
        return float(((x - 9) ** 2).sum())

    options = {"maxfun": 60, "seed": 1, **({} if method == "auto" else {"popsize": 6})}
    if call is scipy.optimize.minimize:
        call(fun, np.ones(n), method=evoopt.scipy_method(method, **options), bounds=bounds)
    else:
        call(fun, np.ones(n), method=method, bounds=bounds, options=options)
    return np.array(seen)


# ---------------------------------------------------------------- what is read


@each_size
@each_read
def test_pairs_are_pairs_at_any_size(form, n):
    assert box_of(form(n), n) == (LOW[:n].tolist(), HIGH[:n].tolist())


@each_registered
@each_read
def test_strategies_read_the_same(name, form):
    n = 2
    es, twin = (
        make_registered(name, np.ones(n), bounds=bounds) for bounds in (form(n), [(0.5, 3.0), (-2.0, 2.5)])
    )
    for _ in range(2):
        population = twin.ask()
        assert_array_equal(es.ask(), population)
        assert ((population >= LOW[:n]) & (population <= HIGH[:n])).all()
        for one in (es, twin):
            one.tell(population, population.sum(axis=1))


@pytest.mark.parametrize("method", ["auto", "ipop", "bipop", "cmaes", "ga"])
@pytest.mark.parametrize("call", [evoopt.minimize, scipy.optimize.minimize])
@each_read
def test_minimize_reads_the_same(method, call, form):
    if isinstance(form(2), Tensor) and call is scipy.optimize.minimize:
        return  # scipy reads bounds without our code
    seen = minimized(method, form(2), 2, call)
    assert ((seen >= LOW[:2]) & (seen <= HIGH[:2])).all()
    assert_array_equal(seen, minimized(method, [(0.5, 3.0), (-2.0, 2.5)], 2))


@pytest.mark.parametrize(
    ("pair", "low", "high"),
    [
        ((0, 1), 0, 1),
        ([0.0, None], 0, math.inf),
        ((None, 1), -math.inf, 1),
        (np.array([0, 1]), 0, 1),
        (np.array([None, 1]), -math.inf, 1),
        (np.array([0, 1]).astype(object), 0, 1),
        ((np.float64(0), np.array(1)), 0, 1),
        (scipy.optimize.Bounds(0, 1), 0, 1),
        (scipy.optimize.Bounds(), -math.inf, math.inf),
        ((-1.7e308, 1.7e308), -1.7e308, 1.7e308),
        ((-(10**20), 10**20), -1e20, 1e20),
    ],
)
@each_size
def test_a_pair_of_numbers_is_for_all(pair, low, high, n):
    assert box_of(pair, n) == ([low] * n, [high] * n)


def test_open_sides_among_pairs():
    assert box_of([(None, 1), (0, np.inf)], 2) == ([-math.inf, 0], [1, math.inf])
    assert box_of(np.array([[None, 1], [0, None]]), 2) == ([-math.inf, 0], [1, math.inf])
    assert box_of(scipy.optimize.Bounds([0, -np.inf, 1], 5), 3) == ([0, -math.inf, 1], [5, 5, 5])


numbers = st.floats(-1e6, 1e6)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(numbers, st.floats(0, 1e6)), min_size=1, max_size=5))
def test_whatever_the_pairs(pairs):
    """All forms of the same pairs mean the same box, for any number of pairs."""
    low = np.array([a for a, _ in pairs])
    high = low + [width for _, width in pairs]
    forms = [
        list(zip(low, high, strict=True)),
        zip(low.tolist(), high.tolist(), strict=True),
        np.stack([low, high], axis=1),
        scipy.optimize.Bounds(low, high),
    ]
    assert all(box_of(bounds, len(pairs)) == (low.tolist(), high.tolist()) for bounds in forms)
    with pytest.raises(ValueError, match=r"scipy\.optimize\.Bounds"):
        box_of((low, high), len(pairs))


# ---------------------------------------------------------------- what is refused


@each_size
@each_ambiguous
def test_arrays_of_ends_are_refused_at_any_size(form, n):
    with pytest.raises(ValueError, match=r"(?s)^bounds must be .* got .*scipy\.optimize\.Bounds.*\.$"):
        box_of(form(n), n)


@pytest.mark.parametrize("n", [1, 3, 4])
def test_one_array_of_low_and_high_ends_is_refused(n):
    with pytest.raises(ValueError, match=r"^bounds must be .* got .*scipy\.optimize\.Bounds.*\.$"):
        box_of(np.array([LOW[:n], HIGH[:n]]), n)


@each_registered
@pytest.mark.parametrize("n", [2, 4])
@each_ambiguous
def test_strategies_refuse_arrays_of_ends(name, n, form):
    with pytest.raises(ValueError, match=r"(?s)^bounds must be .* got .*scipy\.optimize\.Bounds.*\.$"):
        make_registered(name, np.ones(n), bounds=form(n))


@pytest.mark.parametrize("method", ["auto", *map(str.lower, REGISTERED)])
@pytest.mark.parametrize("n", [2, 4])
@each_ambiguous
def test_minimize_refuses_arrays_of_ends(method, n, form):
    with pytest.raises(ValueError, match=r"^bounds must be .* got .*scipy\.optimize\.Bounds.*\.$"):
        minimized(method, form(n), n)


@pytest.mark.parametrize("kind", [tuple, list])
def test_scipys_minimize_passes_arrays_of_ends_and_they_are_refused(kind):
    with pytest.raises(ValueError, match=r"scipy\.optimize\.Bounds"):
        minimized("cmaes", kind([LOW[:2], HIGH[:2]]), 2, scipy.optimize.minimize)


@pytest.mark.parametrize(
    "bounds",
    [
        3, "ab", b"ab", {0: 1, 2: 3}, {(0, 1), (2, 3)}, [], [(0, 1)] * 3, [(0, 1, 2)] * 2, [(0, 1), None],
        [(0, 1), (2,)], np.zeros((2, 3)), np.zeros((3, 2)), np.zeros((2, 2, 2)), [[[0], [1, 2]], [0, 1]],
        [("0", "1")] * 2, [(0, 1j)] * 2, [(0, np.ma.masked)] * 2, one_masked([[0.0, 1.0], [0.0, 1.0]]),
        [(np.datetime64("2020"), np.datetime64("2021"))] * 2, [(0, 10**400)] * 2, (0, 1j), ("0", "1"),
        scipy.optimize.Bounds([0, 1, 2], 5),
    ],
)  # fmt: skip
def test_other_bounds_are_refused_in_a_sentence(bounds):
    refuses(lambda: box_of(bounds, 2))


@pytest.mark.parametrize("bounds", [np.array(3.0), np.array(None), np.array({})])
def test_arrays_without_axes_are_refused_in_a_sentence(bounds):
    refuses(lambda: box_of(bounds, 2))
    refuses(lambda: evoopt.minimize(lambda x: 0.0, bounds=bounds))


@pytest.mark.parametrize("bad", sorted(REFUSED.keys() - {"nothing", "a set", "None among numbers"}))
def test_bounds_are_real_numbers(bad):
    refuses(lambda: box_of(REFUSED[bad](np.array([[0.5, 1.0], [2.0, 3.0], [4.0, 5.0]])), 3))


@pytest.mark.parametrize("pair", [(3, 1), (np.nan, 1), (0, np.nan), (np.inf, np.inf), (-np.inf, -np.inf)])
@pytest.mark.parametrize("form", [lambda pair: pair, lambda pair: [pair] * 2])
def test_empty_ranges_are_refused(pair, form):
    refuses(lambda: box_of(form(pair), 2))


# ---------------------------------------------------------------- the ends of the numbers


@needs_jit  # kernels warn if they run as plain Python
@each_registered
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bounds", [(-1.7e308, 1.7e308), (-1.7e308, None), (0, 1.7e308), (-1e300, 1e-300)])
def test_numpy_says_nothing_of_the_widest_bounds(name, dtype, bounds):
    with warnings.catch_warnings(), np.errstate(all="warn"):
        warnings.simplefilter("error")
        es = make_registered(name, np.zeros(3, dtype), bounds=bounds)
        for generation in range(4):
            population = es.ask()
            assert np.isfinite(population).all()
            es.tell(population, np.zeros(6) if generation else abs(population).sum(axis=1))
            es.stop()
        assert np.isfinite(es.solution).all()


def test_bounds_of_restarts_are_read_once():
    """The wrapper and the run use the bounds, but an iterator has its pairs only once."""
    for kind in (evoopt.IPOP, evoopt.BIPOP):
        make_run = functools.partial(evoopt.CMAES, [1.0, 1.0], 0.5, seed=1)
        pairs = zip([0, 0], [2, 2], strict=True)
        es, twin = kind(make_run(bounds=pairs)), kind(make_run(bounds=(0, 2)))
        assert_array_equal(es.ask(), twin.ask())
