"""Parents and mutations, which GA and DeepGA compute on the host whatever the device."""

import numpy as np
from numpy.typing import NDArray

from evoopt import threads
from evoopt.devices.cpu.discrete import Columns
from evoopt.devices.cpu.population import NOISE_GRAIN
from evoopt.kernels.cpu.population import genetic as kernels
from evoopt.kernels.cpu.population import inheritance, noise
from evoopt.rules.philox import COLUMNS
from evoopt.rules.ranges import ceil_div
from evoopt.types import Array, Ids, Vector

# the columns of integers and choices in rows, and for each its ends, the origin of its scale, and
# whether it is a choice
Genes = tuple[Columns, Vector, Vector, Vector, NDArray[np.bool_]]
INHERITANCE_GRAIN = 20_000  # integers and choices worth waking a thread for


def choose_parents(key: np.uint64, ids: Ids, best: int, contestants: int) -> NDArray[np.intp]:
    """Return two parents for each child (k, 2), as places among the `best` of a pool.

    The pool is sorted, best first. Each parent is the best of so many contestants drawn at random.
    """
    parents = np.empty((len(ids), 2), np.intp)
    threads.run(kernels.choose_parents, len(ids), key, ids, best, contestants, parents, grain=4000)
    return parents


def choose_uniformly(key: np.uint64, ids: Ids, size: int) -> NDArray[np.intp]:
    """Return a parent for each child (k,), as places in a pool of this size, all equally likely."""
    parents = np.empty(len(ids), np.intp)
    threads.run(kernels.choose_uniformly, len(ids), key, ids, size, parents, grain=4000)
    return parents


def child_steps(
    key: np.uint64, ids: Ids, parents: NDArray[np.intp], pool_steps: Vector, rate: float
) -> Vector:
    """Return the step size of each child (k,): the parents' geometric mean * exp(rate N(0, 1))."""
    steps = np.empty(len(ids))
    threads.run(kernels.child_steps, len(ids), key, ids, parents, pool_steps, rate, steps, grain=2000)
    return steps


def begin(key: np.uint64, ids: Ids, genes: Genes, out: Array) -> None:
    """Draw the categories of a first population `out` (k, n), and round its integers."""
    grain = INHERITANCE_GRAIN // len(genes[0]) + 1
    threads.run(inheritance.begin, len(ids), key, ids, genes, out, grain=grain)


def inherit(
    key: np.uint64, ids: Ids, parents: NDArray[np.intp], pool: Array, steps: Vector, sigma: Array,
    crossover: int, threshold: np.uint64, genes: Genes, out: Array,
) -> None:  # fmt: skip
    """Write the integers and categories of children into `out` (k, n), which `breed` wrote before.

    `PopulationEngine.breed` explains the other arguments; `threshold` is 2^32 times the probability
    that an integer or a choice mutates.
    """
    drawn = (key, ids, parents, pool, steps, sigma, crossover, threshold, genes, out)
    threads.run(inheritance.inherit, len(ids), *drawn, grain=INHERITANCE_GRAIN // len(genes[0]) + 1)


def mutate(
    key: np.uint64, ids: Ids, parents: NDArray[np.intp], pool: Array, factor: float, sigma: Array, out: Array
) -> None:
    """Write pool[parents] + factor * sigma * normal deviates into `out` (k, n)."""
    grain = NOISE_GRAIN // out.shape[1] + 1
    threads.run(noise.sample_children, len(ids), key, ids, parents, pool, factor, sigma, out, grain=grain)


def mutate_one(
    key: np.uint64, number: np.uint64, parent: Array, factor: float, sigma: Array, out: Array
) -> None:
    """Write one child into `out` (n,), not its parent's array; the same bits as `mutate`."""
    groups, grain = ceil_div(len(out), COLUMNS), NOISE_GRAIN // COLUMNS
    threads.run(noise.sample_child, groups, key, number, parent, factor, sigma, out, grain=grain)
