"""Fingerprints of rows: 64 bits that tell the rows of a population apart."""

import numpy as np

from evoopt.compiling.jit import inline, kernel, twin_of
from evoopt.rules.fingerprint import mixed, sum_of_words


@inline
def _sum_in_a_loop(words, first):
    total = np.uint64(0)
    for i in range(len(words)):
        total = sum_of_words(total, mixed(words[i], first + i))
    return total


@twin_of(_sum_in_a_loop)
def _sum_of_mixed(words, first):
    return mixed(words, first + np.arange(len(words))).sum()  # (in Python a loop would take minutes)


@kernel(allocates=False)
def sum_mixed_words(words, first, out, lo, hi):
    """Write the sums of rows [lo, hi) of `words` (popsize, words) into `out` (popsize,).

    Each word of 32 bits is mixed with its place in the row; the first word of `words` has the place
    `first`. The loop is vectorized, because integer sums may be reordered.
    """
    for r in range(lo, hi):
        out[r] = _sum_of_mixed(words[r], first)
