"""A dense network trained on labelled samples by evoopt and its peers, each as its documentation shows.

Rows are in evoopt's order, but for EvoTorch's and PyGAD's own wrappers of a torch module. The first mean is the
same for all who have one.
"""

import logging
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

import evoopt
from benchmarks.harness import losses
from benchmarks.harness.dense import jax_outputs, leaf_places, network
from benchmarks.harness.digits import Samples

Array = NDArray[Any]
Units = tuple[int, ...]


class Trainer:
    """A search that goes on: `step` is a generation, `solution` gives the row to be used."""

    def __init__(self, step: Callable[[], Any], solution: Callable[[], Array]) -> None:
        self.step, self.solution, self.generation = step, solution, 0

    def __call__(self) -> "Trainer":
        self.run(1)
        return self

    def run(self, generations: int) -> float:
        """Run so many; give the seconds of one."""
        start = time.perf_counter()
        for _ in range(generations):
            self.step()
        self.generation += generations
        return (time.perf_counter() - start) / generations


def evoopt_snes(units: Units, samples: Samples, popsize: int, seed: int, **options: Any) -> Trainer:
    net = network(units)
    task = evoopt.Supervised(net, *samples)
    es = evoopt.SNES(net.init(seed), popsize=popsize, seed=seed, **options)
    rows = np.empty((popsize, net.spec.size), np.float32)

    def step() -> None:
        es.tell(es.ask(rows), task(rows))

    return Trainer(step, lambda: es.mean)


# ---------------------------------------------------------------- evosax


def evosax_open_es(
    units: Units, samples: Samples, popsize: int, seed: int, *, sigma: float, learning_rate: float
) -> Trainer:
    import optax
    from evosax.algorithms import Open_ES

    algorithm = Open_ES(
        population_size=popsize,
        solution=np.zeros(network(units).spec.size, np.float32),
        optimizer=optax.adam(learning_rate),
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


# ---------------------------------------------------------------- EvoTorch


def evotorch_snes(
    units: Units,
    samples: Samples,
    popsize: int,
    seed: int,
    *,
    features_first: bool = False,
    **options: Any,
) -> Trainer:
    """Take a fitness function of the whole population, written by hand with baddbmm."""
    import torch

    evotorch = _evotorch_without_log()
    net = network(units)
    places = leaf_places(net.spec)
    inputs, labels = map(torch.from_numpy, samples)
    inputs = inputs.mT.contiguous() if features_first else inputs

    def fitness(population: Any) -> Any:
        population = population.as_subclass(torch.Tensor)  # from one that refuses every change, of views too
        leaves = [population[:, place].reshape(-1, *shape) for place, shape in places]
        values = inputs.expand(len(population), -1, -1)
        for i in range(0, len(leaves), 2):
            values = values.tanh_() if i else values
            if features_first:
                values = torch.baddbmm(leaves[i][:, :, None], leaves[i + 1].mT, values)
            else:
                values = torch.baddbmm(leaves[i][:, None], values, leaves[i + 1])
        return losses.torch(values, labels, 1 if features_first else 2)

    problem = evotorch.Problem(
        "min",
        torch.no_grad()(fitness),
        solution_length=net.spec.size,
        initial_bounds=(-1, 1),
        vectorized=True,
        seed=seed,
    )
    start = torch.from_numpy(net.init(seed))
    return _evotorch(problem, start, popsize, options, lambda center: center)


def evotorch_supervised(units: Units, samples: Samples, popsize: int, seed: int, **options: Any) -> Trainer:
    """Use its class for supervised learning, all samples as one minibatch."""
    import torch
    from torch.nn.functional import cross_entropy
    from torch.utils.data import TensorDataset

    inputs, labels = map(torch.from_numpy, samples)
    problem = _evotorch_without_log().neuroevolution.SupervisedNE(
        TensorDataset(inputs, labels),
        lambda: _torch_module(units),
        cross_entropy,
        minibatch_size=len(inputs),
    )
    problem.manual_seed(seed)
    net = network(units)
    start = torch.from_numpy(_to_torch(units, net.init(seed)))
    return _evotorch(problem, start, popsize, options, lambda center: _from_torch(units, center))


def _evotorch_without_log() -> Any:
    """Import it; it logs to the terminal what it makes."""
    import evotorch
    import evotorch.neuroevolution

    logging.getLogger("evotorch").setLevel(logging.WARNING)
    return evotorch


def _evotorch(
    problem: Any, start: Any, popsize: int, options: dict[str, Any], read: Callable[[Array], Array]
) -> Trainer:
    from evotorch.algorithms import SNES

    searcher = SNES(problem, popsize=popsize, center_init=start, **options)
    return Trainer(searcher.step, lambda: read(searcher.status["center"].numpy()))


# ---------------------------------------------------------------- PyGAD


class PyGAD(Trainer):
    """Genetic algorithm with ``torchga``: the fitness function predicts by a copy of the model."""

    def __init__(self, units: Units, samples: Samples, popsize: int, seed: int, **options: Any) -> None:
        import pygad
        import torch
        from pygad import torchga

        net = network(units)
        model = _torch_module(units)
        vector = torch.from_numpy(_to_torch(units, net.init(seed)))
        torch.nn.utils.vector_to_parameters(vector, model.parameters())
        np.random.seed(seed)  # what TorchGA draws from
        inputs, labels = map(torch.from_numpy, samples)
        cross_entropy = torch.nn.CrossEntropyLoss()

        def fitness(ga: Any, solution: Any, index: int) -> float:
            return -cross_entropy(torchga.predict(model, solution, inputs), labels).item()

        self.ends: list[float] = []
        self.ga = pygad.GA(
            num_generations=1,
            fitness_func=fitness,
            initial_population=torchga.TorchGA(model, popsize).population_weights,
            on_generation=lambda ga: self.ends.append(time.perf_counter()),
            random_seed=seed,
            suppress_warnings=True,
            **options,
        )
        super().__init__(self.ga.run, lambda: _from_torch(units, np.array(self.ga.best_solution()[0])))

    def run(self, generations: int) -> float:
        """Run one more, which is not timed: a run of PyGAD evaluates its first population again."""
        self.ends.clear()
        self.ga.num_generations = generations + 1
        self.ga.run()
        self.generation += generations + 1
        return (self.ends[-1] - self.ends[0]) / generations


# ---------------------------------------------------------------- torch modules


def _torch_module(units: Units) -> Any:
    from torch import nn

    layers: list[Any] = []
    for n_in, n_out in zip(units, units[1:], strict=False):
        layers += [nn.Tanh()] if layers else []
        layers += [nn.Linear(n_in, n_out)]
    return nn.Sequential(*layers)


def _to_torch(units: Units, row: Array) -> Array:
    """Put a row into the order of a module's parameters: kernel (out, in), then bias, for each layer."""
    layers = network(units).spec.unravel(row).values()
    parts = [part for layer in layers for part in (layer["kernel"].T.ravel(), layer["bias"])]
    return np.concatenate(parts).astype(np.float32)


def _from_torch(units: Units, vector: Array) -> Array:
    parts, start = [], 0
    for n_in, n_out in zip(units, units[1:], strict=False):
        end = start + n_in * n_out
        parts += [vector[end : end + n_out], vector[start:end].reshape(n_out, n_in).T.ravel()]
        start = end + n_out
    return np.concatenate(parts).astype(np.float32)
