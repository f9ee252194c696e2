"""CMA-ES with noisy=True: its adapted learning rates, and their purpose."""

import math
from functools import partial

import numpy as np
import pytest
from helpers import needs_jit
from helpers.functions import around_three, ellipsoid, sphere, with_noise
from helpers.strategies import restarted, run, run_until_stopped, state, through_file
from numpy.testing import assert_allclose, assert_array_equal

import evoopt
from evoopt import CMAES
from evoopt.devices.cpu import covariance as matrices
from evoopt.strategies import cmaes
from evoopt.strategies.contract.ledger import Ledger
from evoopt.strategies.parts import learning_rates, recombination
from evoopt.strategies.parts.learning_rates import LearningRate


def full(matrix):
    """Return a symmetric matrix from its upper triangle."""
    return np.triu(matrix) + np.triu(matrix, 1).T


# ---------------------------------------------------------------- the formulas


class Reference:
    """The CMA-ES of the papers, in NumPy: rows ~ N(mean, sigma^2 C), R the Cholesky factor of C."""

    def __init__(self, mean, deviations, noisy):
        n = len(mean)
        self.mean, self.sigma, self.updates = mean, np.exp(np.log(deviations).mean()), 0
        self.C = np.diag((deviations / self.sigma) ** 2)
        self.p_sigma, self.p_c = np.zeros(n), np.zeros(n)
        self.rates = [(np.zeros(n), 0.0, 1.0), (np.zeros((n, n)), 0.0, 1.0)] if noisy else None

    def tell(self, population, fitness):
        mean, sigma, C = self.ordinary_update(population, fitness)
        if self.rates is None:
            self.mean, self.sigma, self.C = mean, sigma, C
        else:
            self.update_in_part(mean, sigma**2 * C)

    def ordinary_update(self, population, fitness):
        """Move the paths as in the tutorial; return the new mean, sigma and C."""
        k, n = population.shape
        p = recombination.full(k, n)
        self.updates += 1
        y = (population[np.argsort(fitness)] - self.mean) / self.sigma
        z = np.linalg.solve(np.linalg.cholesky(self.C), y.T).T
        positive = np.maximum(p.weights, 0)
        moved = math.sqrt(p.c_sigma * (2 - p.c_sigma) * p.mueff) * positive @ z
        self.p_sigma = (1 - p.c_sigma) * self.p_sigma + moved
        limit = (2 + 4 / (n + 1)) * n * (1 - (1 - p.c_sigma) ** (2 * self.updates))
        h = (self.p_sigma**2).sum() < limit
        self.p_c = (1 - p.c_c) * self.p_c + h * math.sqrt(p.c_c * (2 - p.c_c) * p.mueff) * positive @ y
        w = np.where(p.weights < 0, p.weights * n / (z**2).sum(axis=1), p.weights)
        decay = 1 + (not h) * p.c_1 * p.c_c * (2 - p.c_c) - p.c_1 - p.c_mu * p.weights.sum()
        C = decay * self.C + p.c_1 * np.outer(self.p_c, self.p_c) + p.c_mu * (y.T * w) @ y
        length = np.linalg.norm(self.p_sigma) / recombination.expected_length(n)
        sigma = self.sigma * math.exp(min(1, p.c_sigma / p.d_sigma * (length - 1)))
        return self.mean + self.sigma * positive @ y, sigma, C

    def update_in_part(self, mean, Sigma):
        """Move towards a new mean and Sigma by the learning rates; then det C = 1."""
        before, inverse = self.sigma**2 * self.C, np.linalg.inv(self.sigma * np.linalg.cholesky(self.C))
        of_mean, of_Sigma, eta_before = *self.rates, self.rates[0][2]
        of_mean = reference_rate(*of_mean, inverse @ (mean - self.mean), 0.1)
        of_Sigma = reference_rate(*of_Sigma, inverse @ (Sigma - before) @ inverse.T / math.sqrt(2), 0.03)
        self.rates, eta = [of_mean, of_Sigma], of_mean[2]
        self.mean = self.mean + eta * (mean - self.mean)
        Sigma = (before + of_Sigma[2] * (Sigma - before)) * (eta_before / eta) ** 2
        self.sigma = math.sqrt(np.linalg.det(Sigma) ** (1 / len(mean)))
        self.C = Sigma / self.sigma**2


def reference_rate(E, V, eta, update, beta):
    """Return E, V and eta after an update by the formulas of Nomura et al."""
    E = (1 - beta) * E + beta * update
    V = (1 - beta) * V + beta * (update**2).sum()
    snr = ((E**2).sum() - beta / (2 - beta) * V) / (V - (E**2).sum())
    return E, V, min(1, eta * math.exp(min(0.1 * eta, beta) * np.clip(snr / (1.4 * eta) - 1, -1, 1)))


@pytest.mark.parametrize("noisy", [False, True])
@pytest.mark.parametrize("threaded", [False, True])
@pytest.mark.parametrize("n", [1, 2, 7])
def test_updates_are_the_papers(n, threaded, noisy, monkeypatch):
    if threaded:
        monkeypatch.setattr(matrices, "GRAIN", 0)
    mean, deviations = np.ones(n), np.linspace(0.5, 2.0, n)
    es = CMAES(mean, deviations, noisy=noisy, popsize=9, seed=3)
    reference = Reference(mean, deviations, noisy)
    for _ in range(8):
        population = es.ask()
        fitness = with_noise(sphere, seed=es.generation)(population)
        es.tell(population, fitness)
        reference.tell(population, fitness)
        assert_allclose(es.mean, reference.mean, atol=1e-12)
        assert_allclose(es.sigma, reference.sigma)
        assert_allclose(es.covariance, reference.C, atol=1e-12)
    assert not noisy or all(0 < eta < 0.95 for _, _, eta in reference.rates)


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
    steps = []
    for _ in range(3000):
        mean, std = es.mean, es.std
        run(es, 1, lambda x: noise.normal(size=len(x)))
        steps.append(abs(es.mean - mean) / std)
        assert es.stop() == ()
    assert np.max(steps[:10]) > 0.5
    assert np.max(steps[-100:]) < 0.03  # pure noise teaches nothing
    assert np.isfinite(es.ask()).all()


