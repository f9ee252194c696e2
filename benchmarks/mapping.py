"""Nested parameters of every individual from the population matrix, and back."""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness.outcome import Outcome
from benchmarks.harness.race import Case, Contestant, Work, race, relative_error
from evoopt.params import ParamSpec

POPSIZE = 256
SIZES = (8, 64, 64, 4)  # a dense network of 4,996 parameters in 6 leaves

Population = NDArray[np.float32]
Leaves = Mapping[str, NDArray[Any]]


def run(args: argparse.Namespace) -> Iterator[Outcome]:
    spec = dense_spec()
    population = np.random.default_rng(0).standard_normal((POPSIZE, spec.size), np.float32)
    for case in (unravel_case(spec, population), ravel_case(spec, population)):
        yield race(case, args.seconds, args.threads)


def unravel_case(spec: ParamSpec, population: Population) -> Case:
    """Map a matrix to nested parameters; some contestants return a list of individuals."""
    expected = flat(_views_by_hand(spec, population))
    data = spec, population
    return Case(
        f"unravel: {_sizes(spec)}",
        [
            Contestant("evoopt ParamSpec.unravel", lambda: partial(spec.unravel, population), read=flat),
            Contestant("jax jit(vmap(unravel))", partial(jax_vmap_unravel, *data), ("jax",), flat),
            Contestant("jax unravel each", partial(jax_unravel_each, *data), ("jax",), _stack_nested),
            Contestant(
                "torch vector_to_parameters", partial(torch_unravel, *data), ("torch",), _stack_modules
            ),
            Contestant("PyGAD weights_as_dict", partial(pygad_unravel, *data), ("pygad", "torch"), _stack),
            Contestant("numpy views by hand", lambda: partial(_views_by_hand, *data), (), flat, floor=True),
        ],
        lambda found: error_of_leaves(found, expected),
        tolerance=0.0,
    )


def ravel_case(spec: ParamSpec, population: Population) -> Case:
    """Map nested parameters, each an array of its own, to a matrix."""
    tree = spec.unravel(population, cast=True)
    data = spec, population
    return Case(
        f"ravel: {_sizes(spec)}",
        [
            Contestant("evoopt ParamSpec.ravel", lambda: partial(spec.ravel, tree)),
            Contestant("jax jit(vmap(ravel))", partial(jax_vmap_ravel, tree), ("jax",)),
            Contestant("jax ravel each", partial(jax_ravel_each, *data), ("jax",)),
            Contestant("torch parameters_to_vector", partial(torch_ravel, *data), ("torch",)),
            Contestant("PyGAD weights_as_vector", partial(pygad_ravel, *data), ("pygad", "torch")),
            Contestant("numpy concatenate", lambda: partial(_concatenate, tree), floor=True),
        ],
        lambda found: relative_error(found, population),
        tolerance=0.0,
    )


def jax_vmap_unravel(spec: ParamSpec, population: Population) -> Work:
    import jax
    from jax.flatten_util import ravel_pytree

    _, unravel = ravel_pytree(spec.unravel(population[0]))
    mapped, rows = jax.jit(jax.vmap(unravel)), jax.numpy.asarray(population)
    return lambda: jax.block_until_ready(mapped(rows))


def jax_unravel_each(spec: ParamSpec, population: Population) -> Work:
    import jax
    from jax.flatten_util import ravel_pytree

    _, unravel = ravel_pytree(spec.unravel(population[0]))
    return lambda: jax.block_until_ready([unravel(row) for row in population])


def torch_unravel(spec: ParamSpec, population: Population) -> Work:
    import torch
    from torch.nn.utils import vector_to_parameters

    modules = [_torch_module(spec, row) for row in np.zeros_like(population)]
    rows = torch.from_numpy(population)

    def work() -> Any:
        for row, module in zip(rows, modules, strict=True):
            vector_to_parameters(row, module.parameters())
        return modules

    return work


