"""Runs to attack, and the state that a checkpoint of one must continue with."""

import copy

import numpy as np

from evoopt.strategies import REGISTRY
from evoopt.strategies.parts.restarts import Restarts

KINDS = [
    name
    for name, cls in REGISTRY.items()  # where tests may have registered their own
    if cls.__module__.startswith("evoopt.") and not issubclass(cls, Restarts)
]
KINDS += [f"{kind} of {name}" for kind in ("IPOP", "BIPOP") for name in ("CMAES", "LMMAES", "PGPE")]


def make(kind, n=5):
    """Return a strategy whose restarts come soon."""
    *restarts, name = kind.split(" of ")
    options = {"tolfun": 0.5} if restarts else {}
    es = REGISTRY[name](np.linspace(1.0, 2.0, n), 0.5, popsize=6, seed=7, **options)
    return REGISTRY[restarts[0]](es) if restarts else es


def fitness(population):
    return np.floor((population**2).sum(axis=1))


def step(es):
    population = es.ask()
    es.tell(population, fitness(population))


def continued(es):
    """Return the rows of two generations, and the record of all before."""
    es = copy.deepcopy(es)
    recorded = repr(es), repr(es.history)  # texts, in which NaN equals NaN
    first = es.ask()
    es.tell(first, fitness(first))
    es.stop()
    return recorded, first.tobytes(), es.ask().tobytes(), repr(es.history)


class Reference:
    """The same run without an attack, as far as it is needed."""

    def __init__(self, kind):
        self._es = make(kind)

    @property
    def generation(self):
        return self._es.generation

    def has(self, es):
        """Whether a strategy goes on like the run before or after the `ask` of its generation."""
        while self._es.generation < es.generation:
            step(self._es)
        asked = copy.deepcopy(self._es)
        asked.ask()
        return continued(es) in (continued(self._es), continued(asked))
