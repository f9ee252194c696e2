"""Scalar rules of all kernels, in the precision of their argument: exp, log, activations.

Branchless and without calls, so that loops over them are vectorized. NaN stays NaN, and infinite
arguments have the limit as result, or NaN if there is none. Relative errors are below 1e-6 in
float32 and 1e-12 in float64 wherever the result is a normal number (tests/test_math.py measures
them; only sin has a range). The polynomials and rational functions are minimax fits (Lawson's
reweighted least squares, or Remez's exchange) on the ranges given, highest power first. A rule
divides at most once: the divider works beside the multiplications, to which an approximate
reciprocal with Newton steps would add.
"""

import math

import numpy as np

from evoopt.compiling.jit import inline
from evoopt.rules.bits import bitcast, by_precision, constant, polynomial
from evoopt.rules.philox import COSINE, SINE

_mantissa_bits = constant(np.int32(23), np.int64(52))
_bias = constant(np.float32(127), np.float64(1023))
# Added to a number below 2^22 (2^51), it leaves the nearest integer in the lowest bits of the sum.
_to_integer = constant(np.float32(1.5 * 2**23), np.float64(1.5 * 2**52))

# (exp(r) - 1 - r) / r^2 on [-log(2)/2, 0.6975], relative errors of 1.4e-7 and 2e-15 in exp(r) - 1
_EXP32 = (0.00160968643, 0.00832948631, 0.0416286426, 0.166669052, 0.500001436)
_EXP64 = (
    2.9388470022538901e-8,
    2.73525829719692273e-7,
    2.75498277859409622e-6,
    2.48022792958518262e-5,
    1.98412698540994168e-4,
    1.38888881744279826e-3,
    8.33333333775000868e-3,
    4.16666666694630715e-2,
    0.166666666666533233,
    0.499999999999969819,
)
# named here: a call of math.log in a rule is made at run time on CUDA, in float64
_LOG2, _SQRT2 = math.log(2), math.sqrt(2)
# log(2) = high + low, the high part with so few bits that its product with an exponent is exact
_LOG2_HIGH, _LOG2_LOW = 0.693359375, _LOG2 - 0.693359375

_exp_series = polynomial(_EXP32, _EXP64)


@inline
def _exp_parts(high, low, shift):
    """Return E and p, a power of two or 0: exp(high + low) 2^shift = (1 + E) p."""
    real = type(high)
    bias, offset = _bias(high) + real(shift), _to_integer(high)
    lowest = bias * real(-_LOG2)
    high = lowest if high < lowest else high  # written so that NaN passes
    t = high * real(1 / _LOG2) + (offset + bias)
    largest = offset + real(2) * _bias(high)  # the last 0.35 before overflow are left to the series
    t = largest if t > largest else t
    n = t - (offset + bias)
    r = ((high - n * real(_LOG2_HIGH)) - n * real(_LOG2_LOW)) + low
    bits = _mantissa_bits(high)
    power = bitcast(type(bits)(bitcast(t) << bits))
    return r + r * r * _exp_series(r), power


@inline
def exp(x):
    """Return exp(x), or 0 if that is below the normal numbers."""
    e, power = _exp_parts(x, type(x)(0), 0)
    return power * e + power


# (log(1 + f) - f) / f^2 on [sqrt(1/2) - 1, sqrt(2) - 1], relative errors of 2e-7 and 1.1e-14 in
# log(1 + f)
_LOG32 = (-0.100822846, 0.161804786, -0.172432427, 0.199068857, -0.249712274, 0.333347149, -0.500003235)
_LOG64 = (
    0.0363857908879448081,
    -0.075169122558841652,
    0.0780030723391209797,
    -0.0714940485232797088,
    0.0752312168526301938,
    -0.0831209552960012696,
    0.0910319495776199111,
    -0.100021717826928781,
    0.111106303836523646,
    -0.124999041132252172,
    0.142857243754598493,
    -0.166666686770163814,
    0.199999998966563172,
    -0.249999999822895459,
    0.333333333337164315,
    -0.500000000000420503,
)

_log_series = polynomial(_LOG32, _LOG64)


@inline
def log(x):
    """Return the natural logarithm of a positive normal number; NaN for NaN."""
    real = type(x)
    bits = _mantissa_bits(x)
    integer = type(bits)
    # x = 2^exponent * m with m in [sqrt(1/2), sqrt(2)), so that nothing cancels where x is close to
    # 1
    exponent = integer(integer(bitcast(x) - bitcast(real(_SQRT2 / 2))) >> bits)
    f = bitcast(integer(bitcast(x) - integer(exponent << bits))) - real(1)
    result = real(exponent) * real(_LOG2) + (f + f * f * _log_series(f))
    return x if np.isnan(x) else result


