"""Forward passes of ten torch modules, by evoopt's networks of them and by torch itself.

Each row of the population is a module of its own. torch runs all rows by ``torch.func.vmap``, where
that has rules (it has none for recurrent layers, and is then reported as failed), the same a few
rows at a time, and the modules of the rows one after the other. Batch normalization uses its
running statistics. torch runs eagerly: ``torch.compile`` is not used. Every call makes new arrays.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import evoopt
from benchmarks.harness import machine
from benchmarks.harness.options import numbers
from benchmarks.harness.outcome import Outcome
from benchmarks.harness.race import Case, Contestant, Work, race, relative_error

if TYPE_CHECKING:
    from benchmarks.harness.torch_modules import Example

CHUNK = 8  # rows at a time
SIGMA = 0.05  # spread of the rows around the vector of the module

Array = NDArray[Any]


class Row(NamedTuple):
    """One row of the benchmark: a module of `harness/torch_modules.py`, and the sizes of a case."""

    module: str
    popsize: int = 128
    batch: int = 64

    def __str__(self) -> str:
        return f"{self.popsize} x {self.module} x {self.batch}"


ROWS = (
    Row("mlp"),
    Row("lenet"),
    Row("resnet"),
    Row("gru"),
    Row("lstm"),
    Row("embedding"),
    Row("actor_critic"),
    Row("image_and_vector"),
    Row("cnn_1d"),
    Row("autoencoder"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    rows = "; ".join(f"{number}: {row}" for number, row in enumerate(ROWS, 1))
    parser.add_argument(
        "--rows",
        type=numbers(1, len(ROWS)),
        default=range(1, len(ROWS) + 1),
        metavar="1,3",
        help=f"which cases, as popsize x module x samples ({rows}); default all",
    )


def run(args: argparse.Namespace) -> Iterator[Outcome]:
    if not machine.installed("torch"):
        raise SystemExit(f"The modules are torch's, which is not here: {machine.INSTALL}.")
    for number in args.rows:
        yield race(case(ROWS[number - 1]), args.seconds, args.threads)


def case(row: Row) -> Case:
    problem = Problem.of(row)
    checked = [0, row.popsize // 2, row.popsize - 1]
    expected = np.stack([problem.reference(individual) for individual in checked])
    read, torch = problem.of_all_rows, ("torch",)
    return Case(
        f"interop: {row} samples, float32, torch without torch.compile",
        [
            Contestant("evoopt Network.forward", partial(evoopt_forward, problem)),
            Contestant("torch.func.vmap", partial(torch_vmap, problem), torch, read),
            Contestant(
                f"torch.func.vmap, {CHUNK} at a time", partial(torch_vmap, problem, CHUNK), torch, read
            ),
            Contestant("torch, row by row", partial(torch_loop, problem), torch, problem.of_each_row),
        ],
        lambda found: relative_error(found[checked], expected),
        tolerance=1e-5,
    )


@dataclass(frozen=True)
class Problem:
    """A population of one module, as evoopt's rows and as modules."""

    example: Example
    net: evoopt.Network
    population: Array  # (popsize, n_params)
    modules: Sequence[Any]  # of each row
    tensors: tuple[Any, ...]  # a batch of each input

    @classmethod
    def of(cls, row: Row) -> Problem:
        from benchmarks.harness.torch_modules import EXAMPLES

        example = EXAMPLES[row.module]
        module = example.make()
        net, vector = evoopt.from_torch(module, example.input_shape)
        noise = np.random.default_rng(0).standard_normal((row.popsize, len(vector)), np.float32)
        population = vector + SIGMA * noise
        modules = [evoopt.to_torch(net, each, copy.deepcopy(module)) for each in population]
        return cls(example, net, population, modules, example.draw(row.batch))

    def reference(self, individual: int) -> Array:
        """Return the outputs of one individual in float64, (batch, *outputs)."""
        module = copy.deepcopy(self.modules[individual]).double()
        tensors = [each.double() if each.is_floating_point() else each for each in self.tensors]
        return self.example.outputs(module(*tensors))

    def of_each_row(self, found: Sequence[Any]) -> Array:
        """Return torch's outputs of each row in evoopt's layout."""
        return np.stack([self.example.outputs(each) for each in found])

    def of_all_rows(self, found: Any) -> Array:
        """Return torch's outputs of all rows in evoopt's layout."""
        several = isinstance(found, tuple)
        return self.of_each_row(list(zip(*found, strict=True)) if several else found)


def evoopt_forward(problem: Problem) -> Work:
    return partial(problem.net.forward, problem.population, problem.example.inputs(problem.tensors))


def torch_vmap(problem: Problem, chunk_size: int | None = None) -> Work:
    import torch

    module = problem.modules[0]
    parameters, buffers = torch.func.stack_module_state(problem.modules)

    def outputs(*state: Any) -> Any:
        return torch.func.functional_call(module, state, problem.tensors)

    mapped = torch.inference_mode()(torch.func.vmap(outputs, chunk_size=chunk_size))
    return partial(mapped, parameters, buffers)


def torch_loop(problem: Problem) -> Work:
    import torch

    @torch.inference_mode()
    def work() -> Any:
        return [module(*problem.tensors) for module in problem.modules]

    return work
