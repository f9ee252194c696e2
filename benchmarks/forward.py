"""Dense networks of a population, on shared inputs, or on one own input for each individual.

Contestants write into existing arrays if they can, because large new ones cost page faults in every
call. With ``--fresh`` every call makes new arrays instead, as simple code does. The floor is the
time of the multiply-adds at the sgemm peak and of the activations at their rate, both measured in
the same run; with one input each, reading the weights is the limit.
"""

import argparse
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import numpy as np

from benchmarks.harness import dense, gpu, limits
from benchmarks.harness.dense import Problem
from benchmarks.harness.limits import Limits
from benchmarks.harness.options import numbers
from benchmarks.harness.outcome import Outcome
from benchmarks.harness.race import Case, Contestant, race, relative_error


class Row(NamedTuple):
    """One row of the benchmark: the sizes of a case."""

    popsize: int
    units: tuple[int, ...]  # inputs, and outputs of each layer
    batch: int
    own: bool = False  # whether each individual has samples of its own

    def __str__(self) -> str:
        return f"{self.popsize} x {'-'.join(map(str, self.units))} x {self.batch}{' own' * self.own}"


ROWS = (
    Row(256, (64, 32, 10), 1797),
    Row(64, (784, 64, 10), 1024),
    Row(1024, (4, 16, 16, 2), 256),
    Row(128, (32, 256, 256, 8), 256),
    Row(32, (64, 1024, 1024, 64), 256),
    Row(10_000, (8, 64, 64, 4), 1, own=True),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    rows = "; ".join(f"{number}: {row}" for number, row in enumerate(ROWS, 1))
    parser.add_argument(
        "--rows",
        type=numbers(1, len(ROWS)),
        default=range(1, len(ROWS) + 1),
        metavar="1,3",
        help=f"which cases, as popsize x units of the layers x samples ({rows}); default all",
    )
    parser.add_argument("--fresh", action="store_true", help="let every call make new arrays for its results")


def run(args: argparse.Namespace) -> Iterator[Outcome | Limits]:
    measured = limits.measure(args.threads)
    yield measured
    for number in args.rows:
        yield race(case(ROWS[number - 1], measured, args.fresh), args.seconds, args.threads)


def case(row: Row, measured: Limits, fresh: bool = False) -> Case:
    problem = _problem(row, fresh)
    checked = [0, row.popsize // 2, row.popsize - 1]
    expected = np.stack([dense.reference(problem, individual) for individual in checked])
    demand = problem.demand()
    features_first = Contestant(
        "torch.baddbmm, features first",
        partial(dense.torch_features_first, problem),
        ("torch",),
        lambda found: found.numpy().swapaxes(1, 2),
    )
    return Case(
        f"forward: {row} samples, float32{', fresh arrays' if fresh else ''}",
        [
            Contestant("evoopt Network.forward", partial(dense.evoopt_forward, problem)),
            Contestant("torch.baddbmm", partial(dense.torch_baddbmm, problem), ("torch",)),
            *([] if row.own else [features_first]),
            Contestant("jax jit(vmap)", partial(dense.jax_vmap, problem), ("jax",)),
            Contestant("numpy.matmul", partial(dense.numpy_matmul, problem)),
        ],
        lambda found: relative_error(found[checked], expected),
        tolerance=1e-5,
        rate=limits.rate(demand),
        limits=measured.of(demand),
    )


def _problem(row: Row, fresh: bool) -> Problem:
    shape = (row.popsize, row.batch) if row.own else (row.batch,)
    inputs = np.random.default_rng(1).standard_normal((*shape, row.units[0]), np.float32)
    return Problem.of(row.units, row.popsize, inputs, fresh)


def run_on_device(args: argparse.Namespace) -> Iterator[Outcome | gpu.Limits]:
    measured = gpu.measure()
    yield measured
    yield race(gpu.own_inputs(measured), args.seconds, args.threads)
