"""The solvers: each searches with restarts until the recorder ends the run.

A solver is ``solver(fun, rng)``: `fun` knows its `dim`, `budget` and `evaluations`, and `rng` makes
the run reproducible. Solvers without a box start uniformly in [-4, 4]^d, with standard deviation 2,
and know no bounds, as is usual on BBOB.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from typing import Any

import numpy as np
from numpy.random import Generator
from scipy import optimize

from benchmarks.coco.recorder import Recorder
from benchmarks.harness.cache import evoopt_stamp

SIGMA = 2.0
BOX = (-5.0, 5.0)
SEEDS = 2**31 - 1  # every solver takes seeds from 1 to this number


@dataclass(frozen=True)
class Solver:
    """A function of (fun, rng), with the things that its results depend on beside the problem.

    Attributes
    ----------
    name : str
    solve : callable
    packages : tuple of str
        The packages that it needs, whose versions count. Without any it is a solver of evoopt,
        whose sources count.
    revision : int
        Raise it with every change of `solve`, so that the cache returns no old results.
    """

    name: str
    solve: Callable[[Recorder, Generator], None]
    packages: tuple[str, ...] = ()
    revision: int = 1

    def key(self) -> dict[str, Any]:
        """Return the part of the cache's key that belongs to this solver."""
        versions = {package: metadata.version(package) for package in self.packages}
        return {
            "solver": self.name,
            "revision": self.revision,
            "versions": versions or {"evoopt": evoopt_stamp()},
        }


def start(rng: Generator, dim: int) -> Any:
    return rng.uniform(-4, 4, dim)


def seed_of(rng: Generator) -> int:
    return int(rng.integers(1, SEEDS))


def search(strategy: Any, fun: Recorder) -> None:
    while not strategy.stop():
        population = strategy.ask()
        strategy.tell(population, [fun(x) for x in population])


def evoopt_restarts(kind: str, fun: Recorder, rng: Generator) -> None:
    """Search by IPOP or BIPOP."""
    import evoopt

    while True:
        first = evoopt.CMAES(start(rng, fun.dim), SIGMA, seed=seed_of(rng))
        search(getattr(evoopt, kind)(first, start=lambda generator: start(generator, fun.dim)), fun)


def evoopt_auto(bounds: list[tuple[float, float]] | None, fun: Recorder, rng: Generator) -> None:
    import evoopt

    while fun.evaluations < fun.budget:
        options = {"maxfun": fun.budget - fun.evaluations, "seed": seed_of(rng), "exhaust": True}
        if bounds is None:
            options["sigma"] = SIGMA
        evoopt.minimize(
            fun, start(rng, fun.dim), method="auto", bounds=bounds and bounds * fun.dim, options=options
        )


def evoopt_cmaes(fun: Recorder, rng: Generator) -> None:
    """Search by restarts with doubled popsize, written by hand."""
    import evoopt

    popsize = None
    while True:
        strategy = evoopt.CMAES(start(rng, fun.dim), SIGMA, popsize=popsize, seed=seed_of(rng))
        search(strategy, fun)
        popsize = 2 * strategy.popsize


def pycma(bipop: bool, fun: Recorder, rng: Generator) -> None:
    import cma

    options = {"verbose": -9, "verb_log": 0, "verb_disp": 0, "seed": seed_of(rng)}
    while True:
        cma.fmin2(fun, lambda: start(rng, fun.dim), SIGMA, options, restarts=9, bipop=bipop)


def cmaes(fun: Recorder, rng: Generator) -> None:
    """Search by restarts with doubled popsize, as the documentation of cmaes shows."""
    import cmaes

    popsize = None
    while True:
        strategy = cmaes.CMA(start(rng, fun.dim), SIGMA, population_size=popsize, seed=seed_of(rng))
        while not strategy.should_stop():
            population = [strategy.ask() for _ in range(strategy.population_size)]
            strategy.tell([(x, fun(x)) for x in population])
        popsize = 2 * strategy.population_size


def fcmaes(fun: Recorder, rng: Generator) -> None:
    """Search by restarts with doubled popsize; the default of 31 is for other uses."""
    from fcmaes.cmaescpp import ACMA_C

    popsize = 4 + int(3 * np.log(fun.dim))
    while True:
        strategy = ACMA_C(
            fun.dim, None, start(rng, fun.dim), SIGMA, popsize, fun.budget, rg=rng, normalize=False
        )
        stop = 0
        while stop == 0:
            stop = strategy.tell([fun(x) for x in strategy.ask()])
        popsize *= 2


def slsqp_then_pycma(fun: Recorder, rng: Generator) -> None:
    """Search twice by SLSQP with finite differences, then by pycma's IPOP."""
    for _ in range(2):
        optimize.minimize(fun, start(rng, fun.dim), method="SLSQP", options={"maxiter": 1000, "ftol": 1e-12})
    pycma(False, fun, rng)


def differential_evolution(fun: Recorder, rng: Generator) -> None:
    while True:
        optimize.differential_evolution(fun, [BOX] * fun.dim, rng=rng)


_ALL = (
    Solver("evoopt IPOP", partial(evoopt_restarts, "IPOP")),
    Solver("evoopt BIPOP", partial(evoopt_restarts, "BIPOP")),
    Solver("evoopt auto", partial(evoopt_auto, [BOX]), revision=2),
    Solver("evoopt auto, no bounds", partial(evoopt_auto, None), revision=2),
    Solver("evoopt CMAES restarts", evoopt_cmaes),
    Solver("pycma IPOP", partial(pycma, False), ("cma",)),
    Solver("pycma BIPOP", partial(pycma, True), ("cma",)),
    Solver("cmaes IPOP", cmaes, ("cmaes",)),
    Solver("fcmaes IPOP", fcmaes, ("fcmaes",)),
    Solver("SLSQP x2 + pycma IPOP", slsqp_then_pycma, ("scipy", "cma")),
    Solver("scipy differential_evolution", differential_evolution, ("scipy",)),
)
SOLVERS = {solver.name: solver for solver in _ALL}
