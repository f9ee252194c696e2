"""What is each algorithm's own: constants, stopping rules, options."""

import logging
import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import evoopt
from evoopt import CMAES, GA, IPOP, SNES, LinearDecay, ParamSpec, load
from evoopt.kernels.jit import JIT_DISABLED
from evoopt.strategies import recombination
from evoopt.strategies.snes import utilities

needs_jit = pytest.mark.skipif(JIT_DISABLED, reason="a whole optimization is slow in plain Python")


def sphere(population):
    return (population**2).sum(axis=1)


def names(es):
    return [name for name, _ in es.stop()]


def run(es, fitness, generations=5000):
    for _ in range(generations):
        if es.stop():
            break
        population = es.ask()
        es.tell(population, fitness(population))
    return es


# ---------------------------------------------------------------- weights


def test_weights_of_the_tutorial():
    p = recombination.full(12, 20)  # pycma's CMAParameters for 20 parameters
    assert_allclose(p.weights[:3], [0.4024029428, 0.2533890840, 0.1662215645], rtol=1e-9)
    assert_allclose(p.weights[-3:], [-0.2917332686, -0.3562788884, -0.4152044225], rtol=1e-9)
    assert_allclose([p.c_c, p.c_1, p.c_mu], [0.171767, 0.00437235, 0.00921656], rtol=1e-5)
    assert 1 - p.c_1 - p.c_mu * p.weights.sum() == pytest.approx(1)


@pytest.mark.parametrize("k", [2, 3, 4, 7, 100, 5000])
@pytest.mark.parametrize("n", [1, 2, 10, 1000])
@pytest.mark.parametrize("rule", [recombination.full, recombination.separable])
def test_weights_of_any_size(k, n, rule):
    p = rule(k, n)
    positive, negative = p.weights[p.weights > 0], p.weights[p.weights < 0]
    assert positive.sum() == pytest.approx(1)
    assert (np.diff(p.weights) <= 0).all()
    assert 0 < p.c_1 < 1
    assert 0 <= p.c_mu <= 1 - p.c_1
    assert -negative.sum() * n * p.c_mu <= 1 - p.c_1 - p.c_mu + 1e-12  # keeps C positive definite
    assert 0 < p.c_sigma <= 0.5
    assert 1 <= p.mueff <= k


def test_utilities_sum_to_zero():
    for k in (2, 3, 10, 1001):
        assert utilities(k).sum() == pytest.approx(0, abs=1e-12)
        assert (np.diff(utilities(k)) <= 0).all()


# ---------------------------------------------------------------- SNES


def test_snes_is_its_formula():
    es = SNES([1.0, -2.0], [0.5, 2.0], popsize=8, eta_mean=0.7, eta_sigma=0.2, seed=1)
    population = es.ask()
    fitness = sphere(population)
    z = (population - [1, -2]) / [0.5, 2.0]
    u = np.empty(8)
    u[np.argsort(fitness)] = utilities(8)
    es.tell(population, fitness)
    assert_allclose(es.mean, [1, -2] + 0.7 * np.array([0.5, 2.0]) * (u @ z))
    assert_allclose(es.sigma, [0.5, 2.0] * np.exp(0.1 * (u @ (z**2 - 1))))


@pytest.mark.parametrize("option", ["eta_mean", "eta_sigma"])
def test_snes_refuses_learning_rates(option):
    for value in (0, -1.0, math.nan, math.inf, "fast"):
        with pytest.raises(ValueError, match=f"{option} must be a positive"):
            SNES([1.0], 1.0, **{option: value})


# ---------------------------------------------------------------- CMA-ES


def rotated_ellipsoid(n):
    rotation = np.linalg.qr(np.random.default_rng(n).normal(size=(n, n)))[0]
    return lambda x: ((x @ rotation) ** 2 * 1e6 ** (np.arange(n) / (n - 1))).sum(axis=1)


