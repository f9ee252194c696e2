"""Counter-based random numbers: each is a pure function of seed, row and column.

Salmon, Moraes, Dror and Shaw 2011, Parallel random numbers: as easy as 1, 2, 3 (Philox4x32-10),
https://doi.org/10.1145/2063384.2063405; Box and Muller 1958, A note on the generation of random
normal deviates, https://doi.org/10.1214/aoms/1177706645.

The key is the seed (64 bits). The counter is the row's number (64 bits), the block of columns (32)
and the purpose (32). The rules are NumPy expressions, for scalars, arrays and `cpu.lanes.Lanes`
alike.
"""

import math

import numpy as np

# Purposes: two uses of the same row's numbers must differ in this word of the counter.
NOISE, CHOICE, CROSSOVER, MUTATION, STEP, PLACES, CATEGORY, WHOLE = range(8)

LANES = 16  # blocks of a group, made side by side; part of the definition of the stream
COLUMNS = 4 * LANES  # normals in a group

_MASK = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)
_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_W0, _W1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)


def philox(c0, c1, c2, c3, k0, k1):
    """Apply ten rounds of Philox4x32 to counter and key words, all below 2^32 in uint64."""
    for _ in range(10):
        p0 = _M0 * c0
        p1 = _M1 * c2
        c0, c1, c2, c3 = (p1 >> _SHIFT) ^ c1 ^ k0, p1 & _MASK, (p0 >> _SHIFT) ^ c3 ^ k1, p0 & _MASK
        k0 = (k0 + _W0) & _MASK
        k1 = (k1 + _W1) & _MASK
    return c0, c1, c2, c3


def block_words(key, row, block, purpose):
    """Return the four words of blocks of a row, uint32; the arguments are uint64."""
    counter = row & _MASK, row >> _SHIFT, block, purpose
    return tuple(word.astype(np.uint32) for word in philox(*counter, key & _MASK, key >> _SHIFT))


# Polynomials by the bytes of a number, highest power first. For float32 they are minimax fits
# (Lawson's weighted least squares) whose relative error is below half a unit in the last place,
# 6e-8; for float64 they are Taylor series of the same quality. sin(a) / a and cos(a) in a^2, for
# |a| <= pi/4:
SINE = {
    4: (-0.00019501822, 0.00833201645, -0.166666502, 0.999999997),
    8: tuple((-1) ** k / math.factorial(2 * k + 1) for k in range(8, -1, -1)),
}
COSINE = {
    4: (-0.00135794041, 0.0416544196, -0.499998424, 0.999999967),
    8: tuple((-1) ** k / math.factorial(2 * k) for k in range(9, -1, -1)),
}
# float32: log(1 + f) / f in f, for 1 + f in [sqrt(1/2), sqrt(2)), which needs no division; float64:
# atanh(s) / s in s^2, for |s| <= 0.1716
_LOG32 = (
    0.0872236027,
    -0.14366849,
    0.149522676,
    -0.165623923,
    0.199568334,
    -0.250020741,
    0.333341856,
    -0.49999988,
    0.999999974,
)
_ATANH64 = tuple(1 / n for n in range(21, 0, -2))
_INTEGER = {4: np.int32, 8: np.int64}  # that has the bits of a number
_MANTISSA = {4: 23, 8: 52}  # bits


def polynomial(x, coefficients):
    """Horner's rule."""
    value = coefficients[0]
    for coefficient in coefficients[1:]:
        value = value * x + coefficient
    return value


def _scaled(coefficients, factor):
    return tuple(factor * coefficient for coefficient in coefficients)


def minus_two_log(u):
    """-2 log(u) of a normal number."""
    size = u.dtype.itemsize
    bits, one, half = u.view(_INTEGER[size]), u.dtype.type(1), u.dtype.type(math.sqrt(0.5))
    # u = 2^exponent * m with m in [sqrt(1/2), sqrt(2)), so that nothing cancels where u is close to
    # 1
    exponent = (bits - half.view(_INTEGER[size])) >> _MANTISSA[size]
    f = (bits - (exponent << _MANTISSA[size])).view(u.dtype) - one
    if size == 4:
        mantissa = f * polynomial(f, _scaled(_LOG32, -2.0))
    else:
        s = f / (f + 2.0)
        mantissa = s * polynomial(s * s, _scaled(_ATANH64, -4.0))
    return exponent.astype(u.dtype) * (-2 * math.log(2)) + mantissa


def box_muller(radius_word, angle_word, dtype):
    """Two normal deviates of `dtype` from two uint32; + - * / and sqrt alone, no libm.

    All 32 bits count, so the tail reaches sqrt(-2 log(2^-33)) = 6.76 sigma.
    """
    radius = np.sqrt(minus_two_log(radius_word.astype(dtype) * 2.0**-32 + 2.0**-33))
    # the two highest bits choose the quadrant, the others an angle a in [-pi/4, pi/4) within it
    highest, second = angle_word.view(np.int32), (angle_word << 1).view(np.int32)
    a = ((highest & 0x3FFFFFFF) - (1 << 29)).astype(dtype) * (math.pi / 2**31)
    size = a.dtype.itemsize
    sine, cosine = a * polynomial(a * a, SINE[size]), polynomial(a * a, COSINE[size])
    x, y = np.where(second < 0, sine, cosine), np.where(second < 0, cosine, sine)
    return radius * np.where((highest ^ second) < 0, -x, x), radius * np.where(highest < 0, -y, y)
