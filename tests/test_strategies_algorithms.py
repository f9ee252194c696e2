"""Properties of single algorithms: constants, stopping rules, options."""

import logging
import math

import numpy as np
import pytest
from helpers import needs_jit
from helpers.functions import rosenbrock, rotated_ellipsoid, sphere
from helpers.strategies import reasons, run, run_until_stopped
from numpy.testing import assert_allclose

import evoopt
from evoopt import CMAES, SNES
from evoopt.devices.cpu import covariance as matrices
from evoopt.strategies.parts import recombination
from evoopt.strategies.snes import utilities

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
    assert -negative.sum() * n * p.c_mu <= 1 - p.c_1 - p.c_mu + 1e-12  # C stays positive definite
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


@needs_jit
@pytest.mark.parametrize(("function", "needed"), [(rotated_ellipsoid(5), 1530), (rosenbrock, 1760)])
def test_cmaes_needs_as_many_evaluations_as_pycma(function, needed):
    evaluations = []
    for seed in range(10):
        x0 = np.random.default_rng(seed).uniform(-0.5, 0.5, 5) + (3 if function is not rosenbrock else 0)
        es = run_until_stopped(CMAES(x0, 1.0, seed=seed, target=1e-9), function)
        if es.best.fitness <= 1e-9:
            evaluations.append(es.evaluations)
    assert len(evaluations) >= 8  # Rosenbrock has a local optimum
    assert np.exp(np.log(evaluations).mean()) < 1.3 * needed


@needs_jit
def test_cmaes_learns_the_covariance():
    function, axes = rotated_ellipsoid(4), np.eye(4)
    es = run_until_stopped(CMAES(np.ones(4), 0.3, seed=1), function)
    assert es.best.fitness < 1e-12
    values = function(axes)
    hessian = np.array([function(axes + axis) for axis in axes]) - values - values[:, None]
    factor = np.linalg.cholesky(hessian)
    assert np.linalg.cond(factor.T @ es.covariance @ factor) < 10  # the Hessian's is 1e6
    assert 1e5 < es.history["condition"][-1] < 1e7


@needs_jit
def test_cmaes_rescales_coordinates_of_different_size():
    scale = np.array([1e-7, 1.0, 1e7])
    es = CMAES(np.zeros(3), 1.0, seed=1, target=1e-8, tolx=0)
    run_until_stopped(es, lambda x: sphere(x / scale - 1))
    assert reasons(es) == ["target"]


def end_next_update_with(C, monkeypatch):
    """Let the next update end with C, reported as not positive definite."""
    learn = matrices.learn

    def learned(*args):
        sigma, _ = learn(*args)
        return sigma, found(*args[-2:])

    def found(new_C, new_root):
        new_C[:] = C
        monkeypatch.undo()
        return False

    monkeypatch.setattr(matrices, "learn", learned)
    monkeypatch.setattr(matrices, "cholesky", found)


@pytest.mark.parametrize("noisy", [False, True])
def test_cmaes_survives_a_broken_covariance(noisy, caplog, monkeypatch):
    es = CMAES(np.ones(3), 1.0, noisy=noisy, seed=1)
    end_next_update_with(np.eye(3) - 0.9, monkeypatch)  # one eigenvalue is negative
    with caplog.at_level(logging.INFO, "evoopt"):
        run(es, 1)
        assert "eigenvalues from -17 to 10" in caplog.text
        caplog.clear()
        assert "tolconditioncov" in reasons(es)
        expected = np.where(np.eye(3), 1.8, -0.9)  # 17 times its diagonal is added
        assert_allclose(es.covariance / es.covariance[0, 0], expected / expected[0, 0])
        run(es, 3)
        assert caplog.text == ""
    assert np.isfinite(es.ask()).all()


def test_cmaes_repairs_in_the_scale_of_each_coordinate(monkeypatch):
    es = CMAES(np.ones(3), 1.0, seed=1)
    deviations = np.array([1e-20, 1.0, 1e20])
    end_next_update_with(np.outer(deviations, deviations), monkeypatch)  # a matrix of rank one
    run(es, 1)
    assert_allclose(es.std / es.sigma, deviations)
    assert np.isfinite(run(es, 1).ask()).all()


@pytest.mark.parametrize("mean", [[1.0], [1.0, 0.0]])
def test_cmaes_keeps_the_variance_of_a_coordinate_that_never_moves(mean):
    es = CMAES(mean, 1e-30, popsize=100, seed=1)  # so many rows leave no weight for the past in C
    run(es, 3, lambda x: np.arange(100.0))
    assert_allclose(es.covariance[0, 0], 1.0)
    assert np.linalg.eigvalsh(es.covariance)[0] > 0


@needs_jit
def test_cmaes_tol_stops():
    assert "tolfun" in reasons(run_until_stopped(CMAES(np.ones(3), 1.0, seed=1), sphere))
    es = run_until_stopped(CMAES(np.ones(3), 1.0, seed=1, tolfun=0, tolfunhist=0), sphere)
    assert reasons(es) == ["tolx"]
    es = run_until_stopped(CMAES(np.ones(3), 1.0, seed=1, tolfun=0, tolfunhist=1e-3), sphere)
    assert reasons(es) == ["tolfunhist"]
    assert es.best.fitness < 1e-2
    es = run_until_stopped(CMAES(np.ones(3), 1.0, seed=1, tolfun=0, tolfunhist=0), lambda x: np.ones(len(x)))
    assert reasons(es) == ["tolflatfitness"]
    assert es.generation == 2


@needs_jit
def test_cmaes_stops_at_a_bad_condition():
    es = CMAES(np.ones(5), 1.0, seed=1, tolconditioncov=100.0)
    run_until_stopped(es, rotated_ellipsoid(5))
    ((name, message),) = es.stop()
    assert name == "tolconditioncov"
    assert float(message.split()[-1]) > 100
    es = CMAES(np.ones(2), 1e-3, seed=1, tolupsigma=10.0)
    run_until_stopped(es, lambda x: -x[:, 0])
    assert reasons(es) == ["tolupsigma"]


@needs_jit
def test_cmaes_stops_when_it_stagnates():
    noise = np.random.default_rng(0)
    es = CMAES(np.ones(2), 1.0, seed=1, tolstagnation=100)
    run_until_stopped(es, lambda x: noise.normal(size=len(x)), generations=3000)
    assert reasons(es) == ["tolstagnation"]
    assert es.generation > 500


@needs_jit
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_cmaes_keeps_its_steps_under_pure_noise(seed):
    """Selection at random must not change the step size, or a flat or noisy start ends a search."""
    noise = np.random.default_rng(seed)
    es = CMAES(np.zeros(20), 1.0, seed=seed)
    run(es, 600, lambda x: noise.normal(size=len(x)))
    assert 0.01 < es.sigma * math.sqrt(es.covariance.diagonal().mean()) < 100


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


# ---------------------------------------------------------------- imports


@needs_jit
def test_import_is_silent_and_compiles_nothing():
    import subprocess
    import sys

    code = (
        "import logging; logging.basicConfig(level=0); import evoopt\n"
        "from evoopt.kernels.cpu.population import covariance as c\n"
        "assert not getattr(c.whiten, 'signatures', [])"
    )
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], check=True, capture_output=True, text=True
    )
    assert "compiling" not in result.stderr
    assert result.stdout == ""
    assert evoopt.__name__ == "evoopt"