# tanh in float32: x P(x^2) / Q(x^2) on [-7.9, 7.9], relative error 1.3e-7; beyond, it is 1 to
# 2.8e-7
_TANH32_LIMIT = 7.9
_TANH32_P = (1.15318373e-05, 0.00296047306, 0.129344173, 0.999999869)
_TANH32_Q = (2.4925475e-07, 0.000240012024, 0.0238540819, 0.462676439, 1.0)

_tanh_p, _tanh_q = polynomial(_TANH32_P, ()), polynomial(_TANH32_Q, ())  # float32 alone uses them


def _tanh32(x):
    limit = np.float32(_TANH32_LIMIT)
    x = limit if x > limit else x
    x = -limit if x < -limit else x
    t = x * x
    return x * _tanh_p(t) / _tanh_q(t)


def _tanh64(x):
    e, power = _exp_parts(-2.0 * abs(x), 0.0, 0)
    e = power * e + (power - 1.0)  # exp(-2|x|) - 1
    y = -e / (e + 2.0)
    return -y if x < 0.0 else y


tanh = by_precision(_tanh32, _tanh64)


@inline
def relu(x):
    """Return the rectifier max(x, 0)."""
    zero = type(x)(0)
    return zero if x < zero else x


@inline
def leaky_relu(x, slope=0.01):
    """Return x, or `slope` times x if x is negative."""
    real = type(x)
    return x if x > real(0) else x * real(slope)


@inline
def hardtanh(x, lowest=-1.0, highest=1.0):
    """Return x, or the nearest number from `lowest` to `highest`."""
    real = type(x)
    x = real(lowest) if x < real(lowest) else x
    return real(highest) if x > real(highest) else x


@inline
def elu(x, alpha=1.0):
    """Return the exponential linear unit: x, or alpha (exp(x) - 1) if x is negative."""
    real = type(x)
    e, power = _exp_parts(-relu(-x), real(0), 0)
    return x if x > real(0) else real(alpha) * (power * e + (power - real(1)))


# with which normal deviates keep their mean and variance (Klambauer et al. 2017)
_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772, 1.0507009873554805


@inline
def selu(x):
    """Return the scaled exponential linear unit, 1.0507 elu(x) with an alpha of 1.6733."""
    return type(x)(_SELU_SCALE) * elu(x, _SELU_ALPHA)


@inline
def softplus(x):
    """Return softplus, log(1 + exp(x)), a smooth rectifier."""
    real = type(x)
    e = exp(-abs(x))
    # log(1 + e) by the series of log, for which 1 + e is halved where it is above sqrt(2)
    halved = e > real(_SQRT2 - 1)
    f = real(0.5) * e - real(0.5) if halved else e
    return relu(x) + (real(_LOG2) if halved else real(0)) + (f + f * f * _log_series(f))


@inline
def sigmoid(x):
    """Return the logistic function 1 / (1 + exp(-x))."""
    one = type(x)(1)
    e = exp(-abs(x))
    return (e if x < type(x)(0) else one) / (one + e)


# silu and gelu are x times a probability that leaves the normal numbers before its product with x
# does: where x is negative the probability is 2^16 times as large and x as much smaller.
_SHIFT, _SCALE = 16, 2.0**16


@inline
def silu(x):
    """Return the sigmoid linear unit x sigmoid(x), also called swish."""
    real = type(x)
    one = real(1)
    e, power = _exp_parts(-abs(x), real(0), _SHIFT)
    e = power * e + power
    lowest = _bias(x) * real(-1)  # exp of it is 0 even if scaled
    factor = (lowest if x < lowest else x) * real(1 / _SCALE) if x < real(0) else x
    return factor * ((e if x < real(0) else one) / (one + e * real(1 / _SCALE)))


# P(Z > z) exp(z^2 / 2) for a normal deviate Z is P(z) / Q(z): on [0, 14.2] with a relative error of
# 6e-9, on [0, 38.7] with 3e-15
_TAIL32_P = (0.00409368271, 0.0404809496, 0.182783466, 0.437685193, 0.500000003)
_TAIL32_Q = (0.0102612158, 0.101477353, 0.468278152, 1.20062693, 1.67325535, 1.0)
_TAIL64_P = (
    8.114116266718608e-06,
    0.00018566208400296277,
    0.0020724568044714117,
    0.01449002348789813,
    0.06885820096823514,
    0.22722099802071363,
    0.5099839310215352,
    0.7190170241585261,
    0.5000000000000013,
)
_TAIL64_Q = (
    2.033907325698122e-05,
    0.00046538582943739866,
    0.00521521788530728,
    0.03678648897735686,
    0.17775609584903554,
    0.604949327694434,
    1.4407485370779705,
    2.303972799459635,
    2.235918609120376,
    1.0,
)

