"""Makers of all strategies, for `evolve`."""

from functools import partial

import numpy as np
import pytest

import evoopt
from helpers.strategies import OURS, restarted

N = 6  # parameters, and rows of the square populations
MAKERS = {
    **{name: partial(cls, np.ones(N), 0.5) for name, cls in OURS.items()},
    "IPOP": partial(restarted, evoopt.IPOP, evoopt.CMAES, np.ones(N), 0.5),
    "BIPOP": partial(restarted, evoopt.BIPOP, evoopt.CMAES, np.ones(N), 0.5),
}
NEEDS = {"DeepGA": {"parents": 3}}
each_maker = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)


def made(make, **options):
    return make(**{"seed": 1, "popsize": N, **NEEDS.get(getattr(make.func, "__name__", ""), {}), **options})
