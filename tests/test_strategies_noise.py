"""CMA-ES with noisy=True: its adapted learning rates, and what they are for."""

import math
from functools import partial

import numpy as np
import pytest
from helpers import needs_jit
from helpers.functions import ellipsoid, sphere, with_noise
from helpers.strategies import restarted, run, state
from numpy.testing import assert_allclose, assert_array_equal

import evoopt
from evoopt import CMAES
from evoopt.devices.cpu import covariance as matrices
from evoopt.strategies.parts import learning_rates, recombination
from evoopt.strategies.parts.learning_rates import LearningRate


def full(matrix):
    """A symmetric matrix from its upper triangle."""
    return np.triu(matrix) + np.triu(matrix, 1).T


def covariance(es):
    scale = es._step * es._scale
    return full(es._C) * np.outer(scale, scale)


# ---------------------------------------------------------------- the formulas


def reference_rate(E, V, eta, update, beta):
    """The paper's, from the average of any form of E: gives E, V, eta."""
    E = (1 - beta) * E + beta * update
    V = (1 - beta) * V + beta * (update**2).sum()
    snr = ((E**2).sum() - beta / (2 - beta) * V) / (V - (E**2).sum())
    return E, V, min(1, eta * math.exp(min(0.1 * eta, beta) * np.clip(snr / (1.4 * eta) - 1, -1, 1)))


def ordinary_update(es, population, fitness):
    """Mean and covariance after the update of the tutorial, without learning rates, in plain NumPy."""
    n, k = es.n_params, len(population)
    p = recombination.full(k, n)
    C, mean, step = full(es._C), es._mean, es._step
    y = (population[np.argsort(fitness)] - mean) / (step * es._scale)
    y_w = np.maximum(p.weights, 0) @ y
    p_sigma = (1 - p.c_sigma) * es._p_sigma + math.sqrt(
        p.c_sigma * (2 - p.c_sigma) * p.mueff
    ) * np.linalg.solve(es._root.T, y_w)
    h = (p_sigma**2).sum() < (2 + 4 / (n + 1)) * n * (1 - (1 - p.c_sigma) ** (2 * (es._updates + 1)))
    p_c = (1 - p.c_c) * es._p_c + h * math.sqrt(p.c_c * (2 - p.c_c) * p.mueff) * y_w
    lengths = np.einsum("ij,jk,ik->i", y, np.linalg.inv(C), y)
    w = np.where(p.weights < 0, p.weights * n / lengths, p.weights)
    decay = 1 + (not h) * p.c_1 * p.c_c * (2 - p.c_c) - p.c_1 - p.c_mu * p.weights.sum()
    C = decay * C + p.c_1 * np.outer(p_c, p_c) + p.c_mu * (y.T * w) @ y
    length = np.linalg.norm(p_sigma) / recombination.expected_length(n)
    step = step * math.exp(min(1, p.c_sigma / p.d_sigma * (length - 1)))
    scale = step * es._scale
    return mean + es._step * es._scale * y_w, C * np.outer(scale, scale)


def symmetric_root(Sigma):
    values, axes = np.linalg.eigh(Sigma)
    return (axes / np.sqrt(values)) @ axes.T


@pytest.mark.parametrize("threaded", [False, True])
@pytest.mark.parametrize("n", [1, 2, 7])
def test_an_update_is_the_papers(n, threaded, monkeypatch):
    if threaded:
        monkeypatch.setattr(matrices, "GRAIN", 0)
    es = CMAES(np.ones(n), np.linspace(0.5, 2.0, n), noisy=True, popsize=9, seed=3)
    for _ in range(4):
        population = es.ask()
        fitness = with_noise(sphere, seed=es.generation)(population)
        mean, Sigma, step, R = es._mean, covariance(es), es._step, es._root * es._step * es._scale
        rate_of_mean, rate_of_C = es._rates
        new_mean, new_Sigma = ordinary_update(es, population, fitness)
        es.tell(population, fitness)
        inverse = np.linalg.inv(R)
        update = inverse.T @ (new_mean - mean)
        E, V, eta_mean = reference_rate(rate_of_mean.E, rate_of_mean.V, rate_of_mean.eta, update, 0.1)
        assert_allclose(es._rates[0].E, E, atol=1e-12)
        assert_allclose(es._rates[0].V, V)
        assert_allclose(es._rates[0].eta, eta_mean)
        update = inverse.T @ (new_Sigma - Sigma) @ inverse / math.sqrt(2)
        E, V, eta = reference_rate(full(rate_of_C.E), rate_of_C.V, rate_of_C.eta, update, 0.03)
        assert_allclose(full(es._rates[1].E), E, atol=1e-12)
        assert_allclose(es._rates[1].V, V)
        assert_allclose(es._rates[1].eta, eta)
        # the lengths are those in the coordinates of the symmetric root
        root = symmetric_root(Sigma)
        by_symmetric_root = root @ (new_Sigma - Sigma) @ root / math.sqrt(2)
        assert_allclose(np.linalg.norm(by_symmetric_root), np.linalg.norm(update))
        assert_allclose(es._mean, mean + eta_mean * (new_mean - mean), atol=1e-12)
        expected = (Sigma + eta * (new_Sigma - Sigma)) * (rate_of_mean.eta / eta_mean) ** 2
        assert_allclose(covariance(es), expected, atol=1e-12)
        assert np.linalg.slogdet(full(es._C))[1] == pytest.approx(0, abs=1e-12)
        assert_allclose(es._root.T @ es._root, full(es._C), atol=1e-12)
        assert es._step != step