def pygad_unravel(spec: ParamSpec, population: Population) -> Work:
    from pygad.torchga import model_weights_as_dict

    module = _torch_module(spec, population[0])
    return lambda: [model_weights_as_dict(module, row) for row in population]


def jax_vmap_ravel(tree: Any) -> Work:
    import jax
    from jax.flatten_util import ravel_pytree

    mapped = jax.jit(jax.vmap(lambda tree: ravel_pytree(tree)[0]))
    arrays = jax.tree.map(jax.numpy.asarray, tree)
    return lambda: jax.block_until_ready(mapped(arrays))


def jax_ravel_each(spec: ParamSpec, population: Population) -> Work:
    import jax
    from jax.flatten_util import ravel_pytree

    trees = [jax.tree.map(jax.numpy.asarray, spec.unravel(row)) for row in population]
    return lambda: jax.block_until_ready(jax.numpy.stack([ravel_pytree(tree)[0] for tree in trees]))


def torch_ravel(spec: ParamSpec, population: Population) -> Work:
    import torch
    from torch.nn.utils import parameters_to_vector

    modules = [_torch_module(spec, row) for row in population]

    @torch.no_grad()
    def work() -> Any:
        return torch.stack([parameters_to_vector(module.parameters()) for module in modules])

    return work


def pygad_ravel(spec: ParamSpec, population: Population) -> Work:
    from pygad.torchga import model_weights_as_vector

    modules = [_torch_module(spec, row) for row in population]
    return lambda: np.stack([model_weights_as_vector(module) for module in modules])


def _torch_module(spec: ParamSpec, row: Population) -> Any:
    """Make a module with the parameters under evoopt's names, in its order and shapes."""
    from torch import nn, tensor

    layers = spec.unravel(row).items()
    return nn.ModuleDict(
        {
            layer: nn.ParameterDict({name: tensor(leaf) for name, leaf in leaves.items()})
            for layer, leaves in layers
        }
    )


def dense_spec() -> ParamSpec:
    shapes: dict[str, Any] = {}
    for layer, (n_in, n_out) in enumerate(pairwise(SIZES)):
        shapes |= {f"dense_{layer}.bias": n_out, f"dense_{layer}.kernel": (n_in, n_out)}
    return ParamSpec.from_shapes(shapes)


def _sizes(spec: ParamSpec) -> str:
    net = "-".join(map(str, SIZES))
    return f"{POPSIZE} x {spec.size:,} parameters in {len(spec.names)} leaves (dense {net}), float32"


def _views_by_hand(spec: ParamSpec, population: Population) -> dict[str, dict[str, Any]]:
    tree: dict[str, dict[str, Any]] = {}
    start = 0
    for layer, (n_in, n_out) in enumerate(pairwise(SIZES)):
        kernel, stop = start + n_out, start + n_out + n_in * n_out
        tree[f"dense_{layer}"] = {
            "bias": population[:, start:kernel],
            "kernel": population[:, kernel:stop].reshape(-1, n_in, n_out),
        }
        start = stop
    return tree


def _concatenate(tree: Any) -> Population:
    return np.concatenate([leaf.reshape(len(leaf), -1) for leaf in flat(tree).values()], axis=1)


def flat(tree: Mapping[str, Mapping[str, Any]]) -> Leaves:
    """Return the leaves by name."""
    return {
        f"{layer}.{name}": np.asarray(leaf) for layer, leaves in tree.items() for name, leaf in leaves.items()
    }


def _stack(individuals: Sequence[Mapping[str, Any]]) -> Leaves:
    return {name: np.stack([leaves[name] for leaves in individuals]) for name in individuals[0]}


def _stack_nested(individuals: Sequence[Any]) -> Leaves:
    return _stack([flat(tree) for tree in individuals])


def _stack_modules(individuals: Sequence[Any]) -> Leaves:
    return _stack([module.state_dict() for module in individuals])


def error_of_leaves(found: Leaves, expected: Leaves) -> float:
    if found.keys() != expected.keys():
        return np.inf
    return max(relative_error(found[name], expected[name]) for name in expected)
