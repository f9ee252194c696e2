"""The record of one run: evaluations to each target, and the area under its run-time ECDF."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.coco.domain import Domain

Array = NDArray[Any]

PRECISIONS = 10.0 ** np.linspace(2, -8, 51)  # targets, as differences to the optimum
PRECISION = float(PRECISIONS[-1])  # a run that reaches it has solved the problem


class Stopped(BaseException):
    """The end of a run, because its last target is reached or its budget is used up.

    It is no Exception, so that no solver catches it.
    """


class Recorder:
    """A function that counts its evaluations, and notes the first that reaches each target.

    Parameters
    ----------
    function : callable
        A function of x (dim,).
    minimum : float
        Its smallest value.
    dim, budget : int
        Coordinates, and the evaluations that a run may use.
    precisions : array_like
        Targets as differences to the minimum, in falling order.
    domain : Domain, optional
        The space and the starts of a mixed problem.

    Attributes
    ----------
    evaluations : int
    hits : list of int
        The number of the first evaluation that reached each target, for the targets reached so far.
    """

    def __init__(
        self,
        function: Callable[[Array], float],
        minimum: float,
        dim: int,
        budget: int,
        precisions: Array = PRECISIONS,
        domain: Domain | None = None,
    ) -> None:
        self.dim, self.budget, self.domain = dim, budget, domain
        self.evaluations = 0
        self.hits: list[int] = []
        self._function = function
        self._targets = [*(minimum + precisions).tolist(), -np.inf]  # nothing reaches the last
        self._next = self._targets[0]

    @property
    def solved(self) -> bool:
        return self._next == -np.inf

    def __call__(self, x: Array) -> float:
        if self.solved or self.evaluations >= self.budget:
            raise Stopped
        value = self._function(x)
        self.evaluations += 1
        while value <= self._next:
            self.hits.append(self.evaluations)
            self._next = self._targets[len(self.hits)]
        return value


@dataclass(frozen=True)
class Run:
    """The record of a run; `failure` is the exception that ended it, if one did."""

    hits: list[int]
    evaluations: int
    wall: float  # seconds, including evaluations
    cpu: float
    failure: str | None = None


def record(solver: Callable[..., Any], fun: Recorder, rng: np.random.Generator) -> Run:
    """Run ``solver(fun, rng)`` to its end; a failure before the first evaluation is an error."""
    failure = None
    wall, cpu = time.perf_counter(), time.process_time()
    try:
        solver(fun, rng)
    except Stopped:
        pass
    except Exception as error:
        if fun.evaluations == 0:
            raise
        failure = f"{type(error).__name__}: {error}"
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return Run(fun.hits, fun.evaluations, round(wall, 4), round(cpu, 4), failure)


def hit_times(runs: list[Run]) -> Array:
    """Return evaluations to each target, infinite for targets not reached: (runs, targets)."""
    times = np.full((len(runs), len(PRECISIONS)), np.inf)
    for row, run in zip(times, runs, strict=True):
        row[: len(run.hits)] = run.hits
    return times


def areas(times: Array, dim: int, budget: int) -> Array:
    """Return the area under the ECDF of each run.

    The axis of evaluations is logarithmic from `dim` to `budget`. A target reached within `dim`
    evaluations counts 1, one reached at the end of the budget, or never, 0.

    Parameters
    ----------
    times : ndarray, shape (runs, targets)
        Evaluations to each target.
    """
    left = (np.log(budget) - np.log(np.maximum(times, dim))) / np.log(budget / dim)
    return np.clip(left, 0, 1).mean(axis=1)
