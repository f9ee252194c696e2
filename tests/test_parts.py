"""Functions that are compiled into kernels count references to arrays if the kernel does."""

import numpy as np
import pytest
from helpers import JIT_DISABLED

from evoopt.compiling.jit import inline, kernel

pytestmark = pytest.mark.skipif(JIT_DISABLED, reason="nothing is compiled")


def test_a_part_of_both_kinds_of_kernels_frees_no_array_that_is_in_use():
    @inline
    def moved(place, distance):
        return place[0], place[1] + distance

    @kernel(allocates=False)
    def without_counts(x, at):
        array, at = moved((x, at), at)
        return array[at]

    @kernel
    def with_counts(n):
        x = np.ones(n)
        total = 0.0
        for k in range(n):
            array, at = moved((x, k), n - n)
            total += array[at]
        others = np.full(n, 7.0)  # the memory of x, if that was freed
        return total, x.sum(), others.sum()

    assert without_counts(np.ones(2), 0) == 1.0
    assert with_counts(5) == (5.0, 5.0, 35.0)