def rosenbrock(x):
    return (100 * (x[:, 1:] - x[:, :-1] ** 2) ** 2 + (1 - x[:, :-1]) ** 2).sum(axis=1)


@needs_jit
@pytest.mark.parametrize(("function", "needed"), [(rotated_ellipsoid(5), 1530), (rosenbrock, 1760)])
def test_cmaes_needs_as_many_evaluations_as_pycma(function, needed):
    evaluations = []
    for seed in range(10):
        x0 = np.random.default_rng(seed).uniform(-0.5, 0.5, 5) + (3 if function is not rosenbrock else 0)
        es = run(CMAES(x0, 1.0, seed=seed, target=1e-9), function)
        if es.best.fitness <= 1e-9:
            evaluations.append(es.evaluations)
    assert len(evaluations) >= 8  # Rosenbrock has a local optimum
    assert np.exp(np.log(evaluations).mean()) < 1.3 * needed


@needs_jit
def test_cmaes_learns_the_covariance():
    es = run(CMAES(np.ones(4), 0.3, seed=1), rotated_ellipsoid(4))
    assert es.best.fitness < 1e-12
    smallest, *_, largest = np.linalg.eigvalsh(es._C, UPLO="U")
    assert 1e5 < largest / smallest < 1e7
    assert_allclose(es._root.T @ es._root, np.triu(es._C) + np.triu(es._C, 1).T, rtol=1e-7)
    assert_array_equal(np.tril(es._root, -1), 0)


@needs_jit
def test_cmaes_rescales_coordinates_of_different_size():
    scale = np.array([1e-7, 1.0, 1e7])
    es = run(CMAES(np.zeros(3), 1.0, seed=1, target=1e-8, tolx=0), lambda x: sphere(x / scale - 1))
    assert names(es) == ["target"]


def test_cmaes_survives_a_broken_covariance(caplog):
    es = CMAES(np.ones(3), 1.0, seed=1)
    es._C[:] = np.diag([1.0, 1.0, 1.0]) - 0.9 * np.ones((3, 3))  # negative eigenvalue
    with caplog.at_level(logging.INFO, "evoopt"):
        root = es._repair(np.eye(3))
    assert "eigenvalue" in caplog.text
    assert np.linalg.eigvalsh(es._C, UPLO="U")[0] > 0
    assert_allclose(root.T @ root, es._C, atol=1e-12)
    assert np.isfinite(es.ask()).all()


def test_cmaes_repairs_in_the_scale_of_each_coordinate():
    es = CMAES(np.ones(3), 1.0, seed=1)
    deviations = np.array([1e-20, 1.0, 1e20])
    es._C = np.outer(deviations, deviations)  # of rank one
    root = es._repair(np.eye(3))
    assert_allclose(np.sqrt(es._C.diagonal()), deviations)
    assert (root.diagonal() > 0).all()


@pytest.mark.parametrize("mean", [[1.0], [1.0, 0.0]])
def test_cmaes_keeps_the_variance_of_a_coordinate_that_never_moves(mean):
    es = CMAES(mean, 1e-30, popsize=100, seed=1)  # so many rows leave no weight for the past in C
    for _ in range(3):
        population = es.ask()
        es.tell(population, np.arange(100.0))
    assert_allclose(es._C[0, 0], 1.0)
    assert (es._root.diagonal() > 0).all()


@needs_jit
def test_cmaes_tol_stops():
    assert "tolfun" in names(run(CMAES(np.ones(3), 1.0, seed=1), sphere))
    es = run(CMAES(np.ones(3), 1.0, seed=1, tolfun=0, tolfunhist=0), sphere)
    assert names(es) == ["tolx"]
    es = run(CMAES(np.ones(3), 1.0, seed=1, tolfun=0, tolfunhist=1e-3), sphere)
    assert names(es) == ["tolfunhist"]
    assert es.best.fitness < 1e-2
    es = run(CMAES(np.ones(3), 1.0, seed=1, tolfun=0, tolfunhist=0), lambda x: np.ones(len(x)))
    assert names(es) == ["tolflatfitness"]
    assert es.generation == 2