@needs_jit
@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_bounds_do_not_keep_a_search_from_contracting(noise):
    """Without a limit, the step-size correction led to steps of many boxes and to no return."""
    bounds, options = [(-5, 5)] * 4 + [(0, None)], {"noisy": True, "max_evaluations": 5000}
    for seed in range(3):
        es, in_restarts = (
            make(np.full(5, 3.0), 2.5, bounds=bounds, seed=seed, **options)
            for make in (CMAES, partial(restarted, evoopt.IPOP, CMAES))
        )
        fitness = with_noise(sphere, noise, seed)
        while not es.stop():
            run(es, 1, fitness)
            assert (es.std[:4] <= 10 / 3 * (1 + 1e-9)).all()
        assert sphere(es.solution[None])[0] < 0.5
        run_until_stopped(in_restarts, with_noise(sphere, noise, seed))
        assert_array_equal(in_restarts.solution, es.solution)  # the run in restarts has the same limits


# ---------------------------------------------------------------- state


@pytest.mark.parametrize("n", [1, 5])
def test_a_saved_search_goes_on_bit_for_bit(n, tmp_path):
    es = run(CMAES(np.ones(n), 1.0, noisy=True, seed=1), 5)
    es.save(tmp_path / "run.npz")
    again = evoopt.load(tmp_path / "run.npz")
    assert_array_equal(run(again, 5).ask(), run(es, 5).ask())
    assert state(again, tmp_path) == state(es, tmp_path)


def test_an_update_that_fails_changes_nothing(tmp_path, monkeypatch):
    es, twin = (run(CMAES(np.ones(3), 1.0, noisy=True, seed=1), 3) for _ in range(2))
    population = es.ask()
    twin.ask()
    before = state(es, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "told", lambda *_: 1 / 0)  # fails when all has been learned
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


@pytest.mark.parametrize(
    ("noisy", "shares"), [(False, [0.01, 1, 1]), (True, [0.01, 1, 1]), (False, [0.5, 0.5, 0.5])]
)
def test_coordinates_of_other_sizes_are_the_same_search(noisy, shares, monkeypatch):
    """Rescaled axes change how the distribution is stored, not the distribution or its updates."""
    es, twin = (CMAES(np.zeros(3), 1.0, noisy=noisy, popsize=100, seed=1) for _ in range(2))
    never, variances = 10**9, np.ones(3)
    monkeypatch.setattr(cmaes, "LEAST_PERIOD", never)
    while 1e-20 < variances.max() < 1e9 * variances.min():
        for one in (es, twin):
            one.tell(one.mean + shares * (one.ask() - one.mean), np.zeros(100))
        variances = es.covariance.diagonal()
    for updates_between_looks in (0, never, never):
        run(twin, 1, ellipsoid)
        monkeypatch.setattr(cmaes, "LEAST_PERIOD", updates_between_looks)
        run(es, 1, ellipsoid)
        monkeypatch.setattr(cmaes, "LEAST_PERIOD", never)
        assert_allclose(es.mean, twin.mean)
        assert_allclose(es.std, twin.std)
        assert_allclose(correlations(es), correlations(twin), atol=1e-12)
        assert_allclose(es.ask(), twin.ask())
    assert es.history["condition"][-1] < 1e6
    assert es.covariance.max() > 1e-3
    assert not noisy or es.sigma == pytest.approx(twin.sigma)


def correlations(es):
    return es.sigma**2 * es.covariance / np.outer(es.std, es.std)


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
def test_all_stays_finite(fitness, n, sigma, dtype, tmp_path):
    es = CMAES(np.full(n, min(sigma, 1.0), dtype), sigma, noisy=True, seed=1)
    for _ in range(300):
        run(es, 1, fitness)
        es.stop()
    for numbers in (es.ask(), es.mean, es.std, es.covariance):
        assert np.isfinite(numbers).all()
    assert (es.std > 0).all()
    assert es.sigma > 0
    through_file(es, tmp_path)  # a file refuses numbers that are not finite, also among learning rates


@needs_jit  # NumPy warns where numbers overflow, kernels do not
def test_foreign_rows_do_no_harm():
    es = CMAES(np.zeros(3), 1.0, noisy=True, seed=1)
    far = np.array([[1e308, 0, 0], [-1e308, 1e308, 0]])
    for rows in (far, np.concatenate([far, es.ask()]), np.zeros((5, 3))):
        es.tell(rows, np.arange(float(len(rows))))
        assert abs(es.ask()).max() < 100
    assert sphere(run(es, 300, around_three).solution[None] - 3)[0] < 1e-6


def test_memory_counts_the_moving_averages(container):
    container("27500000")
    CMAES(np.zeros(500), 1.0)
    with pytest.raises(ValueError, match=r"needs 30,000,000 bytes"):
        CMAES(np.zeros(500), 1.0, noisy=True)
