"""Fingerprints of rows: 64 bits that tell rows of a population apart by their bits."""

import numpy as np

from evoopt.kernels.jit import JIT_DISABLED, inline, kernel

_MASK = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)
_GOLDEN = np.uint64(0x9E3779B1)  # odd constants of XXH32
_M0, _M1 = np.uint64(0x85EBCA77), np.uint64(0xC2B2AE3D)


@inline
def sum_of_words(x, y):
    """Sum modulo 2^64."""
    return x + y


def _sum_python(x, y):
    return x + y if isinstance(x, np.ndarray) else np.uint64((int(x) + int(y)) % 2**64)


if JIT_DISABLED:  # NumPy warns of numbers that wrap around, not of arrays
    sum_of_words = _sum_python


@inline
def mixed(word, i):
    """What the word at place i adds to the fingerprint of its row.

    Two products of 32 by 32 bits: the second one mixes the halves of the first, so that no change of one
    word, nor an exchange of two, goes unseen.
    """
    word = (np.uint64(word) + np.uint64(i) * _GOLDEN) & _MASK
    first = word * _M0
    return sum_of_words(first, ((first >> _SHIFT) ^ (first & _MASK)) * _M1)


@inline
def _sum_of_mixed(words):
    total = np.uint64(0)
    for i in range(len(words)):
        total = sum_of_words(total, mixed(words[i], i))
    return total


def _sum_of_arrays(words):
    return mixed(words, np.arange(len(words))).sum()


if JIT_DISABLED:  # a loop over the words of large rows would take minutes
    _sum_of_mixed = _sum_of_arrays


@kernel(allocates=False)
def fingerprint_rows(words, out, lo, hi):
    """Write the fingerprints of rows [lo, hi) of `words` (popsize, words of 32 bits) into `out` (popsize,).

    The sum of the words, each mixed with its place; never 0. Vectorizes, as integer sums may be reordered.
    """
    for r in range(lo, hi):
        out[r] = max(_sum_of_mixed(words[r]), np.uint64(1))
