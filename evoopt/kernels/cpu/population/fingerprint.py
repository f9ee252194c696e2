"""Fingerprints of rows: 64 bits that tell the rows of a population apart."""

import numpy as np

from evoopt.compiling.jit import inline, kernel, twin_of
from evoopt.rules.fingerprint import mixed, sum_of_words


@inline
def _sum_in_a_loop(words):
    total = np.uint64(0)
    for i in range(len(words)):
        total = sum_of_words(total, mixed(words[i], i))
    return total


@twin_of(_sum_in_a_loop)
def _sum_of_mixed(words):
    return mixed(words, np.arange(len(words))).sum()  # (in Python a loop would take minutes)


@kernel(allocates=False)
def fingerprint_rows(words, out, lo, hi):
    """Write the fingerprints of rows [lo, hi) of `words` (popsize, words) into `out` (popsize,).

    A fingerprint is the sum of the row's words of 32 bits, each mixed with its place, and never 0.
    The loop is vectorized, because integer sums may be reordered.
    """
    for r in range(lo, hi):
        out[r] = max(_sum_of_mixed(words[r]), np.uint64(1))
