"""A user's compiled function of one vector, evaluated on the rows of a population."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from evoopt.compiling.jit import closure


@functools.lru_cache(maxsize=64)  # a function's loop is compiled once; the oldest are let go
def loop_over_rows(function: Callable[..., Any]) -> Callable[..., None]:
    """Return ``loop(population, args, fitness, lo, hi)``: fitness[i] = function(population[i], *args).

    It is for i in [lo, hi), without the GIL. The function gets a copy of the row, so it may write into it.
    """

    @closure
    def loop(population, args, fitness, lo, hi):
        n = population.shape[1]
        x = np.empty(n, population.dtype)
        for i in range(lo, hi):
            for j in range(n):
                x[j] = population[i, j]
            fitness[i] = function(x, *args)

    return loop
