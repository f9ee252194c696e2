"""Dense networks of a population, with tanh hidden layers, by evoopt and its peers.

Arrays of the peers are views of the population matrix, which is the fastest way, because nothing is
copied.
"""

import operator
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness.limits import Demand
from benchmarks.harness.race import Work
from evoopt import Dense, Network, ParamSpec

Array = NDArray[Any]


@dataclass(frozen=True)
class Problem:
    """Networks and samples (batch, units[0]) or (popsize, batch, units[0]), in float32."""

    units: tuple[int, ...]  # inputs, and outputs of each layer
    population: Array  # (popsize, n_params)
    inputs: Array
    fresh: bool = False  # whether every call makes new arrays for its results

    @classmethod
    def of(cls, units: tuple[int, ...], popsize: int, inputs: Array, fresh: bool = False) -> "Problem":
        rng = np.random.default_rng(0)
        population = rng.standard_normal((popsize, network(units).spec.size), np.float32)
        population /= np.sqrt(np.float32(max(units)))  # keeps tanh out of saturation
        return cls(units, population, inputs, fresh)

    @property
    def net(self) -> Network:
        return network(self.units)

    @property
    def own(self) -> bool:
        """Whether each individual has samples of its own."""
        return self.inputs.ndim == 3

    @property
    def samples(self) -> int:
        """Count the samples of all individuals."""
        return len(self.population) * self.inputs.shape[-2]

    def layers(self, parameters: Array) -> list[tuple[Array, Array]]:
        """Return the bias and the kernel of each layer as views of a row or a population."""
        tree = self.net.spec.unravel(parameters)
        return [(tree[f"dense_{i}"]["bias"], tree[f"dense_{i}"]["kernel"]) for i in range(len(tree))]

    def layers_with_buffers(self) -> list[tuple[tuple[Array, Array], Any]]:
        """Return the layers, each with an array (popsize, batch, units) for values, or None."""
        layers = self.layers(self.population)
        if self.fresh:
            return [(layer, None) for layer in layers]
        shape = len(self.population), self.inputs.shape[-2]
        return [((bias, kernel), np.empty((*shape, bias.shape[-1]), np.float32)) for bias, kernel in layers]

    def demand(self) -> Demand:
        """Return the work of a forward pass; for one sample each, weights are read only once."""
        multiply_adds = self.samples * sum(n_in * n_out for n_in, n_out in pairwise(self.units))
        reads = self.population.nbytes if self.own and self.inputs.shape[1] == 1 else 0
        return Demand(multiply_adds, {"tanh": self.samples * sum(self.units[1:-1])}, reads)


def network(units: tuple[int, ...]) -> Network:
    *hidden, outputs = units[1:]
    return Network([*(Dense(n, "tanh") for n in hidden), Dense(outputs)], units[:1])


def reference(problem: Problem, individual: int) -> Array:
    """Return the outputs of one individual in float64, (batch, outputs)."""
    *hidden, (bias, kernel) = problem.layers(problem.population[individual].astype(np.float64))
    values = (problem.inputs[individual] if problem.own else problem.inputs).astype(np.float64)
    for hidden_bias, hidden_kernel in hidden:
        values = np.tanh(values @ hidden_kernel + hidden_bias)
    return values @ kernel + bias


def evoopt_forward(problem: Problem) -> Work:
    _, out = problem.layers_with_buffers()[-1]
    return partial(problem.net.forward, problem.population, problem.inputs, out=out)


def torch_baddbmm(problem: Problem) -> Work:
    """Return the work of products with values (popsize, batch, units)."""
    import torch

    layers = [
        (
            torch.from_numpy(bias)[:, None],
            torch.from_numpy(kernel),
            None if out is None else torch.from_numpy(out),
        )
        for (bias, kernel), out in problem.layers_with_buffers()
    ]
    inputs = torch.from_numpy(problem.inputs)
    if not problem.own:
        inputs = inputs.expand(len(problem.population), -1, -1)

    @torch.inference_mode()
    def work() -> Any:
        values = inputs
        for bias, kernel, out in layers[:-1]:
            values = torch.baddbmm(bias, values, kernel, out=out).tanh_()
        bias, kernel, out = layers[-1]
        return torch.baddbmm(bias, values, kernel, out=out)

    return work


def torch_features_first(problem: Problem) -> Work:
    """Return the work of products with values (popsize, units, batch), which are faster."""
    import torch

    layers = []
    for (bias, kernel), out in problem.layers_with_buffers():
        swapped = None if out is None else torch.from_numpy(out.reshape(len(out), out.shape[2], out.shape[1]))
        layers.append((torch.from_numpy(bias)[:, :, None], torch.from_numpy(kernel).mT, swapped))
    inputs = torch.from_numpy(problem.inputs.T.copy()).expand(len(problem.population), -1, -1)

    @torch.inference_mode()
    def work() -> Any:
        values = inputs
        for bias, kernel, out in layers[:-1]:
            values = torch.baddbmm(bias, kernel, values, out=out).tanh_()
        bias, kernel, out = layers[-1]
        return torch.baddbmm(bias, kernel, values, out=out)

    return work


def leaf_places(spec: ParamSpec) -> list[tuple[slice, tuple[int, ...]]]:
    """Return the places and the shapes of a row's leaves: bias and kernel of each layer."""
    return [(spec.slice(name), shape) for name, shape in zip(spec.names, spec.shapes, strict=True)]


def jax_outputs(spec: ParamSpec) -> Callable[[Any, Any], Any]:
    """Return the function of a row and its inputs, to be mapped over rows."""
    layers = jax_layers(spec)
    return lambda row, values: jax_forward(layers(row), values)


def jax_layers(spec: ParamSpec) -> Callable[[Any], list[tuple[Any, Any]]]:
    """Return the function that cuts the bias and the kernel of each layer out of a row."""
    places = leaf_places(spec)

    def layers(row: Any) -> list[tuple[Any, Any]]:
        leaves = [row[place].reshape(shape) for place, shape in places]
        return list(zip(leaves[::2], leaves[1::2], strict=True))

    return layers


def jax_forward(
    layers: list[tuple[Any, Any]], values: Any, product: Callable[[Any, Any], Any] = operator.matmul
) -> Any:
    import jax.numpy as jnp

    *hidden, (bias, kernel) = layers
    for hidden_bias, hidden_kernel in hidden:
        values = jnp.tanh(product(values, hidden_kernel) + hidden_bias)
    return product(values, kernel) + bias


def jax_vmap(problem: Problem) -> Work:
    import jax
    import jax.numpy as jnp

    mapped = jax.jit(jax.vmap(jax_outputs(problem.net.spec), (0, 0 if problem.own else None)))
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
