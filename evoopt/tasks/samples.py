"""Samples as tasks keep them, and as the kernels take them."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evoopt import threads
from evoopt.compiling.arrays import aligned_empty, kernel_array
from evoopt.kernels.cpu.networks.fitness import pack_rows
from evoopt.tasks.losses import Targets, as_numbers
from evoopt.types import Array

NUMBERS_WORTH_A_THREAD = 100_000  # to pack


class Samples(NamedTuple):
    """Inputs (samples, features), targets and weights (samples,)."""

    inputs: Array
    targets: Targets
    weights: NDArray[np.float64]

    def chosen(self, rows: Array) -> "Samples":
        """Copy some of them."""
        targets = self.targets._replace(numbers=self.targets.numbers[rows])
        return Samples(self.inputs[rows], targets, self.weights[rows])

    def cast(self, dtype: "np.dtype[Any]") -> "Samples":
        """Give them in the layout and precision of kernels; copies only what has another.

        ValueError for numbers that would become infinite.
        """
        targets = self.targets._replace(numbers=_cast("targets", self.targets.numbers, dtype))
        return self._replace(inputs=_cast("inputs", self.inputs, dtype), targets=targets)

    def pack(self, rows: Array, columns: int, lanes: int) -> "Tiles":
        """Give some of what `cast` gave as tiles."""
        arrays = (self.inputs, self.targets.numbers)
        inputs, targets = (_pack(array, rows, columns, lanes) for array in arrays)
        return Tiles(inputs, targets, self.weights[rows])


class Tiles(NamedTuple):
    """Inputs and targets feature-major, (n_tiles, features * columns); weights (batch,)."""

    inputs: Array
    targets: Array
    weights: NDArray[np.float64]


def _cast(name: str, numbers: Array, dtype: "np.dtype[Any]") -> Array:
    with np.errstate(over="ignore"):
        found = kernel_array(numbers, dtype)
    if found is not numbers and (np.isinf(found) & np.isfinite(numbers)).any():
        raise ValueError(
            f"{name} must be numbers that {dtype} holds, got some beyond {np.finfo(dtype).max:.2g}; scale "
            "them, or take a population of float64."
        )
    return found


def _pack(numbers: Array, rows: Array, columns: int, lanes: int) -> Array:
    n = numbers.shape[1]
    tiles: Array = aligned_empty(-(-len(rows) // columns), n * columns, numbers)
    grain = -(-NUMBERS_WORTH_A_THREAD // (n * columns))
    threads.run(pack_rows, len(tiles), numbers, rows, columns, lanes, tiles, grain=grain)
    return tiles


def read_weights(weights: ArrayLike | None, samples: int) -> NDArray[np.float64]:
    """Read the weights of so many samples, the largest of them from 1/2 to 1; None is one for each.

    Only their ratios count, and a factor that is a power of two changes no bit of a weighted mean. So neither
    their sum nor a product with a loss overflows.
    """
    if weights is None:
        return np.ones(samples)
    found = as_numbers("sample_weight", weights).astype(np.float64)
    if found.shape != (samples,):
        raise ValueError(f"A sample_weight of shape ({samples},) was expected, but {found.shape} came.")
    if not (np.isfinite(found).all() and found.min() >= 0 and found.any()):
        raise ValueError(
            "A sample_weight of finite numbers of at least 0, not all 0, was expected, but "
            f"{found.min():g} to {found.max():g} came."
        )
    scaled: NDArray[np.float64] = np.ldexp(found, -np.frexp(found.max())[1])
    return scaled
