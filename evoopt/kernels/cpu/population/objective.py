"""A user's compiled function of one vector, evaluated on the rows of a population."""

import functools
from collections.abc import Callable
from typing import Any

from evoopt.compiling.jit import closure


@functools.lru_cache(maxsize=64)  # a loop for each function; the oldest are let go
def loop_over_rows(function: Callable[..., Any]) -> Callable[..., None]:
    """Return ``loop(population, arguments, fitness, lo, hi)``: fitness[i] = function(*arguments).

    It runs for i in [lo, hi), without the GIL. The first argument is a vector that the row is
    copied to, so the function may write into it. Because the tuple begins with a vector, numba does
    not look for one type of all functions among the other arguments, which would warn.
    """

    @closure
    def loop(population, arguments, fitness, lo, hi):
        x = arguments[0]
        for i in range(lo, hi):
            for j in range(len(x)):
                x[j] = population[i, j]
            fitness[i] = function(*arguments)

    return loop
