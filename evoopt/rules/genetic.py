"""Crossover and mutation of a genetic algorithm: their codes, and their random numbers."""

import math

import numpy as np

from evoopt.rules.philox import COLUMNS, minus_two_log, polynomial

CLONE, UNIFORM, SBX, ARITHMETIC, TENSOR = range(5)
GAUSSIAN, POLYNOMIAL = range(2)
ALWAYS = 2**32  # the threshold of a mutation rate of 1
MOST_CONTESTANTS = COLUMNS // 2  # two tournaments share one group of words


# exp(x) for |x| <= log(2^31) / 64, as long as half a unit in the last place asks for
_EXP = {
    4: tuple(1 / math.factorial(k) for k in range(6, -1, -1)),
    8: tuple(1 / math.factorial(k) for k in range(12, -1, -1)),
}


def _side_and_rest(word, dtype):
    """Return whether u, the lower 31 bits of a word, is above 1/2; and 2 u or 2 - 2 u in (0, 1)."""
    above, rest = (word << 1).view(np.int32) < 0, word.view(np.int32) & 0x3FFFFFFF
    return above, np.where(above, rest ^ 0x3FFFFFFF, rest).astype(dtype) * 2.0**-30 + 2.0**-31


def _sixteenth_power(exponent):
    """Return exp(exponent / 16) of `exponent` in [-22, 22]."""
    root = polynomial(exponent * (1 / 64), _EXP[exponent.dtype.itemsize])
    square = root * root
    return square * square


def spread_factors(words, dtype):
    """Return beta of SBX with distribution index 15 where the highest bit is set, else 0.

    With u in (0, 1) from the other bits it is (2 u)^(1/16) below 1/2, and (2 - 2 u)^(-1/16) above.
    """
    factors = []
    for word in words:
        above, t = _side_and_rest(word, dtype)
        minus_log = minus_two_log(t) * 0.5
        beta = _sixteenth_power(np.where(above, minus_log, -minus_log))
        factors.append(np.where(word.view(np.int32) < 0, beta, 0.0))
    return factors


# The standard deviation of Deb's polynomial distribution on [-1, 1] with index 15
_SPREAD = math.sqrt(1 - 32 / 17 + 16 / 18)


def polynomial_steps(words, dtype):
    """Return steps of polynomial mutation with index 15, in their standard deviation.

    With u in (0, 1) they are (2 u)^(1/16) - 1 below 1/2, and 1 - (2 - 2 u)^(1/16) above.
    """
    steps = []
    for word in words:
        above, t = _side_and_rest(word, dtype)
        step = (_sixteenth_power(minus_two_log(t) * -0.5) - 1.0) * (1 / _SPREAD)
        steps.append(np.where(above, -step, step))
    return steps
