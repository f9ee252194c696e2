"""Normal deviates for a population, into an array made beforehand.

All contestants draw different random numbers. So the error is the largest deviation of their mean,
variance and fourth moment, in standard errors.
"""

import argparse
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import gpu
from benchmarks.harness.outcome import Outcome
from benchmarks.harness.race import Case, Contestant, Rate, Work, race
from evoopt import threads
from evoopt.kernels.cpu.population.noise import sample_rows

POPSIZE, N_PARAMS = 256, 100_000
STANDARD_ERRORS = 5.0  # more is found once in half a million runs

Array = NDArray[Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--popsize", type=int, default=POPSIZE, help=f"default {POPSIZE}")
    parser.add_argument("--params", type=int, default=N_PARAMS, help=f"columns; default {N_PARAMS:,}")


def run(args: argparse.Namespace) -> Iterator[Outcome]:
    yield race(case(args.popsize, args.params, args.threads), args.seconds, args.threads)


def case(popsize: int, n: int, n_threads: int) -> Case:
    shape = popsize, n
    return Case(
        f"noise: {popsize} x {n:,} normal deviates, float32",
        [
            Contestant("evoopt, Philox", partial(evoopt_rows, shape)),
            Contestant("torch.randn(out=)", partial(torch_randn, shape), ("torch",)),
            Contestant("numpy Generator(out=)", partial(numpy_generators, shape, n_threads)),
            Contestant("jax.random.normal, jit", partial(jax_normal, shape), ("jax",)),
        ],
        standard_errors,
        STANDARD_ERRORS,
        Rate(1e-9 * popsize * n, "G/s"),
    )


def standard_errors(found: Array) -> float:
    """Return the deviation of the moments; infinite for NaN, infinity or another type."""
    if found.dtype != np.float32 or not np.isfinite(found).all():
        return np.inf
    sums = np.zeros(3)
    for row in found.astype(np.float64):
        squares = row * row
        sums += row.sum(), squares.sum(), (squares * squares).sum()
    size = found.size
    return float(np.abs((sums / size - [0, 1, 3]) * np.sqrt(size / np.array([1, 2, 96]))).max())


def evoopt_rows(shape: tuple[int, int]) -> Work:
    """Draw rows as strategies do, with a mean and a sigma of each column."""
    out, mean, sigma = (
        np.zeros(shape, np.float32),
        np.zeros(shape[1], np.float32),
        np.ones(shape[1], np.float32),
    )
    generations = count()

    def work() -> Array:
        first = shape[0] * next(generations)
        ids = np.arange(first, first + shape[0], dtype=np.uint64)
        threads.run(sample_rows, shape[0], np.uint64(0), ids, mean, sigma, out, 0)
        return out

    return work


def torch_randn(shape: tuple[int, int]) -> Work:
    import torch

    torch.manual_seed(0)
    return partial(torch.randn, shape, out=torch.zeros(shape))


def numpy_generators(shape: tuple[int, int], n_threads: int) -> Work:
    """Draw by one generator in each thread; generators release the GIL."""
    out = np.zeros(shape, np.float32)
    parts = np.array_split(out.ravel(), n_threads)
    draws = [
        partial(np.random.default_rng(seed).standard_normal, dtype=np.float32, out=part)
        for seed, part in enumerate(parts)
    ]
    pool = ThreadPoolExecutor(n_threads)

    def work() -> Array:
        for done in [pool.submit(draw) for draw in draws]:
            done.result()
        return out

    return work


def jax_normal(shape: tuple[int, int]) -> Work:
    """Draw into new arrays, because JAX has no others; a call includes making its key."""
    import jax

    draw = jax.jit(lambda seed: jax.random.normal(jax.random.key(seed), shape))
    seeds = count()
    return lambda: draw(next(seeds)).block_until_ready()


def run_on_device(args: argparse.Namespace) -> Iterator[Outcome | gpu.Limits]:
    measured = gpu.measure()
    yield measured
    shape = 4096, N_PARAMS
    case = gpu.noise(shape, measured, partial(jax_normal, shape), standard_errors, STANDARD_ERRORS)
    yield race(case, args.seconds, args.threads)
