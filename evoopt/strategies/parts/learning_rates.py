"""Learning rates of CMA-ES for noisy fitness: they keep the signal-to-noise ratio of its updates.

Nomura, Akimoto and Ono 2023, CMA-ES with learning rate adaptation: can CMA-ES with default
population size solve multimodal and noisy problems?, https://arxiv.org/abs/2304.03473; at length in
https://arxiv.org/abs/2401.15876.

The ordinary update moves the mean by Delta_m and the covariance by Delta_Sigma; here they move by
eta_m Delta_m and eta_Sigma Delta_Sigma. The signal-to-noise ratio is estimated from moving averages
of the updates and of their squared lengths, in local coordinates, in which the distribution before
the update is N(0, I). The paper maps to them by the symmetric root of Sigma, evoopt by the Cholesky
factor: lengths are the same.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from evoopt.devices.cpu import covariance as matrices
from evoopt.devices.cpu.covariance import Update
from evoopt.strategies.contract.fields import APART, PATH, Fields, array, finite, number, paths
from evoopt.strategies.contract.registry import plain_data
from evoopt.types import Array, Vector

ALPHA = 1.4  # the signal-to-noise ratio to keep, in units of the learning rate
GAMMA = 0.1  # how fast the learning rates change
BETA_MEAN, BETA_COVARIANCE = 0.1, 0.03  # how fast the moving averages change


STORED_MATRIX = array("n_params", "n_params", limits=paths)


@plain_data
@dataclass(frozen=True, eq=False)  # arrays have no truth value
class LearningRate:
    """A learning rate and its moving averages; a matrix `E` is an upper triangle, 0 below."""

    _stored: ClassVar[Fields] = {
        "E": PATH,
        "V": number(0, finite(np.dtype(float))[1]),
        "eta": number(1 / APART, 1),
    }

    E: Array  # moving average of the updates, (n,) or (n, n)
    V: float = 0.0  # moving average of their squared lengths
    eta: float = 1.0

    def after(self, update: Array, beta: float) -> "LearningRate":
        """Return the learning rate after one more `update`, in local coordinates."""
        E = (1 - beta) * self.E
        E += beta * update
        V = (1 - beta) * self.V + beta * squared_length(update)
        return LearningRate(E, V, adapted(self.eta, squared_length(E), V, beta))


Rates = tuple[LearningRate, LearningRate]  # of the mean and of the covariance


def squared_length(update: Array) -> float:
    """Return the squared Frobenius norm; a symmetric matrix is given by its upper triangle."""
    # einsum, because the bits of BLAS change with its threads
    if update.ndim == 1:
        return float(np.einsum("i,i->", update, update))
    diagonal = update.diagonal()
    return float(2 * np.einsum("ij,ij->", update, update) - np.einsum("i,i->", diagonal, diagonal))


def signal_to_noise(E_squared: float, V: float, beta: float) -> float:
    """Return the estimate of |E[Delta]|^2 / Tr(Cov[Delta]); `E_squared` is |E|^2."""
    return (E_squared - beta / (2 - beta) * V) / (V - E_squared)


def adapted(eta: float, E_squared: float, V: float, beta: float) -> float:
    """Return a rate that moves the signal-to-noise ratio towards `ALPHA` times the rate.

    It is larger than `eta` if the ratio is above this value, and smaller if below.
    """
    if E_squared >= V:  # no update has moved anything yet
        return eta
    excess = signal_to_noise(E_squared, V, beta) / (ALPHA * eta) - 1
    return min(1.0, eta * math.exp(min(GAMMA * eta, beta) * min(max(excess, -1.0), 1.0)))


def share(
    update: Update,
    weights: Vector,
    step: float,
    C: Array,
    root: Array,
    resting: NDArray[np.intp],
    rates: Rates,
) -> tuple[Rates, Array]:  # fmt: skip
    """Return the learning rates after an update, and C after the share that they allow.

    In units of the old step size, Sigma = C and Sigma' = decay C + sum_i rates_i y_i y_i^T. In
    local coordinates z_i = R^-T y_i their difference is a sum of the same form, so no matrix
    equation has to be solved.
    """
    y, of_rows, decay, new_step = update
    growth = (new_step / step) ** 2
    of_rows, decay = growth * of_rows, growth * decay
    z = matrices.to_local(root, y)
    change = np.einsum("i,ij->j", np.maximum(weights, 0.0), z[:-1])  # always the same bits
    of_mean = rates[0].after(change, BETA_MEAN)
    change = np.empty_like(C)
    matrices.add_squares(rates[1].E, z, of_rows / math.sqrt(2), 0.0, change)
    change.reshape(-1)[:: len(C) + 1] += (decay - 1) / math.sqrt(2)
    change[resting, resting] = 0.0
    of_C = rates[1].after(change, BETA_COVARIANCE)
    del change
    new_C, eta = np.empty_like(C), of_C.eta
    matrices.add_squares(C, y, eta * of_rows, 1 - eta + eta * decay, new_C)
    return (of_mean, of_C), new_C
