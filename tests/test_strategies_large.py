"""Properties of LM-MA-ES and xNES: their formulas, numbers of evaluations, memory."""

import tracemalloc

import numpy as np
import pytest
from helpers import each_dtype, needs_jit
from helpers.functions import rosenbrock, rotated_ellipsoid, sphere
from helpers.strategies import OURS, fail_at_the_end, make, noise, run, state
from numpy.testing import assert_allclose, assert_array_equal
from scipy.linalg import expm

from evoopt import LMMAES, PGPE, SNES, XNES, OpenAIES, SepCMAES
from evoopt.strategies.parts import recombination
from evoopt.strategies.parts.foreign import longest_step
from evoopt.strategies.snes import utilities


def cigar(x):
    return x[:, 0] ** 2 + 1e4 * (x[:, 1:] ** 2).sum(axis=1)


# ---------------------------------------------------------------- LM-MA-ES


class PlainLMMAES:
    """The paper's algorithm, line by line, on chosen deviates."""

    def __init__(self, mean, sigma, k, m=None):
        n = len(mean)
        self.y, self.sigma, self.t = np.array(mean), sigma, 0
        w = np.log(k // 2 + 0.5) - np.log(np.arange(1, k // 2 + 1))
        self.w = w / w.sum()
        self.mu_w = 1 / (self.w**2).sum()
        m = m or 4 + int(3 * np.log(n))
        self.c_sigma = min(1.0, 2 * k / n)
        self.c_d = np.minimum(0.5, 1 / (1.5 ** np.arange(m) * n))
        self.c_c = np.minimum(1.0, k / (4.0 ** np.arange(m) * n))
        self.p_sigma, self.M = np.zeros(n), np.zeros((m, n))

    def steps(self, z):
        d = z
        for j in range(min(self.t, len(self.M))):
            d = (1 - self.c_d[j]) * d + self.c_d[j] * np.outer(d @ self.M[j], self.M[j])
        return d

    def ask(self, z):
        return self.y + self.sigma * self.steps(z)

    def tell(self, z, order):
        n = len(self.y)
        best = order[: len(self.w)]
        d_w, z_w = self.w @ self.steps(z)[best], self.w @ z[best]
        self.y = self.y + self.sigma * d_w
        gain = np.sqrt(self.mu_w * self.c_sigma * (2 - self.c_sigma))
        self.p_sigma = (1 - self.c_sigma) * self.p_sigma + gain * z_w
        for i, c in enumerate(self.c_c):
            self.M[i] = (1 - c) * self.M[i] + np.sqrt(self.mu_w * c * (2 - c)) * z_w
        self.sigma *= np.exp(min(1.0, self.c_sigma / 2 * ((self.p_sigma**2).sum() / n - 1)))
        self.t += 1


@each_dtype
@pytest.mark.parametrize(("n", "directions"), [(1, None), (3, None), (70, None), (1100, 6), (40, 3)])
def test_lmmaes_is_its_formula(dtype, n, directions):
    start = np.linspace(1, 2, n)
    es = LMMAES(start, 0.3, popsize=8, directions=directions, seed=1, dtype=dtype)
    plain = PlainLMMAES(start, 0.3, 8, directions)
    tolerance = {"rtol": 1e-3, "atol": 1e-4} if dtype == np.float32 else {"rtol": 1e-9, "atol": 1e-9}
    for _ in range(len(plain.M) + 2):  # the rows then show all directions, each of which has moved
        ids = es.ask_ids()
        rows, z = es.rows(ids), noise(es.seed, ids, n)
        assert_allclose(rows, plain.ask(z), **tolerance)
        fitness = sphere(rows)
        es.tell(ids, fitness)
        plain.tell(z, np.argsort(fitness))
        assert_allclose(es.mean, plain.y, **tolerance)
        assert_allclose(es.sigma, np.full(n, plain.sigma), **tolerance)


def test_lmmaes_sees_others_through_its_inverted_map():
    """Foreign rows of moderate length move the search like its own rows."""
    start, rng = np.linspace(1, 2, 70), np.random.default_rng(1)
    es, plain = LMMAES(start, 0.5, popsize=6, seed=7), PlainLMMAES(start, 0.5, 6)
    for generation in range(13):
        if generation % 3:
            z = rng.normal(size=(6, 70))
            rows = plain.ask(z)
        else:
            ids = es.ask_ids()
            rows, z = es.rows(ids), noise(es.seed, ids, 70)
            assert_allclose(rows, plain.ask(z), rtol=1e-9)
        fitness = sphere(rows)
        es.tell(rows, fitness)
        plain.tell(z, np.argsort(fitness))
        assert_allclose(es.mean, plain.y, rtol=1e-9)
        assert_allclose(es.sigma, np.full(70, plain.sigma), rtol=1e-9)


def plain_evaluations(function, x0, seed):
    rng, k = np.random.default_rng(seed), 12
    plain, best = PlainLMMAES(x0, 0.5, k), np.inf
    while best > 1e-8 and plain.t < 10_000:
        z = rng.normal(size=(k, len(x0)))
        fitness = function(plain.ask(z))
        best = fitness.min()
        plain.tell(z, np.argsort(fitness))
    return k * plain.t


@needs_jit
@pytest.mark.parametrize("function", [rosenbrock, cigar, rotated_ellipsoid(20, 1e4)])
def test_lmmaes_needs_as_many_evaluations_as_the_plain_one(function):
    evaluations = []
    for seed in range(3):
        x0 = np.random.default_rng(seed).uniform(-1, 1, 20) + 1
        es = LMMAES(x0, 0.5, seed=seed, target=1e-8, max_evaluations=120_000, tolfun=0)
        while not es.stop():
            run(es, 1, function)
        evaluations.append((es.evaluations, plain_evaluations(function, x0, seed)))
    ours, plain = np.median(evaluations, axis=0)  # Rosenbrock has a local optimum
    assert plain < 100_000
    assert ours < 1.2 * plain


def test_lmmaes_rates_are_the_papers_where_parameters_are_many():
    p = recombination.limited_memory(38, 100_000, 3)
    assert p.c_sigma == 2 * 38 / 100_000
    assert_allclose(p.c_c, 38 / 100_000 / np.array([1, 4, 16]))
    assert (recombination.limited_memory(6, 2, 6).c_c <= 1).all()  # c = 6 / 2 would have no root of c (2 - c)


def test_lmmaes_takes_a_whole_number_of_directions():
    for wrong in (0, 2.5):
        with pytest.raises(ValueError, match="directions must be a whole number"):
            make(LMMAES, directions=wrong)


def test_lmmaes_keeps_the_directions_of_rows_that_wait():
    es = run(make(LMMAES, n=30, popsize=6), 4)
    late = es.ask_ids(8)
    rows = es.rows(late)
    es.tell(late[:4], np.arange(4.0))
    run(es, 1)
    assert_array_equal(es.rows(late), rows)
    run(es, 1)
    assert_array_equal(es.rows(late), rows)


def test_lmmaes_that_fails_with_a_step_to_follow_loses_nothing(tmp_path):
    """The second of two updates without a row between carries out the first, while rows wait."""
    es, twin = (run(make(LMMAES, n=30, popsize=6), 4) for _ in range(2))
    foreign = np.ones((4, 30)) + np.arange(4)[:, None]
    for one in (es, twin):
        ids = one.ask_ids(8)
        one.tell(ids[:4], np.arange(4.0))
    fail_at_the_end(es, foreign, np.arange(4.0))
    for one in (es, twin):
        one.tell(foreign, np.arange(4.0))
        run(one, 2)
    assert state(es, tmp_path) == state(twin, tmp_path)


# ---------------------------------------------------------------- xNES


def test_xnes_is_its_formula():
    n, k, scale = 3, 8, np.array([0.5, 1.0, 2.0])
    es = XNES(np.ones(n), scale, popsize=k, eta_mean=0.7, eta_sigma=0.2, eta_B=0.3, seed=1)
    mean, sigma, B = np.ones(n), 1.0, np.diag(scale)
    for _ in range(6):
        ids = es.ask_ids()
        rows, z = es.rows(ids), noise(es.seed, ids, n)
        assert_allclose(rows, mean + sigma * z @ B.T)
        fitness = sphere(rows)
        u = np.empty(k)
        u[np.argsort(fitness)] = utilities(k)
        es.tell(ids, fitness)
        G_M = sum(u[i] * (np.outer(z[i], z[i]) - np.eye(n)) for i in range(k))
        G_sigma = np.trace(G_M) / n
        mean = mean + 0.7 * sigma * B @ (u @ z)
        sigma *= np.exp(0.1 * G_sigma)
        B = B @ expm(0.15 * (G_M - G_sigma * np.eye(n)))
        assert_allclose(es.mean, mean)
        assert_allclose(es.sigma, sigma * np.sqrt((B**2).sum(axis=1)))


def test_xnes_learning_rates():
    es = XNES(np.zeros(10), 1.0)
    assert (es.eta_mean, es.eta_sigma) == (1, pytest.approx(0.6 * (3 + np.log(10)) / 10**1.5))
    assert es.eta_B == es.eta_sigma
    for option in ("eta_mean", "eta_sigma", "eta_B"):
        with pytest.raises(ValueError, match=f"{option} must be a positive"):
            XNES([1.0], 1.0, **{option: 0})


def condition(es):
    """Estimate the condition of the map from normal deviates to rows, from many rows."""
    rows = es.rows(es.ask_ids(2000))
    lengths = np.linalg.svd(rows - rows.mean(axis=0), compute_uv=False)
    return lengths[0] / lengths[-1]


@needs_jit
def test_xnes_learns_the_covariance():
    es = XNES(np.ones(6), 0.5, seed=1, target=1e-9, tolfun=0, max_generations=3000)
    while not es.stop():
        run(es, 1, rotated_ellipsoid(6))
    assert es.best.fitness <= 1e-9
    assert 200 < condition(es) < 5000  # the root of 1e6, within limits


@needs_jit
def test_xnes_keeps_a_condition_that_numbers_can_bear():
    es = XNES(np.ones(2), 1.0, popsize=8, seed=1, tolfun=0)
    run(es, 3000, lambda x: -x[:, 0])
    assert condition(es) < 1e11


def test_xnes_says_how_much_memory_it_would_need():
    with pytest.raises(ValueError, match=r"XNES needs 88,000,000,000,000 bytes .* take LMMAES, SepCMAES"):
        XNES(np.zeros(1_000_000), 1.0)


@pytest.mark.parametrize("cls", [LMMAES, XNES])
def test_foreign_rows_are_clipped(cls):
    es = cls(np.zeros(3), 1.0, seed=1)
    population = np.concatenate([es.ask(), [[1e9, 0, 0]]])
    es.tell(population, np.append(np.ones(es.popsize), 0.0))
    assert 0 < es.mean[0] < longest_step(3) + 1
    assert abs(es.mean[1:]).max() < longest_step(3)


# ---------------------------------------------------------------- memory


@needs_jit
@pytest.mark.parametrize(
    ("cls", "vectors"),
    [(LMMAES, 2 + 38), (SepCMAES, 4), (SNES, 2), (OpenAIES, 5), (PGPE, 5)],
    ids=["LMMAES", "SepCMAES", "SNES", "OpenAIES", "PGPE"],
)
def test_memory_of_a_run_with_many_parameters(cls, vectors):
    """The peak is below 1.3 times the memory of the algorithm and the population."""
    n, popsize = 100_000, 64
    mean, fitness = np.zeros(n), np.arange(64.0)

    def whole_run():
        es = cls(mean, 0.1, popsize=popsize, seed=1)
        population = es.ask()
        for _ in range(40 if cls is LMMAES else 2):  # so many that all direction vectors count
            es.tell(population, fitness)
            es.ask(out=population)
            es.stop()

    cls(mean, 0.1, popsize=2, seed=1).ask()  # compiles
    tracemalloc.start()
    whole_run()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.3 * (vectors + popsize) * 8 * n


PARAMETERS, POPSIZE = 200_000, 64
# Float32 rows kept beside the population: parents before and after, direction vectors.
ROWS_KEPT = {"GA": 2 * POPSIZE, "LMMAES": 4 + int(3 * np.log(PARAMETERS))}
QUADRATIC = {"CMAES", "XNES"}


@needs_jit
@pytest.mark.parametrize("name", [name for name in OURS if name not in QUADRATIC])
def test_memory_of_a_generation(name):
    """There are no further arrays of popsize x n_params, and few vectors."""
    population, fitness = np.zeros((POPSIZE, PARAMETERS), np.float32), np.arange(float(POPSIZE))

    def whole_run(generations):
        es = OURS[name](np.zeros(PARAMETERS, np.float32), 0.1, popsize=POPSIZE, seed=1)
        for _ in range(generations):
            es.ask(out=population)
            es.tell(population, fitness)
            es.stop()

    whole_run(2)  # compiles
    tracemalloc.start()
    whole_run(3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * PARAMETERS * ROWS_KEPT.get(name, 0) + 16 * 8 * PARAMETERS
