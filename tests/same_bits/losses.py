"""Cases of losses: the fitness of each, with all kinds of targets, and its metrics."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numba
import numpy as np

import evoopt

from . import public
from .case import Case, Results
from .networks import dense, numbers, population

SAMPLES = 90
# Networks, and targets of each meaning. Each loss has cases with the kinds of targets that it
# takes.
NETWORKS = {
    "three outputs": evoopt.Network(dense(), (7,)),
    "one output": evoopt.Network([evoopt.Dense(1)], (7,)),
}
TARGETS: dict[str, Any] = {
    "class numbers": np.arange(SAMPLES) % 3,
    "two classes": np.arange(SAMPLES) % 2,
    "probabilities": np.random.default_rng(1).dirichlet(np.ones(3), SAMPLES),
    "chances": np.random.default_rng(2).random((SAMPLES, 3)),
    "a chance": np.random.default_rng(2).random((SAMPLES, 1)),
    "values": numbers((SAMPLES, 3), 6),
    "a value": numbers((SAMPLES,), 6),
    "signs": np.where(numbers((SAMPLES, 3), 8) > 0, 1, -1),
    "a sign": np.where(numbers((SAMPLES,), 8) > 0, 1, -1),
}


@numba.njit
def pinball(outputs, target):
    error = target - outputs[0]
    return max(0.9 * error, -0.1 * error)


@numba.njit
def product(outputs, target):
    total = 0.0
    for o in range(len(outputs)):
        total += outputs[o] * target[o]
    return total


@numba.njit
def of_class(outputs, target):
    return -outputs[target]


OWN = {"a value": pinball, "values": product, "class numbers": of_class}  # kinds of targets


def cases() -> Iterator[Case]:
    """Make the cases of every loss."""
    for loss in public.words(lambda word: _task(NETWORKS["one output"], TARGETS["a value"], loss=word)):
        for of, net in NETWORKS.items():
            for meaning, targets in TARGETS.items():
                if _takes(net, targets, loss):
                    yield Case(f"loss {loss} of {of}, {meaning}", partial(fitness, net, targets, loss))
    for meaning, loss in OWN.items():
        run = partial(fitness, NETWORKS["three outputs"], TARGETS[meaning], loss, ("float32",))
        yield Case(f"own loss of {meaning}", run)
    yield Case("loss of a network with memory", memory)
    yield Case("loss of frozen parameters", frozen)
    yield Case("loss of a wide network", wide)


def _task(net: evoopt.Network, targets: Any, samples: int = SAMPLES, **options: Any) -> evoopt.Supervised:
    return evoopt.Supervised(
        net, numbers((SAMPLES, *net.input_shape))[:samples], targets[:samples], **options
    )


def _takes(net: evoopt.Network, targets: Any, loss: str) -> bool:
    try:
        _task(net, targets, loss=loss)
    except ValueError:
        return False
    return True


def fitness(
    net: evoopt.Network, targets: Any, loss: Any, dtypes: tuple[str, ...] = ("float32", "float64")
) -> Results:
    """Judge rows on few and many samples, weighted, and in minibatches; measure one of them."""
    weights = np.arange(SAMPLES) % 4 / 2
    ways: dict[str, dict[str, Any]] = {
        "all": {},
        "few": {"samples": 5},
        "weights": {"sample_weight": weights},
        "batches": {"batch_size": 20, "seed": 3},
        "small batches": {"batch_size": 4, "sample_weight": weights},
    }
    for way, options in ways.items():
        task = _task(net, targets, loss=loss, **options)
        for dtype in dtypes:
            rows = population(net, dtype, 7)
            for generation in range(6 if task.noisy else 1):
                yield f"{way}, {dtype}, generation {generation}", task(rows, generation)
            yield f"{way}, {dtype}, metrics", task.evaluate(rows[0])
            other = numbers((SAMPLES, *net.input_shape), 9)
            yield f"{way}, {dtype}, metrics of others", task.evaluate(rows[0], other, targets)


def memory() -> Results:
    """Judge rows of a recurrent network."""
    net = evoopt.Network([evoopt.LSTM(5), evoopt.Dense(3)], (4, 7))
    yield from fitness(net, TARGETS["class numbers"], "cross_entropy")


def frozen() -> Results:
    """Judge rows of a network with frozen parameters."""
    net = NETWORKS["three outputs"]
    yield from fitness(net.freeze(net.init(1), "dense_1"), TARGETS["class numbers"], "cross_entropy")


def wide() -> Results:
    """Judge rows of a network whose layers do not fit into the first cache."""
    net = evoopt.Network([evoopt.Dense(300, "relu"), evoopt.Dense(130, "gelu"), evoopt.Dense(3)], (70,))
    yield from fitness(net, TARGETS["class numbers"], "cross_entropy")
