"""Fingerprints of rows: sums of their mixed words, 64 bits that tell rows apart."""

import numpy as np

from evoopt.compiling.jit import inline, twin_of

_MASK = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)
_GOLDEN = np.uint64(0x9E3779B1)  # odd constants of XXH32
_M0, _M1 = np.uint64(0x85EBCA77), np.uint64(0xC2B2AE3D)


@inline
def _sum_of_words(x, y):
    return x + y


@twin_of(_sum_of_words)
def sum_of_words(x, y):
    """Return the sum modulo 2^64."""  # (NumPy warns of numbers that wrap around, not of arrays)
    return x + y if isinstance(x, np.ndarray) else np.uint64((int(x) + int(y)) % 2**64)


@inline
def mixed(word, i):
    """Return the share of the word at place i in the fingerprint of its row.

    Two products of 32 by 32 bits: the second one mixes the halves of the first, so that no change
    of one word, nor an exchange of two, goes unseen.
    """
    word = (np.uint64(word) + np.uint64(i) * _GOLDEN) & _MASK
    first = word * _M0
    return sum_of_words(first, ((first >> _SHIFT) ^ (first & _MASK)) * _M1)
