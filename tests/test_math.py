"""Scalar rules against scipy."""

import numba
import numpy as np
import pytest
from reference import ACTIVATIONS

from evoopt.kernels import math

FUNCTIONS = {name: ACTIVATIONS[name] for name in ("tanh", "relu", "sigmoid", "gelu", "silu")}
FUNCTIONS |= {"exp": np.exp, "log": np.log}
# gelu's tail is exp(-x^2 / 2) with x^2 rounded to float32
TOLERANCES = {np.float32: 1e-6, np.float64: 1e-12}


def apply(function, x):
    @numba.njit(error_model="numpy")
    def loop(x, y):
        for i in range(x.size):
            y[i] = function(x[i])

    y = np.empty_like(x)
    loop(x, y)
    return y


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_relative_error(name, dtype):
    size = 2001
    x = np.concatenate([np.linspace(-9, 9, size), np.geomspace(1e-6, 1, 100), -np.geomspace(1e-6, 1, 100)])
    x = (np.abs(x) + 1e-6 if name == "log" else x).astype(dtype)
    expected = FUNCTIONS[name](x.astype(np.float64))
    error = np.abs(apply(getattr(math, name), x) - expected)
    tolerance = 10 * TOLERANCES[dtype] if name == "gelu" else TOLERANCES[dtype]
    # log is 0 at 1: there the argument's own rounding is all that can be asked for
    scale = np.maximum(np.abs(expected), 1e-2) if name == "log" else np.abs(expected)
    assert (error <= tolerance * scale).all()


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_nan_stays_nan(name, dtype):
    assert np.isnan(apply(getattr(math, name), np.array([np.nan], dtype))[0])


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name != "log"])
def test_extremes(name, dtype):
    with np.errstate(over="ignore", under="ignore"):
        y = apply(getattr(math, name), np.array([1e4, -1e4, 3e38, -3e38], dtype))
    limits = {"tanh": (1, -1), "sigmoid": (1, 0), "relu": (1, 0), "silu": (1, 0), "gelu": (1, 0)}
    if name == "exp":
        assert (y[::2] > 1e38).all()
        assert ((y[1::2] >= 0) & (y[1::2] < 1e-38)).all()
    else:
        scale = np.array([1e4, 1, 3e38, 1]) if name in {"relu", "silu", "gelu"} else 1.0
        np.testing.assert_allclose(y / scale, limits[name] * 2, rtol=1e-6, atol=1e-30)


@pytest.mark.parametrize("dtype", TOLERANCES)
def test_tanh_stays_in_its_range(dtype):
    y = apply(math.tanh, np.linspace(5, 20, 2001).astype(dtype))
    assert (y <= 1).all()
