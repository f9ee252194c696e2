"""Covariance matrices: reading and checking them, their eigenvalues, and their memory."""

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evoopt import arrays
from evoopt.arguments import step_range
from evoopt.devices.cpu import covariance as matrices
from evoopt.memory import require_memory
from evoopt.strategies.contract import fields
from evoopt.strategies.contract.fields import APART, Kind, Scope, require
from evoopt.types import Array, Vector

_log = logging.getLogger(__name__)
_OF_SNAPSHOTS = fields.COORDINATES, fields.STEP, fields.POSITIVE, fields.FINITE_MATRIX
ASYMMETRY = 1e-8  # correlations may differ by this much through rounding


def read_covariance(covariance: ArrayLike, n: int) -> tuple[Vector, Array]:
    """Return the standard deviations (n,) and correlations (n, n) of a covariance matrix.

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


def correlations(covariance: ArrayLike, resting: NDArray[np.intp], n: int) -> tuple[Array, Vector]:
    """Return the correlations (n, n) and standard deviations (n,) of a user's covariance matrix.

    Coordinates that are `resting` have the variance 1 and no correlations.
    """
    deviations, C = read_covariance(covariance, n)
    C[resting], C[:, resting], deviations[resting] = 0.0, 0.0, 1.0
    C[resting, resting] = 1.0
    return C, deviations


def require_first_steps(steps: Vector, limits: tuple[float, float], dtype: np.dtype[Any]) -> None:
    """Raise ValueError unless the first standard deviations are within the limits of the rows."""
    smallest, largest = limits
    if steps.min() < smallest or steps.max() > largest:
        raise ValueError(
            f"The first standard deviations must be from {smallest:g} to {largest:g} for rows of "
            f"{dtype}, got {steps.min():g} to {steps.max():g}; scale sigma or covariance."
        )


def not_definite(smallest: float, largest: float) -> ValueError:
    """Return the error for a user's matrix whose correlations have these eigenvalues."""
    return ValueError(
        f"covariance must be positive definite, got correlations with eigenvalues from {smallest:g} to "
        f"{largest:g}; add to its diagonal."
    )


def require_deviations(deviations: Vector, place: str) -> None:
    """Raise ValueError unless standard deviations from a file have reasonable sizes."""
    smallest, largest = (end**2 for end in step_range(np.dtype(float)))
    inside = (deviations >= smallest) & (deviations <= largest)
    require(inside.all(), place, f"of deviations from {smallest:g} to {largest:g}", deviations)


def require_matrices(name: str, n: int, matrices: int) -> None:
    """Raise ValueError unless so many `matrices` (n, n) of float64 fit into memory."""
    advice = "take LMMAES, SepCMAES or SNES, whose memory is linear in the number of parameters"
    require_memory(name, matrices * 8 * n * n, f"the matrices of {n:,} parameters", advice)


def stored_snapshot(value: Any, place: str, scope: Scope) -> None:
    """Check a snapshot of CMAES from a file, see `fields`.

    It has the mean, sigma, scale and root; then the odds of categories, or the path of the step
    size and the number of updates, which snapshots of older versions lack.
    """
    discrete = scope.owner._discrete
    more: tuple[Kind, ...] = fields.PATH, fields.whole()
    if discrete is not None:
        more = (discrete.categories.stored_odds,)
    elif type(value) is tuple and len(value) == len(_OF_SNAPSHOTS):
        more = ()
    fields.tupled(*_OF_SNAPSHOTS, *more)(value, place, scope)
    _, step, scale, root, *_ = value
    require_deviations(step * scale * lengths_of_columns(root), place)
    require_root(root, place)


def require_root(root: Array, place: str) -> None:
    """Raise ValueError unless a root from a file has an inverse."""
    diagonal = root.diagonal()
    fits = (diagonal > 0) & (diagonal * APART >= lengths_of_columns(root))
    require(fits.all(), place, "a root with an inverse", root)


def require_root_of(C: Array, root: Array, place: str) -> None:
    """Raise ValueError unless C from a file is a covariance matrix, and `root` its root."""
    with np.errstate(over="ignore", invalid="ignore"):  # a wrong file may overflow
        deviations = np.sqrt(C.diagonal())
        correlations = np.abs(C) / deviations / deviations[:, None]
        lengths = lengths_of_columns(root) / deviations
    require((correlations <= 2).all(), f"{place}._C", "a covariance matrix", C)
    fits = (lengths >= 1 / APART) & (lengths <= APART)
    require(fits.all(), f"{place}._root", "a root of C", root)
    require_root(root, f"{place}._root")


def lengths_of_columns(root: Array) -> Vector:
    """Return the lengths of a matrix's columns; these are the standard deviations of a root."""
    lengths: Vector = np.sqrt(np.einsum("jc,jc->c", root, root))
    return lengths


def eigenvalues(matrix: Array, without: Sequence[int] | NDArray[np.intp] = ()) -> tuple[float, float]:
    """Return the extreme eigenvalues of a symmetric matrix, of which the upper triangle is read.

    Coordinates `without` do not count; they have no covariances.

    Raise FloatingPointError if the matrix is not finite, which rows too far away can cause.
    """
    if not np.isfinite(matrix).all():
        raise FloatingPointError(
            "A covariance matrix must be finite, but the step sizes have outgrown the dtype of the rows; end "
            "a search when stop() has a reason."
        )
    if len(without):
        matrix = np.delete(np.delete(matrix, without, 0), without, 1)
    values = np.linalg.eigvalsh(matrix, UPLO="U") if len(matrix) else np.ones(1)
    return float(values[0]), float(values[-1])


def condition(most: float, least: float) -> float:
    """Return the condition number of a covariance matrix, given its extreme deviations."""
    ratio = most / least
    return ratio * ratio


def repaired(C: Array, before: Array) -> tuple[Array, Array]:
    """Return C made positive definite again, and its root.

    `before` is C before the update. The diagonal grows in proportion to each variance, because even
    the rounding errors of the largest variance may exceed other variances.
    """
    variances = C.diagonal()
    # if c_1 + c_mu = 1 forgets the past, a coordinate that no row moved keeps its variance
    variances = np.where(variances > 0, variances, before.diagonal())
    C, deviations = C.copy(), np.sqrt(variances)
    np.fill_diagonal(C, variances)
    smallest, largest = eigenvalues(C / deviations / deviations[:, None])
    _log.info("the correlation matrix had eigenvalues from %g to %g", smallest, largest)
    # the rounding error of sums of n numbers of this size
    shift = 1e-15 * len(C) * largest - min(smallest, 0.0)
    np.fill_diagonal(C, (1 + shift) * variances)
    root = np.empty_like(C)
    if not matrices.cholesky(C, root):
        raise FloatingPointError(f"The covariance matrix must be positive definite, got {C}.")
    return C, root