@needs_jit
def test_cmaes_stops_at_a_bad_condition():
    es = CMAES(np.ones(5), 1.0, seed=1, tolconditioncov=100.0)
    run(es, rotated_ellipsoid(5))
    ((name, message),) = es.stop()
    assert name == "tolconditioncov"
    assert float(message.split()[-1]) > 100
    es = CMAES(np.ones(2), 1e-3, seed=1, tolupsigma=10.0)
    run(es, lambda x: -x[:, 0])
    assert names(es) == ["tolupsigma"]


@needs_jit
def test_cmaes_stops_when_it_stagnates():
    noise = np.random.default_rng(0)
    es = CMAES(np.ones(2), 1.0, seed=1, tolstagnation=100)
    run(es, lambda x: noise.normal(size=len(x)), generations=3000)
    assert names(es) == ["tolstagnation"]
    assert es.generation > 500


@needs_jit
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_cmaes_keeps_its_steps_under_pure_noise(seed):
    """Selection at random must not make steps shrink or grow, or a flat or noisy start ends a search."""
    noise = np.random.default_rng(seed)
    es = CMAES(np.zeros(20), 1.0, seed=seed)
    for _ in range(600):
        population = es.ask()
        es.tell(population, noise.normal(size=len(population)))
    assert 0.01 < es.sigma * math.sqrt(es._C.diagonal().mean()) < 100


def test_cmaes_says_how_much_memory_it_would_need():
    with pytest.raises(ValueError, match=r"CMAES needs 48,000,000,000,000 bytes .* take LMMAES, SepCMAES"):
        CMAES(np.zeros(1_000_000), 1.0)


def test_cmaes_clips_foreign_rows():
    es = CMAES(np.zeros(3), 1.0, seed=1)
    population = np.concatenate([es.ask(), [[1e9, 0, 0]]])
    es.tell(population, np.append(np.ones(es.popsize), 0.0))
    length = math.sqrt(3) + 6 / 5
    assert 0 < es.mean[0] < length
    assert abs(es.mean[1:]).max() < length


# ---------------------------------------------------------------- GA


def test_the_first_population_may_be_given():
    first = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    es = GA(first, sigma=0.1, seed=1)
    assert (es.popsize, es.n_params, es.dtype) == (20, 3, np.float32)
    ids = es.ask_ids(25)
    rows = es.rows(ids)
    assert_array_equal(rows[:20], first)
    assert np.isfinite(rows[20:]).all()
    es.tell(ids, sphere(rows))
    assert not (es.ask()[:, None] == first).all(axis=-1).any()
    with pytest.raises(ValueError, match="popsize of 20"):
        GA(first, 0.1, popsize=19)
    with pytest.raises(ValueError, match="first population inside the bounds"):
        GA(first, 0.1, bounds=(first.min() / 2, first.max() * 2))
    with pytest.raises(ValueError, match="finite"):
        GA(first * np.inf, 0.1)


def test_elites_survive():
    es = GA(np.zeros(3), 1.0, popsize=20, elites=2, seed=1)
    population = es.ask()
    fitness = sphere(population)
    es.tell(population, fitness)
    es.tell(es.ask(), 1e6 + np.arange(20))
    assert_array_equal(es._pool[:2], population[np.argsort(fitness)[:2]])
    assert len(es._pool) == 22


def test_noisy_elites_are_asked_again():
    es = GA(np.zeros(3), 1.0, popsize=20, elites=2, noisy=True, seed=1)
    population = es.ask()
    fitness = sphere(population)
    es.tell(population, fitness)
    again = es.ask()
    assert_array_equal(again[:2], population[np.argsort(fitness)[:2]])
    es.tell(again, 1e6 + np.arange(20))
    assert len(es._pool) == 20
    assert_array_equal(es.ask()[:2], again[:2])


