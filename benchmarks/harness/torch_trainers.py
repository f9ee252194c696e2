"""Trainers of a dense network by EvoTorch and PyGAD, each as its documentation shows."""

import logging
import time
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks.harness import losses
from benchmarks.harness.dense import Array, leaf_places, network
from benchmarks.harness.digits import Samples
from benchmarks.harness.trainers import Trainer, Units


def evotorch_snes(
    units: Units,
    samples: Samples,
    popsize: int,
    seed: int,
    *,
    features_first: bool = False,
    **options: Any,
) -> Trainer:
    """Train with a fitness function of the whole population, written by hand with baddbmm."""
    import torch

    evotorch = _evotorch_without_log()
    net = network(units)
    places = leaf_places(net.spec)
    inputs, labels = map(torch.from_numpy, samples)
    batch = len(inputs)
    inputs = inputs.mT.contiguous() if features_first else inputs
    shapes = [(n, batch) if features_first else (batch, n) for n in units[1:]]
    buffers = [torch.empty(popsize, *shape) for shape in shapes]

    def fitness(population: Any) -> Any:
        population = population.as_subclass(torch.Tensor)  # EvoTorch's class refuses changes, even of views
        leaves = [population[:, place].reshape(-1, *shape) for place, shape in places]
        values = inputs.expand(len(population), -1, -1)
        for i in range(0, len(leaves), 2):
            values = values.tanh_() if i else values
            out = buffers[i // 2]
            if features_first:
                values = torch.baddbmm(leaves[i][:, :, None], leaves[i + 1].mT, values, out=out)
            else:
                values = torch.baddbmm(leaves[i][:, None], values, leaves[i + 1], out=out)
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


evotorch_features_first = partial(evotorch_snes, features_first=True)


def evotorch_supervised(units: Units, samples: Samples, popsize: int, seed: int, **options: Any) -> Trainer:
    """Train by EvoTorch's class for supervised learning, all samples in one minibatch."""
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
    """Import EvoTorch, without its log on the terminal."""
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
    """A genetic algorithm with ``torchga``, whose fitness function predicts by a model's copy."""

    def __init__(self, units: Units, samples: Samples, popsize: int, seed: int, **options: Any) -> None:
        import pygad
        import torch
        from pygad import torchga

        net = network(units)
        model = _torch_module(units)
        vector = torch.from_numpy(_to_torch(units, net.init(seed)))
        torch.nn.utils.vector_to_parameters(vector, model.parameters())
        np.random.seed(seed)  # TorchGA draws from it
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
        super().__init__(self.ga.run, lambda: _from_torch(units, self._best()))

    def _best(self) -> Array:
        fitness = self.ga.last_generation_fitness
        return np.asarray(self.ga.best_solution(pop_fitness=fitness)[0])

    def run(self, generations: int) -> float:
        """Run one generation more, not timed, because PyGAD evaluates its first one again."""
        self.ends.clear()
        self.ga.num_generations = generations + 1
        self.ga.run()
        self.generation += generations + 1
        return (self.ends[-1] - self.ends[0]) / generations


# ---------------------------------------------------------------- torch modules


def _torch_module(units: Units) -> Any:
    from torch import nn

    layers: list[Any] = []
    for n_in, n_out in pairwise(units):
        layers += [nn.Tanh()] if layers else []
        layers += [nn.Linear(n_in, n_out)]
    return nn.Sequential(*layers)


def _to_torch(units: Units, row: Array) -> Array:
    """Put a row into a module's order: kernel (out, in), then bias, layer by layer."""
    layers = network(units).spec.unravel(row).values()
    parts = [part for layer in layers for part in (layer["kernel"].T.ravel(), layer["bias"])]
    return np.concatenate(parts).astype(np.float32)


def _from_torch(units: Units, vector: Array) -> Array:
    parts, start = [], 0
    for n_in, n_out in pairwise(units):
        end = start + n_in * n_out
        parts += [vector[end : end + n_out], vector[start:end].reshape(n_out, n_in).T.ravel()]
        start = end + n_out
    return np.concatenate(parts).astype(np.float32)
