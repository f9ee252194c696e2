"""Convolutional networks of a population: two convolutions pooled by 2, dense layers, relu.

Each library gets the weights in its own layout, as if its optimizer had made them so. PyTorch and
JAX run a few individuals at a time if that is faster, because the values of all individuals would
not fit the caches.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness.dense import leaf_places
from benchmarks.harness.limits import Demand
from benchmarks.harness.race import Work
from evoopt import ParamSpec

Array = NDArray[Any]
BLOCK = 4  # individuals of one grouped convolution


class Shape(NamedTuple):
    """Sizes of a network."""

    side: int  # height and width of the images, which have one channel
    filters: tuple[int, int]
    kernel: int
    dense: tuple[int, ...]  # units

    def __str__(self) -> str:
        convolutions = "-".join(f"{n} of {self.kernel}x{self.kernel}" for n in self.filters)
        units = "-".join(map(str, self.dense))
        return f"{self.side}x{self.side} images, convolutions {convolutions}, dense {units}"

    @property
    def spec(self) -> ParamSpec:
        """evoopt's names and shapes of the parameters."""
        shapes: dict[str, Any] = {}
        for i, (n_in, n_out) in enumerate(pairwise((1, *self.filters))):
            shapes[f"conv_{i}.bias"] = n_out
            shapes[f"conv_{i}.kernel"] = (self.kernel, self.kernel, n_in, n_out)
        for i, (n_in, n_out) in enumerate(pairwise((self.filters[1] * (self.side // 4) ** 2, *self.dense))):
            shapes[f"dense_{i}.bias"] = n_out
            shapes[f"dense_{i}.kernel"] = (n_in, n_out)
        return ParamSpec.from_shapes(shapes)


@dataclass(frozen=True)
class Problem:
    shape: Shape
    population: Array  # (popsize, n_params)
    images: Array  # (batch, side, side, 1)
    labels: Array

    @classmethod
    def of(cls, shape: Shape, popsize: int, images: Array, labels: Array) -> "Problem":
        population = np.random.default_rng(0).standard_normal((popsize, shape.spec.size), np.float32)
        return cls(shape, 0.1 * population, images, labels)

    def layers(self, parameters: Array) -> list[tuple[Array, Array]]:
        """Return the bias and the kernel of each layer as views of a row or a population."""
        return [(leaves["bias"], leaves["kernel"]) for leaves in self.shape.spec.unravel(parameters).values()]

    def demand(self) -> Demand:
        samples = len(self.population) * len(self.images)
        places = [self.shape.side**2, (self.shape.side // 2) ** 2]  # the places of each convolution's outputs
        places += [1] * len(self.shape.dense)
        row = self.layers(self.population[0])
        each = sum(n * kernel.size for n, (_, kernel) in zip(places, row, strict=True))
        return Demand(samples * each, {"exp": samples * self.shape.dense[-1]})


def network(shape: Shape) -> Any:
    import evoopt

    layers: list[Any] = []
    for filters in shape.filters:
        layers += [evoopt.Conv2D(filters, shape.kernel, activation="relu", padding="same")]
        layers += [evoopt.MaxPool2D(2)]
    *hidden, outputs = shape.dense
    layers += [evoopt.Flatten(), *(evoopt.Dense(n, "relu") for n in hidden), evoopt.Dense(outputs)]
    return evoopt.Network(layers, (shape.side, shape.side, 1))


def reference(problem: Problem, individual: int) -> Array:
    """Return the logits of one individual in float64, (batch, classes)."""
    layers = problem.layers(problem.population[individual].astype(np.float64))
    values = problem.images.astype(np.float64)
    for bias, kernel in layers[:2]:
        values = np.maximum(convolve(values, kernel) + bias, 0)
        batch, height, width, channels = values.shape
        values = values.reshape(batch, height // 2, 2, width // 2, 2, channels).max(axis=(2, 4))
    values = values.reshape(len(values), -1)
    *hidden, (bias, kernel) = layers[2:]
    for hidden_bias, hidden_kernel in hidden:
        values = np.maximum(values @ hidden_kernel + hidden_bias, 0)
    return values @ kernel + bias


def convolve(values: Array, kernel: Array) -> Array:
    """Return a convolution, summed over the places of the kernel one after the other."""
    batch, height, width, _ = values.shape
    rows, columns, _, filters = kernel.shape
    around = [(0, 0), (rows // 2, rows // 2), (columns // 2, columns // 2), (0, 0)]
    padded = np.pad(values, around)
    total = np.zeros((batch, height, width, filters))
    for i in range(rows):
        for j in range(columns):
            total += padded[:, i : i + height, j : j + width] @ kernel[i, j]
    return total


def torch_tensors(problem: Problem) -> tuple[list[Any], Any]:
    """Return biases and kernels in PyTorch's layout, and images (batch, 1, side, side).

    Channels come before height and width, so the inputs of the first dense layer are in another
    order.
    """
    import torch

    leaves = []
    popsize, last = len(problem.population), problem.shape.filters[-1]
    for i, (bias, kernel) in enumerate(problem.layers(problem.population)):
        if kernel.ndim == 5:
            turned = kernel.transpose(0, 4, 3, 1, 2)
        elif i == 2:
            turned = kernel.reshape(popsize, -1, last, kernel.shape[-1]).swapaxes(1, 2).reshape(kernel.shape)
        else:
            turned = kernel
        leaves += [torch.tensor(bias), torch.tensor(np.ascontiguousarray(turned))]
    return leaves, torch.tensor(problem.images.transpose(0, 3, 1, 2).copy())


def torch_grouped(problem: Problem) -> Work:
    """Return the work of running some individuals at a time as groups of one convolution."""
    import torch
    from torch.nn import functional

    leaves, images = torch_tensors(problem)
    batch = len(images)

    def logits(leaves: list[Any]) -> Any:
        n, values, groups = len(leaves[0]), images, 1
        for bias, kernel in (leaves[:2], leaves[2:4]):
            values = functional.conv2d(
                values, kernel.flatten(0, 1), bias.flatten(), padding="same", groups=groups
            )
            values, groups = functional.max_pool2d(values.relu_(), 2), n
        values = values.view(batch, n, -1).transpose(0, 1)
        for i in range(4, len(leaves), 2):
            values = torch.baddbmm(leaves[i][:, None], values if i == 4 else values.relu_(), leaves[i + 1])
        return values

    @torch.inference_mode()
    def work() -> Any:
        blocks = zip(*(leaf.split(BLOCK) for leaf in leaves), strict=True)
        return torch.cat([logits(list(block)) for block in blocks])

    return work


def torch_vmap(problem: Problem) -> Work:
    import torch
    from torch.nn import functional

    leaves, images = torch_tensors(problem)

    def logits(*leaves: Any) -> Any:
        values = images
        for bias, kernel in (leaves[:2], leaves[2:4]):
            values = functional.max_pool2d(functional.conv2d(values, kernel, bias, padding="same").relu(), 2)
        values = values.flatten(1)
        for i in range(4, len(leaves), 2):
            values = torch.addmm(leaves[i], values if i == 4 else values.relu(), leaves[i + 1])
        return values

    mapped = torch.inference_mode()(torch.func.vmap(logits, chunk_size=1))
    return lambda: mapped(*leaves)


def jax_logits(problem: Problem) -> Callable[[Any], Any]:
    """Return the function of a row, to be mapped over rows."""
    import jax
    import jax.numpy as jnp
    from jax import lax

    spec, images = problem.shape.spec, jnp.asarray(problem.images)
    places = leaf_places(spec)
    convolve = partial(
        lax.conv_general_dilated,
        window_strides=(1, 1),
        padding="SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )

    def logits(row: Any) -> Any:
        leaves = [row[place].reshape(shape) for place, shape in places]
        values = images
        for bias, kernel in (leaves[:2], leaves[2:4]):
            values = jax.nn.relu(convolve(values, kernel) + bias)
            values = lax.reduce_window(values, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
        values = values.reshape(len(values), -1)
        for i in range(4, len(leaves), 2):
            values = (values if i == 4 else jax.nn.relu(values)) @ leaves[i + 1] + leaves[i]
        return values

    return logits
