"""Ask and tell of evoopt and its peers, in their users' form, with one start and popsize."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from benchmarks.harness.search import SIGMA, START, Array, Loop

Start = Callable[[int], Loop]  # seed -> loop


def evoopt(name: str, popsize: int, d: int, dtype: DTypeLike = np.float64) -> Start:
    from evoopt.strategies import REGISTRY

    def start(seed: int) -> Loop:
        es = REGISTRY[name](np.full(d, START, dtype), SIGMA, popsize=popsize, seed=seed)
        return Loop(es.ask, es.tell)

    return start


def pycma(popsize: int, d: int, diagonal: bool = False) -> Start:
    import cma

    options = {"verbose": -9, "popsize": popsize, "CMA_diagonal": diagonal}

    def start(seed: int) -> Loop:
        es = cma.CMAEvolutionStrategy(np.full(d, START), SIGMA, {**options, "seed": seed})
        return Loop(es.ask, es.tell, lambda asked, fitness: (asked, fitness.tolist()))

    return start


def cmaes(name: str, popsize: int, d: int) -> Start:
    import cmaes as library

    def start(seed: int) -> Loop:
        es = getattr(library, name)(np.full(d, START), SIGMA, seed=seed, population_size=popsize)
        return Loop(
            lambda: [es.ask() for _ in range(popsize)],
            es.tell,
            lambda asked, fitness: (list(zip(asked, fitness.tolist(), strict=True)),),
        )

    return start


def fcmaes(popsize: int, d: int) -> Start:
    from fcmaes.cmaescpp import ACMA_C

    def start(seed: int) -> Loop:
        es = ACMA_C(
            d,
            x0=np.full(d, START),
            input_sigma=SIGMA,
            popsize=popsize,
            max_evaluations=2**31 - 1,
            rg=np.random.default_rng(seed),
        )
        return Loop(es.ask, es.tell, lambda asked, fitness: (fitness,))

    return start


def evosax(name: str, popsize: int, d: int) -> Start:
    """Return the start of an algorithm of evosax, in float32, which is JAX's default."""
    import evosax.algorithms

    algorithm = getattr(evosax.algorithms, name)(population_size=popsize, solution=np.zeros(d, np.float32))

    def start(seed: int) -> Loop:
        es = _Evosax(algorithm, np.full(d, START, np.float32), seed)
        return Loop(es.ask, es.tell, es.arguments)

    return start


class _Evosax:
    """A loop that keeps evosax's state.

    Making random keys is not timed, because it costs little in a compiled loop.
    """

    def __init__(self, algorithm: Any, mean: Any, seed: int) -> None:
        import jax

        self.jax, self.algorithm = jax, algorithm
        self.params = algorithm.default_params.replace(std_init=SIGMA)
        self.key = jax.random.key(seed)
        self.state = algorithm.init(self.key, mean, self.params)
        self._next_keys()

    def _next_keys(self) -> None:
        self.key, self.key_of_ask, self.key_of_tell = self.jax.block_until_ready(
            tuple(self.jax.random.split(self.key, 3))
        )

    def ask(self) -> Any:
        population, self.state = self.algorithm.ask(self.key_of_ask, self.state, self.params)
        return self.jax.block_until_ready(population)

    def tell(self, population: Any, fitness: Any) -> None:
        self.state, _ = self.algorithm.tell(self.key_of_tell, population, fitness, self.state, self.params)
        self.jax.block_until_ready(self.state)

    def arguments(self, population: Any, fitness: Array) -> tuple[Any, Any]:
        self._next_keys()
        return population, self.jax.block_until_ready(self.jax.numpy.asarray(fitness, np.float32))
