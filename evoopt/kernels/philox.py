"""Counter-based random numbers: every deviate is a pure function of the seed, the row and the column.

Salmon, Moraes, Dror and Shaw 2011, Parallel random numbers: as easy as 1, 2, 3 (Philox4x32-10),
https://doi.org/10.1145/2063384.2063405; Box and Muller 1958, A note on the generation of random normal
deviates, https://doi.org/10.1214/aoms/1177706645.

The key is the seed (64 bits). The counter is the row's number (64 bits), the block of columns (32) and the
purpose (32). Integer arithmetic is in uint64 with masks, so that it means the same without the JIT.
"""

import math

import numpy as np

from evoopt.kernels.bits import by_precision, polynomial
from evoopt.kernels.jit import inline
from evoopt.kernels.math import log

# Purposes: two uses of the same row's numbers must differ in this word of the counter.
NOISE, CHOICE, CROSSOVER, MUTATION, STEP = range(5)

LANES = 16  # blocks made side by side; part of the definition of the stream
COLUMNS = 4 * LANES  # normals a group of LANES blocks gives

_MASK = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)
_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_W0, _W1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)


@inline
def philox(c0, c1, c2, c3, k0, k1):
    """Ten rounds of Philox4x32 on four counter words and two key words, all 32 bits in uint64."""
    for _ in range(10):
        p0 = _M0 * c0
        p1 = _M1 * c2
        c0, c1, c2, c3 = (p1 >> _SHIFT) ^ c1 ^ k0, p1 & _MASK, (p0 >> _SHIFT) ^ c3 ^ k1, p0 & _MASK
        k0 = (k0 + _W0) & _MASK
        k1 = (k1 + _W1) & _MASK
    return c0, c1, c2, c3


# Taylor series in the square of the angle, highest power first; with |a| <= pi/4 the first term left out is
# below half a unit in the last place of float32 and of float64.
_SIN32, _SIN64 = (
    tuple((-1) ** k / math.factorial(2 * k + 1) for k in range(last, -1, -1)) for last in (4, 8)
)
_COS32, _COS64 = (tuple((-1) ** k / math.factorial(2 * k) for k in range(last, -1, -1)) for last in (5, 9))

_sin_series = by_precision(lambda x: polynomial(x, _SIN32), lambda x: polynomial(x, _SIN64))
_cos_series = by_precision(lambda x: polynomial(x, _COS32), lambda x: polynomial(x, _COS64))


@inline
def box_muller(radius_word, angle_word, like):
    """Two normal deviates of the type of `like` from two uint32; + - * / and sqrt alone, no libm.

    All 32 bits count, so the tail reaches sqrt(-2 log(2^-33)) = 6.76 sigma.
    """
    real = type(like)
    u = real(radius_word) * real(2.0**-32) + real(2.0**-33)
    radius = np.sqrt(real(-2) * log(u))
    # the two highest bits choose the quadrant, the others an angle a in [-pi/4, pi/4) within it
    quadrant = angle_word >> np.uint32(30)
    a = real(np.int32(angle_word & np.uint32(0x3FFFFFFF)) - np.int32(1 << 29)) * real(math.pi / 2**31)
    sine, cosine = a * _sin_series(a * a), _cos_series(a * a)
    x = sine if quadrant & np.uint32(1) else cosine
    y = cosine if quadrant & np.uint32(1) else sine
    x = -x if (quadrant == np.uint32(1)) | (quadrant == np.uint32(2)) else x
    y = -y if quadrant & np.uint32(2) else y
    return radius * x, radius * y


@inline
def words(key, row, group, purpose, out):
    """Fill `out` (4, LANES) uint32 with the words of one group of blocks of a row."""
    k0, k1 = key & _MASK, key >> _SHIFT
    for lane in range(LANES):
        block = np.uint64(group * LANES + lane)
        w0, w1, w2, w3 = philox(row & _MASK, row >> _SHIFT, block, np.uint64(purpose), k0, k1)
        out[0, lane] = w0
        out[1, lane] = w1
        out[2, lane] = w2
        out[3, lane] = w3


@inline
def normals(key, row, group, purpose, word_buffer, out, wanted=COLUMNS):
    """Fill `out` (4, LANES) with the normal deviates of columns [64 group, 64 group + 64) of a row.

    If only the first `wanted` of them are of use, the second half may be left out.
    """
    words(key, row, group, purpose, word_buffer)
    for pair in range(0, 4 if wanted > 2 * LANES else 2, 2):
        for lane in range(LANES):
            x, y = box_muller(word_buffer[pair, lane], word_buffer[pair + 1, lane], out[pair, lane])
            out[pair, lane] = x
            out[pair + 1, lane] = y