_tail_p = polynomial(_TAIL32_P, _TAIL64_P)
_tail_q = polynomial(_TAIL32_Q, _TAIL64_Q)
_tail_end = constant(np.float32(14.2), np.float64(38.7))  # the scaled tail is 0 there
# the upper half of a mantissa, whose square is exact
_upper_half = constant(np.int32(-(2**12)), np.int64(-(2**27)))


@inline
def gelu(x):
    """Return the Gaussian error linear unit x Phi(x), exact, not its tanh approximation."""
    real = type(x)
    end = _tail_end(x)
    z = abs(x)
    z = end if z > end else z
    mask = _upper_half(z)
    high = bitcast(type(mask)(bitcast(z) & mask))
    rest = z - high  # z^2 / 2 = high^2 / 2 + rest (high + rest / 2)
    e, power = _exp_parts(real(-0.5) * (high * high), -rest * (high + real(0.5) * rest), _SHIFT)
    tail = (power * e + power) * (_tail_p(z) / _tail_q(z))
    factor = (-end if x < -end else x) * real(1 / _SCALE) if x < real(0) else x
    return factor * (tail if x < real(0) else real(1) - tail * real(1 / _SCALE))


# sin(r) = r + r^3 P(r^2) on [-pi/2, pi/2], relative errors of 6e-9 and 2e-16
_SIN32 = (2.60578072e-06, -0.000198096029, 0.00833306625, -0.166666596)
_SIN64 = (
    -7.37334455980481544e-13,
    1.60480954092461679e-10,
    -2.50518802740974185e-8,
    2.75573166005585436e-6,
    -0.000198412698250563295,
    0.00833333333328554177,
    -0.166666666666661864,
)
# pi in four parts, the first three of so few bits (12 and 26) that their products with a whole
# number of up to 4096 in float32, and 2^27 in float64, are exact
_PI32 = 3.140625, 0.000967502593994140625, 1.50990672409534454e-07, 5.12668830318903758e-12
_PI64 = 3.14159262180328369, 3.17865094245917135e-08, 1.22464678641071885e-16, 1.27366343270219003e-24

_sin_series = polynomial(_SIN32, _SIN64)
_pi_1, _pi_2, _pi_3, _pi_4 = (
    constant(np.float32(single), np.float64(double)) for single, double in zip(_PI32, _PI64, strict=True)
)


@inline
def sin(x):
    """Return the sine, as exact as the other rules up to abs(x) of 4096 pi, in float64 2^27 pi.

    Beyond, the error grows with x, and the result stays in [-1, 1]. Infinity makes NaN.
    """
    real = type(x)
    t = x * real(1 / math.pi) + _to_integer(x)
    n = t - _to_integer(x)
    r = (((x - n * _pi_1(x)) - n * _pi_2(x)) - n * _pi_3(x)) - n * _pi_4(x)
    z, end = abs(r), real(math.pi / 2)
    z = end if z > end else z
    y = z + z * (z * z) * _sin_series(z * z)
    y = real(1) if y > real(1) else y
    return -y if (r < real(0)) != ((bitcast(t) & 1) != 0) else y


ELEMENTWISE = {  # activations by name
    "tanh": tanh,
    "relu": relu,
    "sigmoid": sigmoid,
    "gelu": gelu,
    "silu": silu,
    "swish": silu,
    "elu": elu,
    "selu": selu,
    "leaky_relu": leaky_relu,
    "softplus": softplus,
    "hardtanh": hardtanh,
    "sin": sin,
}
NUMBERS = {  # that some of these rules take after x, and have a default for
    "leaky_relu": ("slope",),
    "elu": ("alpha",),
    "hardtanh": ("lowest", "highest"),
}

# pi/2 in three parts; the products of the first two with a number below 2^20 are exact
_HALF_PI = 1.57079632673412561, 6.07710050630396598e-11, 2.02226624879595063e-21
_sine, _cosine = polynomial(SINE[8], SINE[8]), polynomial(COSINE[8], COSINE[8])


@inline
def sin_cos(x):
    """Return sine and cosine of a float64; errors are below 3e-16 up to abs(x) of 1e6."""
    t = x * (2 / math.pi) + _to_integer(x)
    n, quadrant = t - _to_integer(x), bitcast(t)
    a = ((x - n * _HALF_PI[0]) - n * _HALF_PI[1]) - n * _HALF_PI[2]
    s, c = a * _sine(a * a), _cosine(a * a)
    odd = (quadrant & 1) != 0
    sine, cosine = c if odd else s, s if odd else c
    sine = -sine if (quadrant & 2) != 0 else sine
    return sine, -cosine if ((quadrant + 1) & 2) != 0 else cosine
