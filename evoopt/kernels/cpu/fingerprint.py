"""Fingerprints of rows: 64 bits that tell rows of a population apart by their bits."""

import numpy as np

from evoopt.kernels.jit import JIT_DISABLED, inline, kernel

_MASK = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)
_GOLDEN = np.uint64(0x9E3779B1)  # odd constants of XXH32
_M0, _M1 = np.uint64(0x85EBCA77), np.uint64(0xC2B2AE3D)


@inline
def _add(x, y):
    """Sum modulo 2^64."""
    return x + y


def _add_python(x, y):
    return np.uint64((int(x) + int(y)) % 2**64)


if JIT_DISABLED:  # NumPy warns of what wraps around
    _add = _add_python


@kernel
def fingerprint_rows(rows, out, lo, hi):
    """Write the fingerprints of rows [lo, hi) of `rows` (popsize, n) into `out` (popsize,) uint64.

    The sum over the words of 32 bits of two products, of 32 by 32 bits each: the second one mixes the halves
    of the first, so that no change of one word, nor an exchange of two, goes unseen. Never 0. Vectorizes, as
    integer sums may be reordered.
    """
    bits = rows.view(np.uint32)
    for r in range(lo, hi):
        words = bits[r]
        total = np.uint64(0)
        for i in range(len(words)):
            word = (np.uint64(words[i]) + np.uint64(i) * _GOLDEN) & _MASK
            first = word * _M0
            second = ((first >> _SHIFT) ^ (first & _MASK)) * _M1
            total = _add(total, _add(first, second))
        out[r] = max(total, np.uint64(1))
