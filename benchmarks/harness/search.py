"""A live search: only its ask and its tell are timed, the evaluation between them is not."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

CONDITION = 1e6  # the ellipsoid's, so that the covariance has to move far from its start
START, SIGMA = 1.0, 0.1  # each coordinate of the mean, and the step size, at first
CONVERGED = 1e-8  # a share of the first fitness; a new search starts before numbers get too small for float32
CHECKED = 10  # generations after which the fitness must be better
WARM_UP = 10.0  # seconds that the generations which are not timed may take


class Loop(NamedTuple):
    """Ask and tell of one search in its library's own forms.

    `arguments` makes the arguments of `tell` from the result of `ask` and the fitness (popsize,).
    `rows` makes the population (popsize, d) of the result of `ask`. Neither is timed.
    """

    ask: Callable[[], Any]
    tell: Callable[..., Any]
    arguments: Callable[[Any, Array], tuple[Any, ...]] = lambda asked, fitness: (asked, fitness)
    rows: Callable[[Any], Array] = np.asarray


def ellipsoid(rows: Array) -> Array:
    """Return the fitness (popsize,) of rows (popsize, d)."""
    d = rows.shape[1]
    scales = CONDITION ** (np.arange(d) / max(d - 1, 1))
    fitness: Array = np.einsum("ij,ij,j->i", rows, rows, scales)  # leaves no busy thread of BLAS behind
    return fitness


class Search:
    """The work of a contestant: generations, with a new search after convergence.

    Parameters
    ----------
    start : callable
        Returns the `Loop` of a new search for a seed.
    popsize, d : int
        The shape that populations must have.
    warm_up : int
        Generations before those that are timed.
    block : int
        Generations that are timed together, because decompositions are rare in large dimension.
    fitness : callable, optional
        Returns the fitness (popsize,) of rows (popsize, d); by default `ellipsoid`.
    """

    def __init__(
        self,
        start: Callable[[int], Loop],
        popsize: int,
        d: int,
        warm_up: int = 0,
        block: int = 1,
        fitness: Callable[[Array], Array] | None = None,
    ) -> None:
        self.start, self.shape, self.warm_up, self.block = start, (popsize, d), warm_up, block
        self.fitness = fitness or ellipsoid
        self.seed = 0
        self._start_anew()

    def _start_anew(self) -> None:
        self.seed += 1
        self.loop = self.start(self.seed)
        self.medians: list[float] = []  # the median fitness of each generation

    def __call__(self) -> "Search":
        self.generation()
        return self

    def generation(self) -> float:
        """Run a generation; return the seconds of its ask and its tell."""
        if self.medians and not self.medians[-1] > CONVERGED * self.medians[0]:  # or it is NaN
            self._start_anew()
        start = time.perf_counter()
        asked = self.loop.ask()
        seconds = time.perf_counter() - start
        arguments = self.loop.arguments(asked, self._evaluate(asked))
        start = time.perf_counter()
        self.loop.tell(*arguments)
        return seconds + time.perf_counter() - start

    def _evaluate(self, asked: Any) -> Array:
        rows = self.loop.rows(asked)
        if rows.shape != self.shape:
            raise ValueError(f"A population must have the shape {self.shape}, got {rows.shape}.")
        fitness = self.fitness(rows)
        self.medians.append(float(np.median(fitness)))
        return fitness

    def unsolved(self) -> float:
        """Return the share of the first fitness that is left after some generations; warm up."""
        start = time.perf_counter()
        for _ in range(CHECKED):
            self.generation()
        left = self.medians[-1] / self.medians[0]
        for _ in range(self.warm_up):
            if time.perf_counter() > start + WARM_UP:
                break
            self.generation()
        return left


def mean_generation(search: Search, generations: int) -> float:
    """Return the mean seconds of a generation over `generations`, rounded up to whole blocks."""
    n = -(-generations // search.block) * search.block
    return sum(search.generation() for _ in range(n)) / n
