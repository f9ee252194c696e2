"""Trainers of a dense network by evoopt and evosax; `torch_trainers` has others.

Each library trains as its documentation shows. The first mean is the same for all strategies that
have one, and solutions are rows in evoopt's order.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

import evoopt
from benchmarks.harness import losses
from benchmarks.harness.dense import jax_outputs, network
from benchmarks.harness.digits import Samples

Array = NDArray[Any]
Units = tuple[int, ...]


class Trainer:
    """A search that goes on: `step` runs a generation, `solution` returns the solution's row."""

    def __init__(self, step: Callable[[], Any], solution: Callable[[], Array]) -> None:
        self.step, self.solution, self.generation = step, solution, 0

    def __call__(self) -> "Trainer":
        self.run(1)
        return self

    def run(self, generations: int) -> float:
        """Run some generations; return the seconds of one."""
        start = time.perf_counter()
        for _ in range(generations):
            self.step()
        self.generation += generations
        return (time.perf_counter() - start) / generations


def evoopt_strategy(
    cls: type[evoopt.Strategy], units: Units, samples: Samples, popsize: int, seed: int, **options: Any
) -> Trainer:
    net = network(units)
    task = evoopt.Supervised(net, *samples)
    es = cls(net.init(seed), popsize=popsize, seed=seed, **options)
    rows = np.empty((popsize, net.spec.size), np.float32)

    def step() -> None:
        es.tell(es.ask(rows), task(rows))

    return Trainer(step, lambda: es.solution)


evoopt_snes = partial(evoopt_strategy, evoopt.SNES)
evoopt_openaies = partial(evoopt_strategy, evoopt.OpenAIES)
evoopt_pgpe = partial(evoopt_strategy, evoopt.PGPE)
evoopt_ga = partial(evoopt_strategy, evoopt.GA)


def evosax_open_es(
    units: Units,
    samples: Samples,
    popsize: int,
    seed: int,
    *,
    sigma: float,
    learning_rate: float,
    momentum: float,
) -> Trainer:
    import optax
    from evosax.algorithms import Open_ES

    algorithm = Open_ES(
        population_size=popsize,
        solution=np.zeros(network(units).spec.size, np.float32),
        optimizer=optax.adam(learning_rate, b1=momentum),
        std_schedule=optax.constant_schedule(sigma),
    )
    return _evosax(algorithm, algorithm.default_params, units, samples, seed)


def evosax_snes(
    units: Units, samples: Samples, popsize: int, seed: int, *, sigma: float, eta_mean: float
) -> Trainer:
    import optax
    from evosax.algorithms import SNES

    algorithm = SNES(
        population_size=popsize,
        solution=np.zeros(network(units).spec.size, np.float32),
        optimizer=optax.sgd(eta_mean),
    )
    params = algorithm.default_params.replace(std_init=sigma)
    return _evosax(algorithm, params, units, samples, seed)


def _evosax(algorithm: Any, params: Any, units: Units, samples: Samples, seed: int) -> Trainer:
    """Compile ask, the mapped network and tell as one function."""
    import jax

    net = network(units)
    outputs = jax_outputs(net.spec)
    inputs, labels = map(jax.numpy.asarray, samples)

    def fitness(row: Any) -> Any:
        return losses.jax(outputs(row, inputs), labels, classes=1)

    @jax.jit
    def generation(key: Any, state: Any) -> tuple[Any, Any]:
        key, asking, telling = jax.random.split(key, 3)
        population, state = algorithm.ask(asking, state, params)
        state, _ = algorithm.tell(telling, population, jax.vmap(fitness)(population), state, params)
        return key, state

    key = jax.random.key(seed)
    now = key, algorithm.init(key, net.init(seed), params)

    def step() -> None:
        nonlocal now
        now = jax.block_until_ready(generation(*now))

    return Trainer(step, lambda: np.asarray(now[1].mean))
