"""Dense networks of a population on inputs that all individuals share.

Who can write into arrays made beforehand does so, evoopt too: large new ones cost page faults in every call.
With ``--fresh`` every call makes new arrays instead, as one writes it down at first.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness.outcome import Outcome
from benchmarks.harness.race import Case, Contestant, Rate, Work, race, relative_error
from evoopt.networks.layers import Dense
from evoopt.networks.network import Network

Array = NDArray[Any]


class Row(NamedTuple):
    """One row of the benchmark: the sizes of its case."""

    popsize: int
    sizes: tuple[int, ...]  # units of the inputs and of each layer
    batch: int

    def __str__(self) -> str:
        return f"{self.popsize} x {'-'.join(map(str, self.sizes))} x {self.batch}"


ROWS = (
    Row(256, (64, 32, 10), 1797),
    Row(64, (784, 64, 10), 1024),
    Row(1024, (4, 16, 16, 2), 256),
    Row(128, (32, 256, 256, 8), 256),
    Row(32, (64, 1024, 1024, 64), 256),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    rows = "; ".join(f"{number}: {row}" for number, row in enumerate(ROWS, 1))
    every = list(range(1, len(ROWS) + 1))
    parser.add_argument(
        "--rows",
        type=_numbers,
        default=every,
        metavar="1,3",
        help=f"which cases, as popsize x units of the layers x samples ({rows}); default all",
    )
    parser.add_argument("--fresh", action="store_true", help="let every call make new arrays for its results")


def run(args: argparse.Namespace) -> Iterator[Outcome]:
    for number in args.rows:
        yield race(case(ROWS[number - 1], args.fresh), args.seconds, args.threads)


@dataclass(frozen=True)
class Problem:
    """tanh hidden layers and a linear output, float32."""

    net: Network
    population: Array  # (popsize, n_params)
    inputs: Array  # (batch, sizes[0])
    fresh: bool  # whether every call makes new arrays

    @classmethod
    def of(cls, row: Row, fresh: bool) -> "Problem":
        *hidden, n_out = row.sizes[1:]
        net = Network([*(Dense(units, "tanh") for units in hidden), Dense(n_out)], (row.sizes[0],))
        rng = np.random.default_rng(0)
        population = rng.standard_normal((row.popsize, net.spec.size), np.float32)
        population /= np.sqrt(np.float32(max(row.sizes)))  # keeps tanh out of saturation
        return cls(net, population, rng.standard_normal((row.batch, row.sizes[0]), np.float32), fresh)

    def layers(self, parameters: Array) -> list[tuple[Array, Array]]:
        """Give the bias and the kernel of each layer as views of a row or a population."""
        tree = self.net.spec.unravel(parameters)
        return [(tree[f"dense_{i}"]["bias"], tree[f"dense_{i}"]["kernel"]) for i in range(len(tree))]

    def buffers(self) -> list[Any]:
        """Make arrays for the values after each layer, (popsize, batch, units); None for fresh ones."""
        if self.fresh:
            return [None for _ in self.layers(self.population)]
        shape = len(self.population), len(self.inputs)
        return [np.empty((*shape, bias.shape[-1]), np.float32) for bias, _ in self.layers(self.population)]

    def layers_with_buffers(self) -> list[tuple[tuple[Array, Array], Any]]:
        return list(zip(self.layers(self.population), self.buffers(), strict=True))


def case(row: Row, fresh: bool = False) -> Case:
    problem = Problem.of(row, fresh)
    checked = [0, row.popsize // 2, row.popsize - 1]
    expected = np.stack([reference(problem, problem.population[i]) for i in checked])
    multiply_adds = row.popsize * row.batch * sum(n_in * n_out for n_in, n_out in pairwise(row.sizes))
    return Case(
        f"forward: {row} samples, float32{', fresh arrays' if fresh else ''}",
        [
            Contestant("evoopt Network.forward", partial(evoopt_forward, problem)),
            Contestant("torch.baddbmm", partial(torch_baddbmm, problem), ("torch",)),
            Contestant("jax jit(vmap)", partial(jax_vmap, problem), ("jax",)),
            Contestant("numpy.matmul", partial(numpy_matmul, problem)),
        ],
        lambda found: relative_error(found[checked], expected),
        tolerance=1e-5,
        rate=Rate(2e-9 * multiply_adds, "GFLOP/s"),
    )


def reference(problem: Problem, row: Array) -> Array:
    """Give the outputs of one individual in float64, (batch, n_out)."""
    *hidden, (bias, kernel) = problem.layers(row.astype(np.float64))
    values = problem.inputs.astype(np.float64)
    for hidden_bias, hidden_kernel in hidden:
        values = np.tanh(values @ hidden_kernel + hidden_bias)
    return values @ kernel + bias


def evoopt_forward(problem: Problem) -> Work:
    return partial(problem.net.forward, problem.population, problem.inputs, out=problem.buffers()[-1])


def torch_baddbmm(problem: Problem) -> Work:
    import torch

    layers = [
        (
            torch.from_numpy(bias)[:, None],
            torch.from_numpy(kernel),
            None if out is None else torch.from_numpy(out),
        )
        for (bias, kernel), out in problem.layers_with_buffers()
    ]
    inputs = torch.from_numpy(problem.inputs).expand(len(problem.population), -1, -1)

    @torch.inference_mode()
    def work() -> Any:
        values = inputs
        for bias, kernel, out in layers[:-1]:
            values = torch.baddbmm(bias, values, kernel, out=out).tanh_()
        bias, kernel, out = layers[-1]
        return torch.baddbmm(bias, values, kernel, out=out)

    return work


def jax_vmap(problem: Problem) -> Work:
    import jax
    import jax.numpy as jnp

    spec = problem.net.spec
    places = [(spec.slice(name), shape) for name, shape in zip(spec.names, spec.shapes, strict=True)]

    def outputs(row: Any, values: Any) -> Any:
        leaves = [row[place].reshape(shape) for place, shape in places]
        *hidden, (bias, kernel) = zip(leaves[::2], leaves[1::2], strict=True)
        for hidden_bias, hidden_kernel in hidden:
            values = jnp.tanh(values @ hidden_kernel + hidden_bias)
        return values @ kernel + bias

    mapped = jax.jit(jax.vmap(outputs, (0, None)))
    population, inputs = jnp.asarray(problem.population), jnp.asarray(problem.inputs)
    return lambda: mapped(population, inputs).block_until_ready()


def numpy_matmul(problem: Problem) -> Work:
    layers = [(bias[:, None], kernel, out) for (bias, kernel), out in problem.layers_with_buffers()]

    def work() -> Array:
        values = problem.inputs
        for bias, kernel, out in layers[:-1]:
            values = np.matmul(values, kernel, out=out)
            values += bias
            np.tanh(values, out=values)
        bias, kernel, out = layers[-1]
        values = np.matmul(values, kernel, out=out)
        values += bias
        return values

    return work


def _numbers(text: str) -> list[int]:
    """Read "1,3"."""
    numbers = [int(number) for number in text.split(",")]
    if not all(1 <= number <= len(ROWS) for number in numbers):
        raise argparse.ArgumentTypeError(f"numbers from 1 to {len(ROWS)} were expected, but {text!r} came")
    return numbers