def test_learning_rates_follow_the_signal():
    rng = np.random.default_rng(0)
    loud = quiet = LearningRate(np.zeros(3), eta=0.1)
    for _ in range(300):
        loud = loud.after(np.ones(3), 0.1)
        quiet = quiet.after(rng.normal(size=3), 0.1)
    assert loud.eta == 1
    assert 0 < quiet.eta < 0.04
    still = LearningRate(np.zeros(3), eta=0.5).after(np.zeros(3), 0.1)
    assert (still.eta, still.V) == (0.5, 0)


def test_the_ratio_is_that_of_signal_and_noise():
    rng = np.random.default_rng(1)
    signal, estimates, rate = np.array([1.0, 0, 0]), [], LearningRate(np.zeros(3))
    for i in range(6000):
        rate = rate.after(signal + rng.normal(size=3), 0.03)
        if i > 500:
            E_squared = learning_rates.squared_length(rate.E)
            estimates.append(learning_rates.signal_to_noise(E_squared, rate.V, 0.03))
    assert np.mean(estimates) == pytest.approx(1 / 3, rel=0.1)


def test_squared_length_of_a_symmetric_matrix():
    matrix = full(np.arange(16.0).reshape(4, 4))
    assert learning_rates.squared_length(np.triu(matrix)) == pytest.approx((matrix**2).sum())


# ---------------------------------------------------------------- what they are for


def values_at_the_mean(function, n, noisy, evaluations, seed):
    es = CMAES(np.full(n, 2.0), 1.0, noisy=noisy, seed=seed)
    fitness, values = with_noise(function, seed=seed), []
    for end in evaluations:
        while es.evaluations < end:
            run(es, 1, fitness)
        values.append(function(es.solution[None])[0])
    assert es.stop() == () or not noisy
    return values


@needs_jit
@pytest.mark.parametrize("function", [sphere, ellipsoid])
def test_goes_on_improving_where_the_plain_search_stalls(function):
    values = {
        noisy: np.median(
            [values_at_the_mean(function, 5, noisy, (2_000, 20_000), seed) for seed in range(3)], axis=0
        )
        for noisy in (False, True)
    }
    assert values[True][1] < 0.4 * values[True][0]
    assert values[False][1] > 0.5 * values[False][0]
    assert values[True][1] < 0.1 * values[False][1]


@needs_jit
def test_noise_alone_is_no_reason_to_stop():
    noise = np.random.default_rng(0)
    es = CMAES(np.ones(2), 1.0, noisy=True, seed=1, tolstagnation=100)
    for _ in range(3000):
        run(es, 1, lambda x: noise.normal(size=len(x)))
        assert es.stop() == ()
    assert 0 < min(rate.eta for rate in es._rates) < 0.02
    assert np.isfinite(es.ask()).all()


@needs_jit
@pytest.mark.parametrize("noise", [0.0, 1.0])
@pytest.mark.parametrize("restarts", [False, True])
def test_bounds_do_not_keep_a_search_from_contracting(restarts, noise):
    """Without a limit the step-size correction led to steps of many boxes, from where nothing came back."""
    rng = np.random.default_rng(0)
    bounds, options = [(-5, 5)] * 4 + [(0, None)], {"noisy": True, "max_evaluations": 5000}
    for seed in range(3):
        make = CMAES if not restarts else partial(restarted, evoopt.IPOP, CMAES)
        es = make(np.full(5, 3.0), 2.5, bounds=bounds, seed=seed, **options)
        while not es.stop():
            population = es.ask()
            es.tell(population, sphere(population) + noise * rng.normal(size=len(population)))
            run = es._run if restarts else es
            assert (run.std[:4] <= 10 / 3 * (1 + 1e-9)).all()
        assert sphere(es.solution[None])[0] < 0.5


# ---------------------------------------------------------------- state


