"""The device work of the benchmarks, at sizes for the simulator."""

import numpy as np
import pytest

import evoopt

gpu = pytest.importorskip("benchmarks.harness.gpu")
from benchmarks.harness import cartpole, dense, losses, smoke  # noqa: E402
from benchmarks.harness.race import relative_error  # noqa: E402

UNITS = (3, 5, 2)


@pytest.mark.parametrize("shape", [(4, 1), (12,)])
def test_forward_and_fitness(shape, rng):
    problem = dense.Problem.of(UNITS, 4, rng.normal(size=(*shape, 3)).astype(np.float32))
    expected = np.stack([dense.reference(problem, individual) for individual in range(4)])
    assert relative_error(np.asarray(gpu.evoopt_forward(problem)()), expected) < 1e-5
    if not problem.own:
        labels = rng.integers(0, 2, 12)
        found = np.asarray(gpu.evoopt_fitness(problem, labels)())
        assert relative_error(found, [losses.reference(outputs, labels) for outputs in expected]) < 1e-5


def test_noise_rollouts_and_generations(rng):
    rows = np.asarray(gpu.evoopt_rows((3, 40))())
    assert 0.7 < rows.std() < 1.3
    game = cartpole.Game.of(2, 1, 3)
    returns = gpu.evoopt_rollout(game).play(3)
    np.testing.assert_allclose(np.asarray(returns), cartpole.reference(game, 3).mean(axis=1))
    samples = rng.normal(size=(8, 3)).astype(np.float32), rng.integers(0, 2, 8)
    trainer = gpu.trainer(evoopt.SNES, UNITS, samples, 6, 1, sigma=0.5)
    trainer()
    assert np.isfinite(trainer.solution()).all()


@pytest.mark.parametrize("check", smoke.CHECKS, ids=lambda check: check.name)
def test_kernels_against_those_of_the_cpu(check):
    """This comparison is the first one of ``benchmarks/gpu.sh smoke``."""
    sizes = smoke.Sizes(rows=9, columns=40, networks=2, units=4, samples=12)
    assert smoke.difference(check, sizes) <= check.tolerance
