"""The names that lines of generated programs use, besides Python's builtins."""

import contextlib
import copy
import fractions
import io
import math
import os
import pickle
import runpy
import types
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from decimal import Decimal
from fractions import Fraction
from functools import partial
from pathlib import Path

import numba
import numpy as np
import scipy.optimize
from matplotlib.figure import Figure
from numpy.lib.stride_tricks import as_strided

import evoopt

FOLDER = Path("/nowhere")  # a stand-in; the runner makes a folder for the files of a program


class OwnError(Exception):
    """An error of a user's function, which evoopt must pass on unchanged."""


def sphere(x):
    """Return one number for a vector."""
    with np.errstate(all="ignore"):
        return float(np.sum(np.square(x)))


def judge(population, generation=0):
    """Return one number for each row, like a task."""
    with np.errstate(all="ignore"):
        return np.square(np.asarray(population, float)).sum(axis=1)


def show_quietly(*args, **options):
    """Call `show_versions` and hide its output, because a program that prints is a finding."""
    with contextlib.redirect_stdout(io.StringIO()):
        return evoopt.show_versions(*args, **options)


def raises(*args, **options):
    raise OwnError("This comes from a function of the user's own.")


class AtOnce(Executor):
    """An executor that does each job when it is submitted."""

    def submit(self, function, *args):
        future = Future()
        future.set_result(function(*args))
        return future


def gives(value):
    """Return a function that returns a value, whatever its arguments."""
    return lambda *args, **options: value


@numba.njit
def compiled_sphere(x):
    total = 0.0
    for value in x:
        total += value * value
    return total


@numba.njit
def compiled_text(x):
    return "text"


@numba.njit
def doubled(x):
    return x + x


@numba.njit
def loss_of_one(outputs, target):
    return (outputs[0] - target) ** 2


@numba.njit
def reset(state, uniforms):
    state[0] = 2 * uniforms[0] - 1


@numba.njit
def observe(state, observation):
    observation[0] = state[0]


@numba.njit
def step(state, action):
    state[0] += 0.1 * action[0]
    return -abs(state[0]), abs(state[0]) > 2


@numba.njit
def scaled(x, y, gain):
    for f in range(len(x)):
        y[f] = gain[f] * x[f]


def minimize_sphere(method="auto", **options):
    return evoopt.minimize(sphere, [1.0, -2.0], method=method, options=options)


def net_of(env):
    """Return a network that acts in an environment."""
    return evoopt.Network([evoopt.Dense(env.n_actions)], input_shape=(env.observation_size,))


class Places(dict):
    """A dict with one location for any parameter."""

    def __missing__(self, name):
        return 0, False


@evoopt.register
class Own(evoopt.Strategy):
    """A user's strategy."""

    def _update(self, told):
        self._mean = told.population[told.order[0]].astype(float)


class HasArray:
    """An object that claims to be an array and raises."""

    def __array__(self, dtype=None, copy=None):
        raise OwnError("This comes from a method of the user's own.")


ENV = evoopt.Environment(
    reset, observe, step, state_size=1, observation_size=1, actions=(-1, 1), uniforms=1, max_steps=20
)
LAYERS = [evoopt.Dense(3, "tanh"), evoopt.Dense(2)]
NET = evoopt.Network(LAYERS, input_shape=(4,))
ACTOR = evoopt.Network([evoopt.Dense(1)], input_shape=(1,))
MEMORY = evoopt.Network([evoopt.GRU(2), evoopt.Dense(1)], input_shape=(3, 1))
FUNCTION = evoopt.FunctionNetwork(NET.forward, NET.spec, (4,), (2,))
FUNCTION_MEMORY = evoopt.FunctionNetwork(MEMORY.forward, MEMORY.spec, (3, 1), (1,), np.zeros(2))
PARAMS = NET.spec.unravel(NET.init(0))
TREE = {"a": np.ones((2, 3)), "b": {"c": np.zeros(2)}}
SPEC = evoopt.ParamSpec.from_params(TREE)
INPUTS = np.arange(40.0).reshape(10, 4) / 40
LABELS = np.arange(10) % 2
SPACE = evoopt.Space(
    rate=evoopt.Real(1e-5, 0.1, log=True),
    layers=evoopt.Integer(1, 8),
    act=evoopt.Choice("relu", "tanh", None),
)


def started(cls, told=2, space=None, **options):
    """Make a strategy that was told some generations, in a space if there is one."""
    make = evoopt.CMAES if issubclass(cls, evoopt.IPOP | evoopt.BIPOP) else cls
    start = ([1.0, -2.0, 0.5], 0.5) if space is None else (space,)
    es = make(*start, **{"popsize": 8, "seed": 1, **options})
    es = es if make is cls else cls(es)
    for _ in range(told):
        population = es.ask()
        es.tell(population, judge(population))
    return es


NAMES = {
    name: value
    for name, value in globals().items()
    if not name.startswith("__") and name not in ("annotations", "FOLDER")
}
_ = contextlib, copy, fractions, io, math, os, pickle, types, Executor, ThreadPoolExecutor, Decimal, Fraction
_ = partial, runpy, scipy, as_strided, Figure
