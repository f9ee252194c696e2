"""Scalar rules against numpy's long double and scipy."""

import numba
import numpy as np
import pytest
from reference import ACTIVATIONS
from scipy import special

from evoopt.compiling.jit import FASTMATH, JIT_DISABLED
from evoopt.rules import math

NAMES = tuple(math.ELEMENTWISE)
RULES = math.ELEMENTWISE | {"exp": math.exp, "log": math.log}
TOLERANCES = {np.float32: 1e-6, np.float64: 1e-12}
LONG = np.finfo(np.longdouble).eps < np.finfo(np.float64).eps


def logistic(x):
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1) / (1 + e)


def gelu_tail(x):
    # The error of scipy's ndtr grows with x^2; exp(-x^2 / 2) is computed in long double here.
    z = np.abs(x)
    tail = special.erfcx(z.astype(np.float64) * np.sqrt(0.5)) * 0.5 * np.exp(-z * z / 2)
    return x * np.where(x < 0, tail, 1 - tail)


# Formulas without cancellation: in long double they are oracles of float64.
ORACLES = {
    "tanh": np.tanh,
    "relu": ACTIVATIONS["relu"],
    "sigmoid": logistic,
    "gelu": gelu_tail,
    "silu": lambda x: x * logistic(x),
    "swish": lambda x: x * logistic(x),
    "elu": ACTIVATIONS["elu"],
    "selu": ACTIVATIONS["selu"],
    "leaky_relu": ACTIVATIONS["leaky_relu"],
    "softplus": lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))),
    "hardtanh": ACTIVATIONS["hardtanh"],
    "sin": np.sin,
    "exp": np.exp,
    "log": np.log,
}
# Results at infinity and the largest number, and below at minus these and at 0
MOST = {
    **dict.fromkeys(("tanh", "sigmoid", "hardtanh"), (1, 1)),
    **dict.fromkeys(("exp", "selu"), (np.inf, np.inf)),
}
LEAST = {
    **dict.fromkeys(("tanh", "elu", "hardtanh"), (-1, -1)),
    "selu": (-1.7580993408473766, -1.7580993408473766),
}
AT_ZERO = {"sigmoid": 0.5, "softplus": np.log(2), "exp": 1}


def apply(function, x):
    @numba.njit(error_model="numpy", fastmath=FASTMATH)
    def loop(x, y):
        for i in range(x.size):
            y[i] = function(x[i])

    y = np.empty_like(x)
    loop(x, y)
    return y


def grid(name, dtype):
    """Return arguments of either sign: small, of order one, and up to overflow or underflow."""
    size = 201 if JIT_DISABLED else 100_001
    end = {np.float32: 105, np.float64: 750}[dtype]
    near = np.geomspace(1e-30, 1, size)
    x = np.concatenate([np.linspace(-end, end, size), np.linspace(-10, 10, size), near, -near]).astype(dtype)
    if name == "log":
        around_one = np.linspace(0.5, 2, size)
        everywhere = np.geomspace(2 * np.finfo(dtype).tiny, np.finfo(dtype).max / 2, size)
        x = np.concatenate([around_one, everywhere]).astype(dtype)
    return x


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("name", RULES)
def test_relative_error(name, dtype):
    x = grid(name, dtype)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        y = apply(RULES[name], x)
        expected = ORACLES[name](x.astype(np.longdouble))
        error = np.abs(y - expected)
    limits = np.finfo(dtype)
    normal = (np.abs(expected) >= limits.tiny) & (np.abs(expected) <= limits.max)
    # Where long double is float64, the error of the oracle grows with the argument of its exp.
    tolerance = TOLERANCES[dtype] * (1 if LONG or dtype is np.float32 else 10)
    assert (error[normal] <= tolerance * np.abs(expected[normal])).all()
    vanishing = np.abs(expected) < limits.tiny
    assert (np.abs(y[vanishing]) <= limits.tiny).all()


