"""The methods of `minimize`, and a function that records its calls."""

import pytest
from scipy.optimize import rosen

from helpers.strategies import OURS

METHODS = ["auto", "ipop", "bipop", *map(str.lower, OURS)]
each_method = pytest.mark.parametrize("method", METHODS)


class Recorder:
    """A function that records its points and values."""

    def __init__(self, fun=rosen):
        self.fun, self.points, self.values = fun, [], []

    def __call__(self, x):
        self.points.append(x.copy())
        self.values.append(self.fun(x))
        return self.values[-1]
