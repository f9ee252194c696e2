"""Cross-entropy of populations of a dense network and of two convolutional ones.

Each peer has the form that its users write down, and the fastest form that was found by trying:
values with the features before the samples, a few individuals at a time. The floor is the time of
the multiply-adds at the sgemm peak and of tanh and exp at their rates, all measured in the same
run.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

import evoopt
from benchmarks.harness import convolutional, dense, digits, gpu, limits, losses
from benchmarks.harness.convolutional import Shape
from benchmarks.harness.limits import Demand, Limits
from benchmarks.harness.outcome import Outcome
from benchmarks.harness.race import Case, Contestant, Work, race, relative_error

POPSIZE = 256
UNITS = (64, 32, 10)
CONVOLUTIONAL_POPSIZE = 64
SHAPES = {
    "conv8": Shape(8, (16, 32), 3, (48, 10)),  # 11,482 parameters; the digits
    "conv28": Shape(28, (8, 16), 5, (10,)),  # 11,274 parameters, the usual one for MNIST; random images
}
IMAGES = 512
BATCH = 16  # individuals of one iteration of lax.map


def add_arguments(parser: argparse.ArgumentParser) -> None:
    nets = ("dense", *SHAPES)
    parser.add_argument("--nets", nargs="+", choices=nets, default=nets, help="which cases; default all")


def run(args: argparse.Namespace) -> Iterator[Outcome | Limits]:
    measured = limits.measure(args.threads)
    yield measured
    for net in args.nets:
        case = dense_case(measured) if net == "dense" else convolutional_case(net, measured)
        yield race(case, args.seconds, args.threads)


def _case(
    title: str,
    demand: Demand,
    measured: Limits,
    contestants: Sequence[Contestant],
    expected: dict[int, float],
) -> Case:
    """Return a case that compares the fitness of the individuals in `expected`."""
    return Case(
        f"fitness: {title}, cross-entropy, float32",
        contestants,
        lambda found: relative_error(found[list(expected)], list(expected.values())),
        tolerance=1e-5,
        rate=limits.rate(demand),
        limits=measured.of(demand),
    )


# ---------------------------------------------------------------- dense


def dense_case(measured: Limits) -> Case:
    inputs, labels = digits.load()
    problem = dense.Problem.of(UNITS, POPSIZE, inputs)
    demand = problem.demand()
    exponentials = {"exp": problem.samples * UNITS[-1]}
    demand = replace(demand, activations={**demand.activations, **exponentials})
    checked = (0, POPSIZE // 2, POPSIZE - 1)
    task = evoopt.Supervised(problem.net, inputs, labels)
    batched = partial(jax_fitness, problem, labels, batch_size=BATCH)
    torch, jax = ("torch",), ("jax",)
    contestants = [
        Contestant("evoopt Supervised", lambda: partial(task, problem.population)),
        Contestant("torch.baddbmm", partial(torch_fitness, problem, labels, False), torch),
        Contestant("torch.baddbmm, features first", partial(torch_fitness, problem, labels, True), torch),
        Contestant("torch.func.vmap", partial(torch_vmap, problem, labels), torch),
        Contestant("jax jit(vmap)", partial(jax_fitness, problem, labels), jax),
        Contestant(f"jax jit(lax.map), {BATCH} at a time", batched, jax),
        Contestant("numpy.matmul", partial(numpy_fitness, problem, labels)),
    ]
    title = f"{POPSIZE} x {'-'.join(map(str, UNITS))} x {len(inputs)} digits"
    expected = {i: losses.reference(dense.reference(problem, i), labels) for i in checked}
    return _case(title, demand, measured, contestants, expected)


def torch_fitness(problem: dense.Problem, labels: Any, features_first: bool) -> Work:
    forward = (dense.torch_features_first if features_first else dense.torch_baddbmm)(problem)
    return _torch_loss(forward, labels, 1 if features_first else 2)


def _torch_loss(forward: Work, labels: Any, classes: int) -> Work:
    import torch

    targets = torch.from_numpy(labels)

    @torch.inference_mode()
    def work() -> Any:
        return losses.torch(forward(), targets, classes)

    return work


def torch_vmap(problem: dense.Problem, labels: Any) -> Work:
    """Return the work of vmap over rows, 32 at a time, which were the fastest."""
    import torch

    population, inputs, targets = map(torch.from_numpy, (problem.population, problem.inputs, labels))
    places = dense.leaf_places(problem.net.spec)

    def fitness(row: Any) -> Any:
        leaves = [row[place].view(shape) for place, shape in places]
        values = inputs.mT
        for i in range(0, len(leaves), 2):
            values = leaves[i + 1].mT @ (values.tanh() if i else values) + leaves[i][:, None]
        return (values.logsumexp(0) - values.gather(0, targets[None])[0]).mean()

    mapped = torch.inference_mode()(torch.func.vmap(fitness, chunk_size=32))
    return lambda: mapped(population)


def jax_fitness(problem: dense.Problem, labels: Any, batch_size: int | None = None) -> Work:
    import jax.numpy as jnp

    inputs = jnp.asarray(problem.inputs)
    outputs = dense.jax_outputs(problem.net.spec)
    return _jax_loss(lambda row: outputs(row, inputs), problem.population, labels, batch_size)


def _jax_loss(logits: Callable[[Any], Any], population: Any, labels: Any, batch_size: int | None) -> Work:
    """Return the work of a map over all rows at once, or over `batch_size` at a time."""
    import jax

    rows, targets = jax.numpy.asarray(population), jax.numpy.asarray(labels)

    def fitness(row: Any) -> Any:
        return losses.jax(logits(row), targets, classes=1)

    if batch_size is None:
        mapped = jax.jit(jax.vmap(fitness))
    else:
        mapped = jax.jit(lambda rows: jax.lax.map(fitness, rows, batch_size=batch_size))
    return lambda: mapped(rows).block_until_ready()


def numpy_fitness(problem: dense.Problem, labels: Any) -> Work:
    forward = dense.numpy_matmul(problem)
    return lambda: losses.numpy(forward(), labels, classes=2)


# ---------------------------------------------------------------- convolutional


def convolutional_case(net: str, measured: Limits) -> Case:
    shape = SHAPES[net]
    inputs, labels = digits.load() if net == "conv8" else _random_images(shape.side)
    images = inputs.reshape(-1, shape.side, shape.side, 1)
    problem = convolutional.Problem.of(shape, CONVOLUTIONAL_POPSIZE, images, labels)
    checked = (0, CONVOLUTIONAL_POPSIZE - 1)
    torch, jax = ("torch",), ("jax",)
    contestants = [
        Contestant("evoopt Supervised", partial(evoopt_convolutional, problem)),
        Contestant("torch grouped conv2d", partial(torch_convolutional, problem, False), torch),
        Contestant("torch.func.vmap", partial(torch_convolutional, problem, True), torch),
        Contestant("jax jit(vmap)", partial(jax_convolutional, problem), jax),
        Contestant("jax jit(lax.map)", partial(jax_convolutional, problem, 1), jax),
    ]
    title = f"{CONVOLUTIONAL_POPSIZE} x {shape.spec.size:,} parameters x {len(images)} {shape}"
    expected = {i: losses.reference(convolutional.reference(problem, i), labels) for i in checked}
    return _case(title, problem.demand(), measured, contestants, expected)


def _random_images(side: int) -> digits.Samples:
    rng = np.random.default_rng(2)
    return rng.random((IMAGES, side * side), np.float32), rng.integers(0, 10, IMAGES)


def evoopt_convolutional(problem: convolutional.Problem) -> Work:
    task = evoopt.Supervised(convolutional.network(problem.shape), problem.images, problem.labels)
    return partial(task, problem.population)


def torch_convolutional(problem: convolutional.Problem, mapped: bool) -> Work:
    forward = (convolutional.torch_vmap if mapped else convolutional.torch_grouped)(problem)
    return _torch_loss(forward, problem.labels, classes=2)


def jax_convolutional(problem: convolutional.Problem, batch_size: int | None = None) -> Work:
    return _jax_loss(convolutional.jax_logits(problem), problem.population, problem.labels, batch_size)


def run_on_device(args: argparse.Namespace) -> Iterator[Outcome | gpu.Limits]:
    measured = gpu.measure()
    yield measured
    for units, popsize, samples in ((UNITS, POPSIZE, None), ((64, 256, 256, 10), 4096, 4096)):
        yield race(gpu.shared_inputs(units, popsize, samples, measured), args.seconds, args.threads)
