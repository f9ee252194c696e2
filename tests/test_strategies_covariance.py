"""The public covariance of CMA-ES, and starts from another search's covariance."""

import numpy as np
import pytest
from helpers import each_dtype, needs_jit
from helpers.strategies import restarted, run, state
from numpy.testing import assert_allclose, assert_array_equal

import evoopt
from evoopt import BIPOP, CMAES, IPOP
from evoopt.compiling.jit import JIT_DISABLED

N = 5
SHAPE = np.random.default_rng(0).normal(size=(N, N))


def rotated(population):
    return ((population @ SHAPE) ** 2).sum(axis=1)


def rows_of_the_same_numbers(new, es):
    """Return 20 rows of each strategy, from equal noise because of equal seeds and ids."""
    ids = es.ask_ids(20)
    new.ask_ids(int(ids[-1]) + 1)
    return new.rows(ids), es.rows(ids)


@each_dtype
@pytest.mark.parametrize("noisy", [False, True])
@pytest.mark.parametrize("sigma", [0.5, [0.1, 0.2, 0.3, 0.4, 10.0]])
@pytest.mark.parametrize("generations", [0, 1, 60])
def test_a_search_begins_where_another_one_was(dtype, noisy, sigma, generations):
    es = run(CMAES(np.linspace(1, 2, N, dtype=dtype), sigma, noisy=noisy, seed=3), generations, rotated)
    new = CMAES(es.mean, es.sigma, covariance=es.covariance, noisy=noisy, seed=3)
    assert new.dtype == dtype
    assert new.sigma == pytest.approx(es.sigma, rel=1e-14)
    assert_array_equal(es.covariance, es.covariance.T)
    assert_allclose(new.covariance, es.covariance, rtol=1e-12)
    assert_allclose(new.std, es.std, rtol=1e-12)
    tolerance = 1e-5 if dtype == np.float32 else 1e-12
    assert_allclose(*rows_of_the_same_numbers(new, es), rtol=tolerance, atol=tolerance * es.std.max())
    run(new, 3, rotated)


def test_covariance_and_std_are_those_of_the_rows():
    es = run(CMAES(np.ones(N), [0.1, 0.2, 0.3, 0.4, 1.5], seed=1), 20, rotated)
    rows = es.rows(es.ask_ids(400 if JIT_DISABLED else 200_000))
    tolerance = 0.3 if JIT_DISABLED else 0.02
    scale = np.outer(es.std, es.std)
    assert_allclose(np.cov(rows.T) / scale, es.sigma**2 * es.covariance / scale, atol=tolerance)
    assert_allclose(rows.std(axis=0), es.std, rtol=tolerance)
    assert_allclose(es.std, es.sigma * np.sqrt(es.covariance.diagonal()))


def test_a_new_search_has_the_identity():
    es = CMAES(np.ones(3), 0.5, seed=1)
    assert_array_equal(es.covariance, np.eye(3))
    assert_array_equal(es.std, [0.5] * 3)
    assert_array_equal(CMAES(np.ones(3), 0.5, covariance=np.eye(3), seed=1).ask(), es.ask())


@pytest.mark.parametrize(
    "covariance", [[[4.0, 1.0], [1.0, 9.0]], np.diag([1e-20, 1e20]), [[10**30, 0], [0, 1]]]
)
def test_any_scale_and_any_sigma(covariance):
    es = CMAES([0.0, 0.0], [0.5, 2.0], covariance=covariance, seed=1)
    shape = np.array(covariance, float)
    assert_allclose(es.std, [0.5, 2.0] * np.sqrt(np.diag(shape)))
    assert_allclose(es.sigma**2 * es.covariance, np.outer([0.5, 2.0], [0.5, 2.0]) * shape, rtol=1e-12)


@needs_jit
def test_what_was_learned_is_worth_evaluations():
    def ellipsoid(x):
        return ((x @ np.linalg.qr(SHAPE)[0]) ** 2 * 1e6 ** np.linspace(0, 1, N)).sum(axis=1)

    def evaluations(es):
        while not es.stop():
            run(es, 1, ellipsoid)
        assert es.best.fitness <= 1e-8
        return es.evaluations

    first = CMAES(np.ones(N), 0.5, target=1e-8, seed=1)
    evaluations(first)
    shape = first.covariance / first.covariance.max()
    start = CMAES(np.zeros(N), 1.0, covariance=shape, seed=3).ask()[0]
    needed = [
        evaluations(CMAES(start, 1.0, covariance=covariance, target=1e-8, seed=2))
        for covariance in (shape, None)
    ]
    assert needed[0] < 0.6 * needed[1]


@pytest.mark.parametrize("kind", [IPOP, BIPOP])
def test_restarts_begin_with_it_each_time(kind, tmp_path):
    options = {"covariance": [[4.0, 1.0], [1.0, 9.0]], "bounds": (-9, 9), "seed": 1}
    es = restarted(kind, CMAES, np.ones(2), 0.5, **options)
    for restart in (1, 2):
        while len(es.ends) < restart:
            run(es, 1, lambda x: np.zeros(len(x)))
        es = evoopt.load(save(es, tmp_path))
        es.ask()
        assert es.restarts == restart
        assert es.sigma <= 0.5
        assert_allclose(*rows_of_the_same_numbers(CMAES(es.mean, es.sigma, **options), es))


def save(es, tmp_path):
    es.save(tmp_path / "es.npz")
    return tmp_path / "es.npz"


def test_it_is_copied(tmp_path):
    covariance = np.eye(3)
    es = CMAES(np.ones(3), 0.5, covariance=covariance, seed=1)
    before = state(es, tmp_path)
    covariance[:] = np.nan
    es.covariance[:] = np.nan
    es.std[:] = np.nan
    assert state(es, tmp_path) == before


@pytest.mark.parametrize(
    ("covariance", "message"),
    [
        (np.eye(3), r"covariance must be a matrix of shape \(2, 2\), got \(3, 3\)"),
        ([1.0, 1.0], r"covariance must be a matrix of shape \(2, 2\), got \(2,\)"),
        ([[1.0, 2.0], [3.0]], "covariance must be an array of real numbers"),
        ("identity", "covariance must be real numbers, got text"),
        (1j * np.eye(2), "covariance must be real numbers, got complex"),
        (np.ma.masked_array(np.eye(2), mask=np.eye(2)), "covariance must be without masked entries"),
        ([[1.0, np.ma.masked], [np.ma.masked, 1.0]], "covariance must be without masked entries"),
        ([[10**400, 0], [0, 1]], "covariance must be numbers that float64 holds"),
        ([[1.0, np.nan], [np.nan, 1.0]], "finite"),
        ([[1.0, 0.0], [0.0, np.inf]], "finite"),
        ([[1.0, 0.0], [0.0, 0.0]], "positive variances, got variances from 0 to 1"),
        ([[-1.0, 0.0], [0.0, 1.0]], "positive variances"),
        ([[1.0, 0.5], [0.0, 1.0]], r"symmetric, got correlations that differ by 0\.5"),
        ([[1.0, 2.0], [2.0, 1.0]], "positive definite, got correlations with eigenvalues from -1 to 3"),
        (np.ones((2, 2)), "positive definite"),
        (1e300 * np.eye(2), "from 1e-140 to 1e\\+140 for rows of float64, got 5e\\+149"),
    ],
)
def test_no_covariance(covariance, message):
    with pytest.raises(ValueError, match=message):
        CMAES([0.0, 0.0], 0.5, covariance=covariance)
