"""Supervised learning: samples with targets, and the engine that computes losses on them."""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from evoopt.compiling.arrays import kernel_array
from evoopt.rules.losses import LossName, Meaning
from evoopt.types import Array, PopulationLike

A_co = TypeVar("A_co", covariant=True)  # the device's arrays
Loss = LossName | Callable[..., Any]  # a name in the table of losses, or a user's njit function


class Targets(NamedTuple):
    """Numbers (samples, n), and their meaning for the loss."""

    numbers: Array
    meaning: Meaning


class Samples(NamedTuple):
    """Inputs (samples, features), targets and weights (samples,)."""

    inputs: Array
    targets: Targets
    weights: NDArray[np.float64]

    def chosen(self, rows: NDArray[np.intp]) -> "Samples":
        """Return copies of some samples."""
        targets = self.targets._replace(numbers=self.targets.numbers[rows])
        return Samples(self.inputs[rows], targets, self.weights[rows])

    def cast(self, dtype: np.dtype[Any]) -> "Samples":
        """Return the samples in the layout and precision of kernels, copied only if they must be.

        ValueError is raised for numbers that would become infinite.
        """
        targets = self.targets._replace(numbers=_cast("targets", self.targets.numbers, dtype))
        return self._replace(inputs=_cast("inputs", self.inputs, dtype), targets=targets)


def _cast(name: str, numbers: Array, dtype: np.dtype[Any]) -> Array:
    with np.errstate(over="ignore"):
        found = kernel_array(numbers, dtype)
    if found is not numbers and (np.isinf(found) & np.isfinite(numbers)).any():
        raise ValueError(
            f"{name} must be numbers that {dtype} holds, got some beyond {np.finfo(dtype).max:.2g}; scale "
            "them, or take a population of float64."
        )
    return found


class SupervisedEngine(Protocol[A_co]):
    """An engine that evaluates populations, for one network, loss and set of samples."""

    def __call__(self, population: PopulationLike, chosen: NDArray[np.intp] | None = None) -> A_co:
        """Return the weighted mean loss of each row of a population, (popsize,) float64.

        Parameters
        ----------
        population : (popsize, n_params)
            Read as by the network's engine, which raises ValueError for any other.
        chosen : (batch,), optional
            The numbers of the samples to take; all by default.
        """
