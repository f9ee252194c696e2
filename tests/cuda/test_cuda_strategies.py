"""Strategies that compute on CUDA do what they do on the CPU: the same search to rounding."""

import numpy as np
import pytest

import evoopt
from evoopt.kernels.cuda.launch import Stream, is_device_array
from evoopt.strategies.backend import CPU
from evoopt.strategies.registry import REGISTRY

ON_DEVICE = {
    "SNES": {},
    "SepCMAES": {},
    "OpenAIES": {"weight_decay": 0.1, "sigma_decay": 0.9},
    "PGPE": {"learning_rate": 0.3},
}
N = 5


def sphere(rows):
    return ((np.asarray(rows, float) - 1) ** 2).sum(axis=1)


def run(name, device, generations=4, tell=sphere, **options):
    mean = np.linspace(-1, 2, N).astype(options.pop("dtype", np.float32))
    es = REGISTRY[name](mean, 0.5, popsize=8, seed=3, device=device, **options)
    for _ in range(generations):
        population = es.ask()
        assert is_device_array(population) == (device == "cuda")
        es.tell(population, tell(population))
        es.stop()
    return es


def agree(one, other, rtol=1e-4):
    np.testing.assert_allclose(one.mean, other.mean, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(one.sigma, other.sigma, rtol=rtol)
    np.testing.assert_allclose(one.best.x, other.best.x, rtol=rtol, atol=rtol)
    for column, values in one.history.items():
        np.testing.assert_allclose(values, other.history[column], rtol=10 * rtol, err_msg=column)


@pytest.mark.parametrize("name", ON_DEVICE)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_search_is_that_of_the_cpu(name, dtype):
    runs = [run(name, device, dtype=dtype, **ON_DEVICE[name]) for device in ("cpu", "cuda")]
    agree(*runs, rtol=1e-3 if dtype == np.float32 else 1e-10)
