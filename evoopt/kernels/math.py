"""Scalar rules shared by all kernels, in the precision of their argument: exp, log and the activations.

Branchless and from + - * / alone, so that loops over them are vectorized; NaN stays NaN. Relative errors are
below 1e-6 in float32 and 1e-12 in float64 (tests/test_math.py measures them against scipy).
"""

import math

import numpy as np

from evoopt.kernels.bits import bitcast, by_precision, polynomial
from evoopt.kernels.jit import inline

# Polynomials, highest power first, to about half a unit in the last place.
# exp(r) for |r| <= log(2)/2: minimax fits (Lawson's weighted least squares) of relative error 3e-9 and 4e-18
# that begin with 1 + r, so that exp(0) is 1
_EXP32 = (0.00138143205, 0.0083688512, 0.0416684011, 0.166665195, 0.499999934, 1.0, 1.0)
_EXP64 = (
    2.4999483656901297e-08,
    2.76305465185035e-07,
    2.75575896428365e-06,
    2.4801492317975648e-05,
    0.000198412695013055,
    0.0013888888944323338,
    0.00833333333349762,
    0.04166666666652779,
    0.16666666666666408,
    0.5000000000000011,
    1.0,
    1.0,
)
# atanh(s)/s in s^2: for |s| <= 0.1716 (log), and for s <= 1/3 (log1p)
_ATANH32, _ATANH64, _WIDE_ATANH32, _WIDE_ATANH64 = (
    tuple(1 / n for n in range(last, 0, -2)) for last in (9, 21, 13, 31)
)
# log(2) = high + low, the high part with so few bits that its product with an exponent is exact
_LOG2_HIGH, _LOG2_LOW = 0.693359375, math.log(2) - 0.693359375

_exp_series = by_precision(lambda x: polynomial(x, _EXP32), lambda x: polynomial(x, _EXP64))
_atanh_series = by_precision(lambda x: polynomial(x, _ATANH32), lambda x: polynomial(x, _ATANH64))
_wide_atanh_series = by_precision(
    lambda x: polynomial(x, _WIDE_ATANH32), lambda x: polynomial(x, _WIDE_ATANH64)
)
_mantissa_bits = by_precision(lambda x: np.int32(23), lambda x: np.int64(52))
_bias = by_precision(lambda x: np.int32(127), lambda x: np.int64(1023))
# whole numbers are the last bits of what lies from this number to 4/3 of it
_rounder = by_precision(lambda x: np.float32(1.5 * 2**23), lambda x: np.float64(1.5 * 2**52))
_largest_exp = by_precision(lambda x: np.float32(88.0), lambda x: np.float64(709.0))


@inline
def exp(x):
    """Exponential; the argument is clamped to +-88 in float32 and +-709 in float64."""
    real = type(x)
    limit = _largest_exp(x)
    x = limit if x > limit else x  # written so that NaN passes
    x = -limit if x < -limit else x
    rounded = x * real(1 / math.log(2)) + _rounder(x)  # its last bits are the exponent of 2
    n = rounded - _rounder(x)
    r = (x - n * real(_LOG2_HIGH)) - n * real(_LOG2_LOW)
    bits, bias = _mantissa_bits(x), _bias(x)
    integer = type(bits)
    power = bitcast(integer(integer(bitcast(rounded) + bias) << bits))
    return _exp_series(r) * power


@inline
def log(x):
    """Natural logarithm of a positive normal number; NaN of NaN."""
    real = type(x)
    bits = _mantissa_bits(x)
    integer = type(bits)
    # x = 2^exponent * m with m in [sqrt(1/2), sqrt(2)), so that nothing cancels where x is close to 1
    exponent = integer(integer(bitcast(x) - bitcast(real(math.sqrt(0.5)))) >> bits)
    m = bitcast(integer(bitcast(x) - integer(exponent << bits)))
    s = (m - real(1)) / (m + real(1))
    result = real(exponent) * real(math.log(2)) + real(2) * s * _atanh_series(s * s)
    return x if np.isnan(x) else result


@inline
def log1p(x):
    """Natural logarithm of 1 + x for x from 0 to 1, accurate for small x too."""
    real = type(x)
    s = x / (real(2) + x)
    return real(2) * s * _wide_atanh_series(s * s)


# tanh in float32: x P(x^2) / Q(x^2) on [-7.9, 7.9], a minimax fit (Lawson's weighted least squares) with a
# relative error of 1.3e-7; beyond, it is 1 to 2.8e-7. Highest power first.
_TANH32_LIMIT = 7.9
_TANH32_P = (1.15318373e-05, 0.00296047306, 0.129344173, 0.999999869)
_TANH32_Q = (2.4925475e-07, 0.000240012024, 0.0238540819, 0.462676439, 1.0)
# tanh in float64 on [-0.625, 0.625]: x + x^3 P(x^2) / Q(x^2) (Cephes, Moshier 1984)
_TANH64_P = (-9.64399179425052238628e-1, -9.92877231001918586564e1, -1.61468768441708447952e3)
_TANH64_Q = (1.0, 1.12811678491632931402e2, 2.23548839060100448583e3, 4.84406305325125486048e3)


def _tanh32(x):
    limit = np.float32(_TANH32_LIMIT)
    x = limit if x > limit else x
    x = -limit if x < -limit else x
    t = x * x
    return x * polynomial(t, _TANH32_P) / polynomial(t, _TANH32_Q)


def _tanh64(x):
    t = x * x
    small = x + x * t * (polynomial(t, _TANH64_P) / polynomial(t, _TANH64_Q))
    large = 1.0 - 2.0 / (exp(2.0 * abs(x)) + 1.0)
    large = -large if x < 0.0 else large
    return large if abs(x) > 0.625 else small  # NaN takes the small branch


tanh = by_precision(_tanh32, _tanh64)


@inline
def relu(x):
    """Rectifier max(x, 0)."""
    zero = type(x)(0)
    return zero if x < zero else x


@inline
def sigmoid(x):
    """Logistic function 1 / (1 + exp(-x))."""
    one = type(x)(1)
    return one / (one + exp(-x))


@inline
def silu(x):
    """Sigmoid linear unit x sigmoid(x), also called swish."""
    lowest = -_largest_exp(x)  # where the sigmoid, clamped, no longer falls
    return (lowest if x < lowest else x) * sigmoid(x)


# erfc(z) = t exp(-z^2 + P(t)) with t = 1 / (1 + z/2), fractional error 1.2e-7 (Press et al. 1992,
# Numerical Recipes in C, section 6.2); highest power first
_ERFC32 = (
    0.17087277,
    -0.82215223,
    1.48851587,
    -1.13520398,
    0.27886807,
    -0.18628806,
    0.09678418,
    0.37409196,
    1.00002368,
    -1.26551223,
)


def _half_erfc32(x):
    t = np.float32(1) / (np.float32(1) + np.float32(0.5) * x)
    return np.float32(0.5) * t * exp(polynomial(t, _ERFC32) - x * x)


def _half_erfc64(x):
    return 0.5 * math.erfc(x)


_half_erfc = by_precision(_half_erfc32, _half_erfc64)


@inline
def gelu(x):
    """Gaussian error linear unit x Phi(x), exact, not its tanh approximation."""
    real = type(x)
    tail = _half_erfc(abs(x) * real(math.sqrt(0.5)))  # P(Z > |x|)
    lowest = real(-40)  # where the tail is 0, so that -inf gives 0 too
    return (lowest if x < lowest else x) * (tail if x < real(0) else real(1) - tail)
