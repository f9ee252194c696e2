"""Solvers of mixed problems: each knows the `domain` of the recorder, and searches in its space.

Those in `METHODS` are evoopt's. pycma knows integers, but no choices.
"""

from functools import partial
from typing import Any

import numpy as np
from numpy.random import Generator

from benchmarks.coco.domain import Domain, Vector
from benchmarks.coco.recorder import Recorder
from benchmarks.coco.solvers import Solver, search, seed_of
from benchmarks.harness.search import Loop
from evoopt import Choice, Integer, Real

# ---------------------------------------------------------------- evoopt


def strategy(kind: str, domain: Domain, rng: Generator, popsize: int | None = None) -> Any:
    """Return a new strategy in the space of a problem, with its start and first deviations."""
    import evoopt

    start, options = domain.start(rng), {"sigma": domain.steps, "popsize": popsize, "seed": seed_of(rng)}
    return getattr(evoopt, kind)(domain.space, x0=start, **options)


def evoopt_once(kind: str, fun: Recorder, rng: Generator) -> None:
    search(strategy(kind, fun.domain, rng), fun)


def evoopt_restarts(kind: str, fun: Recorder, rng: Generator) -> None:
    import evoopt

    while True:
        first = strategy("CMAES", fun.domain, rng)
        search(getattr(evoopt, kind)(first, start=fun.domain.start), fun)


def evoopt_minimize(fun: Recorder, rng: Generator) -> None:
    import evoopt

    space = fun.domain.space
    while fun.evaluations < fun.budget:
        options = {"maxfun": fun.budget - fun.evaluations, "seed": seed_of(rng), "exhaust": True}
        evoopt.minimize(
            lambda values: fun(space.encode(values)), space, fun.domain.start(rng), options=options
        )


# ---------------------------------------------------------------- peers


class CatCMAwM:
    """CatCMA with margin of cmaes, with the start and first deviations of a problem, and its rows.

    Integers of two values are choices, as its documentation recommends.
    """

    def __init__(self, domain: Domain, rng: Generator, popsize: int | None = None) -> None:
        import cmaes

        low, high = domain.space.low, domain.space.high
        is_choice = np.isin(np.arange(len(low)), domain.columns(Choice))
        is_choice[domain.columns(Integer)] |= (high - low == 1)[domain.columns(Integer)]
        self.low, self.reals, self.choices = low, domain.columns(Real), np.flatnonzero(is_choice)
        self.integers = np.setdiff1d(domain.columns(Integer), self.choices)
        numbers = np.concatenate([self.reals, self.integers])
        self.strategy = cmaes.CatCMAwM(
            x_space=[[low[i], high[i]] for i in self.reals] or None,
            z_space=[np.arange(low[i], high[i] + 1) for i in self.integers] or None,
            c_space=[int(high[i] - low[i]) + 1 for i in self.choices] or None,
            population_size=popsize,
            mean=domain.start(rng)[numbers],
            sigma=1.0,
            cov=np.diag(domain.steps[numbers] ** 2),
            seed=seed_of(rng),
        )
        self.popsize = self.strategy.population_size

    def ask(self) -> list[Any]:
        return [self.strategy.ask() for _ in range(self.popsize)]

    def row(self, solution: Any) -> Vector:
        row = self.low.copy()
        if solution.x is not None:
            row[self.reals] = solution.x
        if solution.z is not None:
            row[self.integers] = solution.z
        if solution.c is not None:
            row[self.choices] += solution.c.argmax(axis=1)
        return row


def cmaes(fun: Recorder, rng: Generator) -> None:
    """Search until the run ends, because there are no rules to stop for mixed problems."""
    es = CatCMAwM(fun.domain, rng)
    while True:
        es.strategy.tell([(solution, fun(es.row(solution))) for solution in es.ask()])


def pycma(fun: Recorder, rng: Generator) -> None:
    """Search by IPOP; half a number beyond the ends of integers is where they are rounded."""
    import cma

    space, integers = fun.domain.space, fun.domain.columns(Integer)
    low, high = space.low.copy(), space.high.copy()
    low[integers] -= 0.5
    high[integers] += 0.5
    options = {
        **{"verbose": -9, "verb_log": 0, "verb_disp": 0, "seed": seed_of(rng)},
        **{"bounds": [low, high], "CMA_stds": fun.domain.steps, "integer_variables": integers.tolist()},
    }
    while True:
        cma.fmin2(fun, lambda: fun.domain.start(rng), 1.0, options, restarts=9)


# ---------------------------------------------------------------- ask and tell alone


def evoopt_loop(domain: Domain, popsize: int, seed: int) -> Loop:
    es = strategy("CMAES", domain, np.random.default_rng(seed), popsize)
    return Loop(es.ask, es.tell)


def cmaes_loop(domain: Domain, popsize: int, seed: int) -> Loop:
    es = CatCMAwM(domain, np.random.default_rng(seed), popsize)
    return Loop(
        es.ask,
        es.strategy.tell,
        lambda asked, fitness: (list(zip(asked, fitness.tolist(), strict=True)),),
        lambda asked: np.array([es.row(solution) for solution in asked]),
    )


# ---------------------------------------------------------------- the tables

METHODS = {
    "cmaes": Solver("evoopt CMAES", partial(evoopt_once, "CMAES")),
    "sepcmaes": Solver("evoopt SepCMAES", partial(evoopt_once, "SepCMAES")),
    "ga": Solver("evoopt GA", partial(evoopt_once, "GA")),
    "ipop": Solver("evoopt IPOP", partial(evoopt_restarts, "IPOP")),
    "bipop": Solver("evoopt BIPOP", partial(evoopt_restarts, "BIPOP")),
    "minimize": Solver("evoopt minimize", evoopt_minimize),
}
CATCMAWM = Solver("cmaes CatCMAwM", cmaes, ("cmaes",))
PYCMA = Solver("pycma IPOP", pycma, ("cma",))
SOLVERS = {solver.name: solver for solver in (*METHODS.values(), CATCMAWM, PYCMA)}