def test_a_few_rows_replace_the_worst():
    es = run(GA(np.ones(3), 1.0, popsize=20, elites=1, seed=1), sphere, 3)
    pool = es._pool
    ids = es.ask_ids(5)
    es.tell(ids, np.full(5, -1.0))
    assert len(es._pool) == 20
    assert_array_equal(es._pool[5:], pool[:15])


def test_elites_may_be_asked_again_without_noise_and_not_be_with_it():
    for noisy, reevaluate in ((False, True), (True, False)):
        es = GA(np.zeros(3), 1.0, popsize=20, elites=2, noisy=noisy, reevaluate=reevaluate, seed=1)
        population = es.ask()
        fitness = sphere(population)
        es.tell(population, fitness)
        best, again = population[np.argsort(fitness)[:2]], es.ask()
        assert (again[:2] == best).all() == reevaluate
        es.tell(again, 1e6 + np.arange(20))
        assert len(es._pool) == (20 if reevaluate else 22)
        assert_array_equal(es._pool[:2], best)


SPEC = ParamSpec.from_shapes({"a": 2, "b": 3})
VARIATIONS = {
    "truncation": {"selection": "truncation", "parents": 10},
    "uniform": {"crossover": "uniform"},
    "arithmetic": {"crossover": "arithmetic"},
    "tensor": {"crossover": "tensor", "spec": SPEC},
    "no crossover": {"crossover": None},
    "polynomial": {"mutation": "polynomial"},
    "few coordinates": {"mutation_rate": 0.5},
    "fixed steps": {"self_adaptation": False, "sigma_decay": 0.95},
    "schedule": {"self_adaptation": False, "sigma_decay": LinearDecay(300), "sigma_limit": 3e-4},
    "reevaluated": {"reevaluate": True},
}
each_variation = pytest.mark.parametrize("options", VARIATIONS.values(), ids=VARIATIONS)


def test_truncation_draws_all_of_the_best_and_no_other():
    es = GA(np.zeros(2), 1.0, popsize=200, crossover=None, selection="truncation", parents=3, seed=1)
    population = es.ask()
    es.tell(population, np.arange(200.0))
    es._sigma = np.full(2, 1e-9)
    parents, counts = np.unique(np.round(es.ask(), 6), axis=0, return_counts=True)
    assert_array_equal(np.sort(parents, axis=0), np.sort(np.round(population[:3], 6), axis=0))
    assert counts.min() > 40


def test_a_fixed_sigma_follows_its_schedule():
    sigma = np.array([0.1, 0.2, 0.3])
    es = GA(np.ones(3), sigma, popsize=10, self_adaptation=False, sigma_decay=0.9, sigma_limit=0.5, seed=1)
    for updates in range(9):
        assert_array_equal(es.sigma, sigma * max(0.9**updates, 0.5))
        run(es, sphere, 1)
    constant = run(GA(np.ones(3), sigma, popsize=10, self_adaptation=False, seed=1), sphere, 5)
    assert_array_equal(constant.sigma, sigma)
    assert constant.history["diversity"][-1] > 0


@each_variation
def test_each_variation_keeps_bounds_the_first_population_and_its_rows(options, tmp_path):
    first = np.random.default_rng(0).uniform(-1, 1, (20, 5)).astype(np.float32)
    es = GA(first, 2.0, bounds=(-1, 1), seed=1, **options)
    assert_array_equal(es.ask(), first)
    es = run(GA(first, 2.0, bounds=(-1, 1), seed=1, **options), sphere, 3)
    es.save(tmp_path / "es.npz")
    twin = load(tmp_path / "es.npz")
    for _ in range(2):
        population, ids = es.ask(), twin.ask_ids()
        assert abs(population).max() <= 1
        assert_array_equal(twin.rows(ids[::-1])[::-1], population)
        for one, told in ((es, population), (twin, ids)):
            one.tell(told, sphere(population))