@pytest.mark.parametrize("name", NAMES)
def test_oracles_are_the_reference(name):
    x = np.linspace(-9, 9, 2001)
    np.testing.assert_allclose(ORACLES[name](x), ACTIVATIONS[name](x), rtol=1e-13)


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("name", RULES)
def test_nan_stays_nan(name, dtype):
    with np.errstate(invalid="ignore"):
        assert np.isnan(apply(RULES[name], np.array([np.nan, -np.nan], dtype))).all()


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("name", [name for name in RULES if name not in {"log", "sin"}])
def test_infinity_and_zero(name, dtype):
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        large = apply(RULES[name], np.array([np.inf, np.finfo(dtype).max], dtype))
        small = apply(RULES[name], np.array([-np.inf, np.finfo(dtype).min], dtype))
        zero = apply(RULES[name], np.array([0.0, -0.0], dtype))
    limits = np.finfo(dtype)
    leaky = {"leaky_relu": (-np.inf, 0.01 * limits.min)}
    np.testing.assert_allclose(large, MOST.get(name, (np.inf, limits.max)), rtol=1e-6)
    np.testing.assert_allclose(small, (LEAST | leaky).get(name, (0, 0)), rtol=1e-6)
    np.testing.assert_allclose(zero, AT_ZERO.get(name, 0), rtol=TOLERANCES[dtype])


@pytest.mark.parametrize("dtype", TOLERANCES)
def test_tanh_stays_in_its_range(dtype):
    y = apply(math.tanh, np.linspace(5, 20, 2001).astype(dtype))
    assert (y <= 1).all()


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("name", math.NUMBERS)
def test_numbers_of_a_rule(name, dtype):
    numbers = (-0.5, 2.0)[: len(math.NUMBERS[name])]
    rule, x = RULES[name], np.linspace(-3, 3, 201).astype(dtype)
    y = apply(numba.njit(lambda x: rule(x, *numbers)), x)
    np.testing.assert_allclose(y, ACTIVATIONS[name](x, *numbers), rtol=TOLERANCES[dtype])


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("dtype", "half_turns"), [(np.float32, 2**12), (np.float64, 2**27)])
def test_sine_far_from_zero(dtype, half_turns, sign, rng):
    size = 201 if JIT_DISABLED else 100_001
    n = rng.integers(1, half_turns, size).astype(np.longdouble)  # next to n pi the sine is smallest
    x = sign * np.concatenate([n * np.pi, rng.uniform(0, half_turns * np.pi, size)]).astype(dtype)
    expected = np.sin(x.astype(np.longdouble))
    np.testing.assert_allclose(apply(math.sin, x), expected, rtol=TOLERANCES[dtype], atol=0)


@pytest.mark.parametrize("dtype", TOLERANCES)
def test_sine_of_any_number_is_in_its_range_or_nan(dtype):
    with np.errstate(over="ignore", invalid="ignore"):
        x = np.concatenate([np.geomspace(1, np.finfo(dtype).max, 2001, dtype=dtype), [np.inf]]).astype(dtype)
        y = apply(math.sin, np.concatenate([x, -x]))
    assert (np.abs(y[np.isfinite([*x, *x])]) <= 1).all()
    assert np.isnan(y[np.isinf([*x, *x])]).all()


@pytest.mark.skipif(JIT_DISABLED or not LONG, reason="an intrinsic, and its oracle is in long double")
@pytest.mark.parametrize("largest", [1.0, 100.0, 1e6])
def test_sine_and_cosine(largest):
    @numba.njit
    def fill(x, sine, cosine):
        for i in range(len(x)):
            sine[i], cosine[i] = math.sin_cos(x[i])

    x = np.random.default_rng(0).uniform(-largest, largest, 100_000)
    sine, cosine = np.empty_like(x), np.empty_like(x)
    fill(x, sine, cosine)
    assert np.abs(sine - np.sin(x.astype(np.longdouble))).max() < 3e-16
    assert np.abs(cosine - np.cos(x.astype(np.longdouble))).max() < 3e-16
