"""A user's compiled function of one vector, evaluated on the rows of a population."""

import functools
from collections.abc import Callable
from typing import Any

from evoopt.compiling.jit import closure


@functools.lru_cache(maxsize=64)  # a function's loop is compiled once; the oldest are let go
def loop_over_rows(function: Callable[..., Any]) -> Callable[..., None]:
    """Return ``loop(population, arguments, fitness, lo, hi)``: fitness[i] = function(*arguments).

    It is for i in [lo, hi), without the GIL. The first of the arguments is a vector that the row is copied
    to, so the function may write into it. As the tuple begins with it, numba does not look for one type of
    all functions among the others, of which it warns.
    """

    @closure
    def loop(population, arguments, fitness, lo, hi):
        x = arguments[0]
        for i in range(lo, hi):
            for j in range(len(x)):
                x[j] = population[i, j]
            fitness[i] = function(*arguments)

    return loop