def test_restarts_of_a_ga_with_a_spec_can_be_saved(tmp_path):
    es = IPOP(GA, np.ones(5), 0.1, crossover="tensor", spec=SPEC, tolfun=0.5, popsize=10, seed=1)
    run(es, sphere, 3)
    es.save(tmp_path / "es.npz")
    twin = load(tmp_path / "es.npz")
    assert twin._options["spec"] == SPEC
    assert_array_equal(twin.ask(), es.ask())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tournament": 0}, "tournament"),
        ({"tournament": 33}, "tournament"),
        ({"crossover": "two-point"}, "crossover must be .* or None, but 'two-point' came"),
        ({"crossover": 3}, "crossover"),
        ({"elites": 20}, "elites"),
        ({"elites": -1}, "elites"),
        ({"selection": "roulette"}, 'selection must be "tournament" or "truncation"'),
        ({"selection": None}, "selection"),
        ({"selection": "truncation", "parents": 21}, "parents"),
        ({"selection": "truncation", "parents": 0.2}, "parents"),
        ({"parents": 5}, 'parents belongs to selection="truncation"'),
        ({"crossover": "tensor"}, "take spec=net.spec"),
        ({"spec": SPEC}, "take spec=net.spec"),
        ({"crossover": "tensor", "spec": SPEC}, "ParamSpec of 3 parameters"),
        ({"crossover": "tensor", "spec": [2, 1]}, "ParamSpec of 3 parameters"),
        ({"mutation": "cauchy"}, 'mutation must be "gaussian" or "polynomial"'),
        ({"mutation_rate": 1.5}, "mutation_rate must be from 0 to 1"),
        ({"sigma_decay": 0.9}, "take self_adaptation=False"),
        ({"sigma_decay": 1.5, "self_adaptation": False}, "sigma_decay must be from 0 to 1"),
        ({"sigma_limit": 2}, "sigma_limit must be from 0 to 1"),
    ],
)
def test_ga_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        GA(np.zeros(3), 1.0, popsize=20, **options)


@needs_jit
@each_variation
def test_ga_reaches_the_optimum_in_any_way(options):
    es = GA(np.ones(5), 1.0, seed=1, target=1e-6, max_generations=1500, **options)
    run(es, lambda x: sphere(x * [1, 1, 9, 9, 30]))
    assert es.best.fitness <= 1e-6


def xor_loss(population):
    """Binary cross-entropy of a 2-2-1 network, relu and sigmoid, of each row (popsize, 9)."""
    inputs, targets = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 1, 1, 0])
    hidden = np.einsum("bi,pij->pbj", inputs, population[:, :4].reshape(-1, 2, 2)) + population[:, None, 4:6]
    logits = np.einsum("pbj,pj->pb", np.maximum(hidden, 0), population[:, 6:8]) + population[:, 8:]
    return (np.logaddexp(0, logits) - targets * logits).mean(axis=1)


@needs_jit
def test_ga_learns_xor():
    solved = 0
    for seed in range(10):
        start = np.random.default_rng(seed).normal(size=9)
        es = run(GA(start, 1.0, popsize=100, seed=seed, target=0.05, max_generations=200), xor_loss)
        solved += es.best.fitness <= 0.05
    assert solved >= 7


@needs_jit
def test_import_is_silent_and_compiles_nothing():
    import subprocess
    import sys

    code = (
        "import logging; logging.basicConfig(level=0); import evoopt\n"
        "from evoopt.kernels.cpu import covariance as c\n"
        "assert not getattr(c.whiten, 'signatures', [])"
    )
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], check=True, capture_output=True, text=True
    )
    assert "compiling" not in result.stderr
    assert result.stdout == ""
    assert evoopt.__name__ == "evoopt"
