"""Functions to minimize: each returns one float64 number for each row of a population."""

import numpy as np


def sphere(population):
    return (np.asarray(population, np.float64) ** 2).sum(axis=1)


def around_three(population):
    return sphere(population - 3)


def around_a_third(population):
    """Return a sphere whose optimum is no floating-point number."""
    return sphere(np.asarray(population, np.float64) - 1 / 3)


def ellipsoid(population):
    n = population.shape[1]
    return (np.asarray(population, np.float64) ** 2 * 1e3 ** (np.arange(n) / (n - 1))).sum(axis=1)


def rotated_ellipsoid(n, condition=1e6):
    rotation = np.linalg.qr(np.random.default_rng(n).normal(size=(n, n)))[0]
    return lambda x: ((x @ rotation) ** 2 * condition ** (np.arange(n) / (n - 1))).sum(axis=1)


def rosenbrock(population):
    x = np.asarray(population, np.float64)
    return (100 * (x[:, 1:] - x[:, :-1] ** 2) ** 2 + (1 - x[:, :-1]) ** 2).sum(axis=1)


def rastrigin(population):
    x = np.asarray(population, np.float64)
    return 10 * x.shape[1] + (x**2 - 10 * np.cos(2 * np.pi * x)).sum(axis=1)


def with_noise(function, deviation=1.0, seed=0):
    rng = np.random.default_rng(seed)
    return lambda x: function(x) + deviation * rng.normal(size=len(x))


class Grows:
    """A sphere that counts its calls by the number of rows, in a state that is empty at first."""

    def __init__(self):
        self.seen = {}

    def __call__(self, population):
        n = len(population)
        self.seen[n] = self.seen.get(n, 0) + 1
        return sphere(population)

    def state(self):
        return dict(self.seen)

    def load_state(self, state):
        self.seen = dict(state)
