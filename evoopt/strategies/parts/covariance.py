"""Covariance matrices: those that users pass, whether there is room for them, and a condition."""

import numpy as np
from numpy.typing import ArrayLike

from evoopt import arrays
from evoopt.arguments import step_range
from evoopt.memory import require_memory
from evoopt.strategies.contract.fields import require
from evoopt.types import Array, Vector

ASYMMETRY = 1e-8  # of correlations, that rounding may cause


def read_covariance(covariance: ArrayLike, n: int) -> tuple[Vector, Array]:
    """Return the deviations (n,) of a covariance matrix, and its correlations (n, n), which are symmetric.

    Raises
    ------
    ValueError
        Unless it is a symmetric matrix (n, n) of finite real numbers with positive variances.
    """
    matrix = arrays.read("covariance", covariance)
    if matrix.shape != (n, n):
        raise ValueError(f"covariance must be a matrix of shape ({n}, {n}), got {matrix.shape}.")
    matrix = matrix.astype(np.float64)
    variances = matrix.diagonal()
    if not np.isfinite(matrix).all() or not (variances > 0).all():
        raise ValueError(
            "covariance must have finite numbers and positive variances, got variances from "
            f"{variances.min():g} to {variances.max():g}."
        )
    deviations = np.sqrt(variances)
    correlations = matrix / deviations / deviations[:, None]
    np.fill_diagonal(correlations, 1.0)
    difference = float(np.abs(correlations - correlations.T).max())
    if difference > ASYMMETRY:
        raise ValueError(
            f"covariance must be symmetric, got correlations that differ by {difference:g} from those of "
            "its transpose; take (covariance + covariance.T) / 2."
        )
    return deviations, (correlations + correlations.T) / 2


def require_deviations(deviations: Vector, place: str) -> None:
    """Raise ValueError unless standard deviations from a file have reasonable sizes."""
    smallest, largest = (end**2 for end in step_range(np.dtype(float)))
    inside = (deviations >= smallest) & (deviations <= largest)
    require(inside.all(), place, f"of deviations from {smallest:g} to {largest:g}", deviations)


def require_matrices(name: str, n: int, matrices: int) -> None:
    """Raise ValueError unless a strategy's `matrices` of (n, n) float64 fit into memory."""
    advice = "take LMMAES, SepCMAES or SNES, whose memory is linear in the number of parameters"
    require_memory(name, matrices * 8 * n * n, f"the matrices of {n:,} parameters", advice)


def condition(most: float, least: float) -> float:
    """Return the condition of the covariance matrix with standard deviations from `least` to `most`."""
    ratio = most / least
    return ratio * ratio