def test_without_noise_there_are_no_rates():
    assert CMAES(np.ones(3), 1.0)._rates is None


@pytest.mark.parametrize("n", [1, 5])
def test_a_saved_search_goes_on_bit_for_bit(n, tmp_path):
    es = run(CMAES(np.ones(n), 1.0, noisy=True, seed=1), 5)
    es.save(tmp_path / "run.npz")
    again = evoopt.load(tmp_path / "run.npz")
    assert_array_equal(run(again, 5).ask(), run(es, 5).ask())
    assert [rate.eta for rate in again._rates] == [rate.eta for rate in es._rates]
    assert state(again, tmp_path) == state(es, tmp_path)


def test_an_update_that_fails_changes_nothing(tmp_path, monkeypatch):
    es, twin = (run(CMAES(np.ones(3), 1.0, noisy=True, seed=1), 3) for _ in range(2))
    population = es.ask()
    twin.ask()
    before = state(es, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(CMAES, "_watch", lambda self, told: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            es.tell(population, -sphere(population))
    assert state(es, tmp_path) == before
    for one in (es, twin):
        one.tell(population, sphere(population))
    assert_array_equal(es.ask(), twin.ask())


def test_any_number_of_threads_gives_the_same_bits(monkeypatch):
    es = run(CMAES(np.ones(40), 1.0, noisy=True, seed=1), 3)
    monkeypatch.setattr(matrices, "GRAIN", 0)
    assert_array_equal(run(CMAES(np.ones(40), 1.0, noisy=True, seed=1), 3).ask(), es.ask())


def test_coordinates_of_other_sizes_are_the_same_search():
    """A look at the axes changes how the distribution is written, not the distribution or the updates."""
    es, twin = (run(CMAES(np.ones(3), 1.0, noisy=True, seed=1), 3) for _ in range(2))
    for one in (es, twin):
        factors = np.array([1e5, 1.0, 1e-5])
        one._C, one._p_c = one._C * np.outer(factors, factors), one._p_c * factors
        one._root, one._updates = one._root * factors, 0  # its C is as before
    es._look()
    assert_allclose(es._scale, [1e5, 1, 1e-5], rtol=0.5)
    assert np.linalg.slogdet(full(es._C))[1] == pytest.approx(0, abs=1e-9)
    assert_allclose(es.ask(), twin.ask())
    for one in (es, twin):
        rows = one.ask()
        one.tell(rows, ellipsoid(rows))
    assert_allclose(es.ask(), twin.ask(), rtol=1e-9)
    assert_allclose([rate.eta for rate in es._rates], [rate.eta for rate in twin._rates])


# ---------------------------------------------------------------- extremes


FITNESS = {
    "flat": lambda x: np.ones(len(x)),
    "infinite": lambda x: np.full(len(x), np.inf),
    "NaN": lambda x: np.where(np.arange(len(x)) % 2, np.nan, x[:, 0]),
    "all NaN": lambda x: np.full(len(x), np.nan),
    "linear": lambda x: -x[:, 0].astype(float),
}


@needs_jit
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("fitness", FITNESS.values(), ids=FITNESS.keys())
@pytest.mark.parametrize(
    ("n", "sigma", "dtype"),
    [(1, 1.0, np.float64), (3, 1e-30, np.float64), (3, 1e30, np.float64), (3, 1e18, np.float32)],
)
def test_all_stays_finite(fitness, n, sigma, dtype):
    es = CMAES(np.full(n, min(sigma, 1.0), dtype), sigma, noisy=True, seed=1)
    for _ in range(300):
        run(es, 1, fitness)
        es.stop()
    rates = [(rate.E.sum(), rate.V, rate.eta) for rate in es._rates]
    for numbers in (es.ask(), es._mean, es._C, es._root, es._step, rates):
        assert np.isfinite(numbers).all()
    assert es._step > 0


@needs_jit  # NumPy warns where numbers overflow, kernels do not
def test_foreign_rows_do_no_harm():
    es = CMAES(np.zeros(3), 1.0, noisy=True, seed=1)
    far = np.array([[1e308, 0, 0], [-1e308, 1e308, 0]])
    for rows in (far, np.concatenate([far, es.ask()]), np.zeros((5, 3))):
        es.tell(rows, np.arange(float(len(rows))))
        assert np.isfinite(es.ask()).all()
        assert all(0 < rate.eta <= 1 for rate in es._rates)


def test_memory_counts_the_moving_averages(container):
    container("27500000")
    CMAES(np.zeros(500), 1.0)
    with pytest.raises(ValueError, match=r"needs 30,000,000 bytes"):
        CMAES(np.zeros(500), 1.0, noisy=True)
