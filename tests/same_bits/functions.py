"""Cases of objectives and of the functions that run a search."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numba
import numpy as np

import evoopt

from . import public
from .case import Case, Results
from .losses import NETWORKS, TARGETS
from .networks import numbers


def valley(x: Any, scale: float = 10.0) -> float:
    """Return the value of Rosenbrock's function."""
    return float(np.sum(scale * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2))


def valleys(population: Any) -> Any:
    """Return Rosenbrock's function of each row."""
    return np.array([valley(x) for x in population])


@numba.njit
def compiled_valley(x, scale=10.0):
    total = 0.0
    for i in range(len(x) - 1):
        total += scale * (x[i + 1] - x[i] ** 2) ** 2 + (1 - x[i]) ** 2
    return total


OBJECTIVES: dict[str, tuple[Any, ...]] = {
    "a function": (valley,),
    "a function, args": (valley, 3.0),
    "a vectorized function": (valleys, (), True),
    "a compiled function": (compiled_valley,),
    "a compiled function, args": (compiled_valley, (3.0,)),
}


def cases() -> Iterator[Case]:
    """Make the cases of objectives, `minimize` and `evolve`."""
    for name, given in OBJECTIVES.items():
        yield Case(f"Objective of {name}", partial(objective, given))
    for method in public.words(lambda word: evoopt.minimize(valley, np.zeros(2), method=word)):
        yield Case(f"minimize, {method}", partial(minimize, method))
    yield Case("minimize, a compiled function", partial(minimize, "auto", compiled_valley))
    yield Case("minimize, a vectorized function", partial(minimize, "auto", valleys, vectorized=True))
    for cls in public.strategies():
        if "strategy" not in public.options(cls):
            yield Case(f"evolve, {cls.__name__}, minibatches", partial(evolve, cls))


def objective(given: tuple[Any, ...]) -> Results:
    """Evaluate rows in both precisions, together and one by one."""
    task = evoopt.Objective(*given)
    for dtype in ("float32", "float64"):
        rows = numbers((50, 6)).astype(dtype)
        yield f"{dtype}", task(rows)
        yield f"{dtype}, each", list(task.each(rows[:9]))


def minimize(method: str, fun: Any = valley, **options: Any) -> Results:
    """Search with and without bounds."""
    for label, bounds in (("free", None), ("bounds", [(-2, 0.8)] * 4)):
        settings = {"maxfun": 500, "seed": 3}
        found = evoopt.minimize(
            fun, [-1.0, 0.5, 0.3, -0.2], method=method, bounds=bounds, options=settings, **options
        )
        yield label, _without_time(found)


def evolve(cls: Any) -> Results:
    """Train a network on minibatches, with validation."""
    net = NETWORKS["three outputs"]
    inputs, targets = numbers((90, 7)), TARGETS["class numbers"]
    task = evoopt.Supervised(net, inputs, targets, batch_size=20)
    es = cls(net.init(1), 0.1, popsize=10, noisy=True, seed=1)
    validation = evoopt.Supervised(net, inputs[:30], targets[:30])
    found = evoopt.evolve(es, task, max_generations=20, validation=validation, patience=8)
    yield "result", _without_time(found)
    yield "strategy", [es.mean, es.solution, es.best]


def _without_time(result: Any) -> list[Any]:
    return [(name, value) for name, value in sorted(result.items()) if name != "time"]
