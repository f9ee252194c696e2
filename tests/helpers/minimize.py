"""The methods of `minimize`, and a function that keeps what it was asked."""

import pytest
from scipy.optimize import rosen

from helpers.strategies import OURS

METHODS = ["auto", "ipop", "bipop", *map(str.lower, OURS)]
each_method = pytest.mark.parametrize("method", METHODS)


class Recorder:
    """A function that notes where it was evaluated, and what it gave."""

    def __init__(self, fun=rosen):
        self.fun, self.points, self.values = fun, [], []

    def __call__(self, x):
        self.points.append(x.copy())
        self.values.append(self.fun(x))
        return self.values[-1]
