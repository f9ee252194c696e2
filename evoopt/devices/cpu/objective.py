"""Objectives on the CPU: a compiled loop around the user's function, run by the threads."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from evoopt import threads
from evoopt.compiling.arrays import kernel_array
from evoopt.compiling.jit import explained
from evoopt.devices.interface.objective import ObjectiveEngine
from evoopt.kernels.cpu.population.objective import loop_over_rows
from evoopt.types import Array, Vector

WORTH_A_THREAD = 100e-6  # seconds of work


class CpuObjective(ObjectiveEngine):
    """An njit function of one vector, evaluated in compiled code.

    The time that a call takes decides how many rows are worth a thread in the next call; only the
    speed depends on it.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        # A parallel function uses numba's threads, which not every threading layer allows several
        # threads to start at once.
        self._parallel = getattr(function, "targetoptions", {}).get("parallel", False)
        self._grain = 1  # rows worth a thread, as far as known

    def __call__(self, args: tuple[Any, ...], population: Array, fitness: Vector) -> None:
        dtype = np.float32 if population.dtype == np.float32 else np.float64
        rows = kernel_array(population, dtype)
        loop, seconds = loop_over_rows(self._function), []
        does = f"a vector of {rows.dtype} and the args, and return one number"

        def evaluate(lo: int, hi: int) -> None:
            start = time.perf_counter()
            loop(rows, (np.empty(rows.shape[1], dtype), *args), fitness, lo, hi)
            seconds.append(time.perf_counter() - start)

        with explained(self._function, does, Exception):  # the function itself does not run here
            evaluate(0, 0)  # compiles, if this was not done before
        seconds.clear()
        threads.run(evaluate, len(rows), grain=max(len(rows), 1) if self._parallel else self._grain)
        self._grain = int(WORTH_A_THREAD * len(rows) / max(sum(seconds), 1e-9)) + 1
