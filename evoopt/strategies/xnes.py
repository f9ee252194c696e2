"""Exponential natural evolution strategy: a covariance matrix follows its natural gradient.

Glasmachers, Schaul, Yi, Wierstra and Schmidhuber 2010, Exponential natural evolution strategies,
https://doi.org/10.1145/1830483.1830557; Wierstra, Schaul, Glasmachers, Sun, Peters and Schmidhuber
2014, Natural evolution strategies, https://jmlr.org/papers/v15/wierstra14a.html, with the symbols
of Algorithm 5.
"""

import math
from typing import Any, ClassVar, Unpack

import numpy as np

from evoopt import arguments
from evoopt.devices.cpu import covariance as matrices
from evoopt.spaces.space import MeanLike, PointLike
from evoopt.strategies.contract import fields
from evoopt.strategies.contract.fields import Fields, Scope
from evoopt.strategies.contract.ledger import FOREIGN
from evoopt.strategies.contract.registry import register
from evoopt.strategies.contract.told import Told
from evoopt.strategies.parts.converging import Converging, ConvergingOptions
from evoopt.strategies.parts.covariance import lengths_of_columns, require_deviations, require_matrices
from evoopt.strategies.parts.foreign import shortening
from evoopt.strategies.snes import utilities, without_baseline
from evoopt.types import Array, Ids, Vector

MATRICES = 10  # (n, n) float64 at once: B and its inverse, now and before, and a decomposition
LARGE = 1000  # parameters; with more, only one older factor is kept for rows that wait
WORST_CONDITION = 1e10  # limit for B, above which z would be rounding errors


@register
class XNES(Converging):
    """Exponential natural evolution strategy, for up to a few hundred correlated parameters.

    Parameters
    ----------
    mean, sigma, x0, popsize, bounds, maximize, noisy, seed, dtype, target, max_evaluations,
    max_generations, tolx, tolfun
        See `Strategy`; `popsize` is 4 + 3 log(n_params) by default. A `sigma` for each coordinate
        scales that coordinate.
    eta_mean : float
        Learning rate of the mean.
    eta_sigma, eta_B : float, optional
        Learning rates of the step size and of the shape of the distribution,
        0.6 (3 + log(n_params)) / n_params^1.5 by default.

    Raises
    ------
    ValueError
        If an argument is invalid, or the matrices would not fit in memory.

    Examples
    --------
    >>> import evoopt
    >>> es = evoopt.XNES([3.0, -2.0], sigma=1.0, seed=1, target=1e-10)
    >>> while not es.stop():
    ...     population = es.ask()
    ...     es.tell(population, (population.sum(axis=1) ** 2 + 100 * population[:, 0] ** 2))
    >>> bool(abs(es.solution).max() < 1e-3)
    True
    """

    _stored: ClassVar[Fields] = {
        "_mean": fields.COORDINATES,
        **dict.fromkeys(("_sigma", "_scale"), fields.POSITIVE),
        "_step": fields.STEP,
        **dict.fromkeys(("_factor", "_inverse"), fields.FINITE_MATRIX),
        **dict.fromkeys(("eta_mean", "eta_sigma", "eta_B", "_condition"), fields.POSITIVE_NUMBER),
    }

    def __init__(
        self,
        mean: MeanLike,
        sigma: PointLike | None = None,
        *,
        eta_mean: float = 1.0,
        eta_sigma: float | None = None,
        eta_B: float | None = None,
        **options: Unpack[ConvergingOptions],
    ) -> None:
        super().__init__(mean, sigma, **options)
        n = self.n_params
        if n > LARGE:
            self._ledger.memory = 1
        require_matrices("XNES", n, MATRICES + self._ledger.memory)
        default = 0.6 * (3 + math.log(n)) / (n * math.sqrt(n))
        self.eta_mean = arguments.number("eta_mean", eta_mean, positive=True)
        self.eta_sigma = arguments.number(
            "eta_sigma", default if eta_sigma is None else eta_sigma, positive=True
        )
        self.eta_B = arguments.number("eta_B", default if eta_B is None else eta_B, positive=True)
        # x = mean + step S B z, S = diag(scale), |det B| = 1
        self._step = float(np.exp(np.log(self._sigma).mean()))
        self._scale = self._sigma / self._step
        self._factor = np.diag(self._scale)  # (S B)^T
        self._inverse = np.diag(1 / self._scale)  # the inverse of the factor
        self._condition = float(n)

    def _require_fit(self, place: str, scope: Scope) -> None:
        super()._require_fit(place, scope)
        volume = float(np.log(self._scale).mean())
        fields.require(abs(volume) < 1e-6, f"{place}._scale", "of volume 1", self._scale)
        with np.errstate(over="ignore", invalid="ignore"):  # a wrong file may overflow
            sigma = self._step * lengths_of_columns(self._factor)
            ones = np.einsum("ij,ji->i", self._factor, self._inverse)
        require_deviations(sigma, f"{place}._factor")
        fields.require(np.allclose(sigma, self._sigma, 1e-6, 0), f"{place}._sigma", "of factor", self._sigma)
        fields.require(
            np.allclose(ones, 1, 0, 0.1), f"{place}._inverse", "the inverse of factor", self._inverse
        )

    def _overall_sigma(self) -> float:
        return self._step

    def _snapshot(self, first_id: int) -> tuple[Any, ...]:
        return self._mean, self._step, self._factor

    @staticmethod
    def _stored_snapshot(value: Any, place: str, scope: Scope) -> None:
        fields.tupled(fields.COORDINATES, fields.STEP, fields.FINITE_MATRIX)(value, place, scope)
        require_deviations(value[1] * lengths_of_columns(value[2]), place)

    def _sample(self, snapshot: tuple[Any, ...], ids: Ids, out: Array) -> None:
        mean, step, factor = snapshot
        matrices.sample(self._key, ids, mean, step, np.ones(self.n_params), factor, False, out)

    def _update(self, told: Told) -> None:
        n, k = self.n_params, len(told.order)
        u = np.empty(k)
        u[told.order] = utilities(k)
        u = without_baseline(u, told.without_late().outside)
        z = self._deviates(told)
        G_delta = u @ z  # grad_delta J = sum u z
        G_M = (z.T * u) @ z - u.sum() * np.eye(n)  # grad_M J = sum u (z z^T - I)
        G_sigma = float(G_M.trace()) / n
        G_B = G_M - G_sigma * np.eye(n)
        self._mean = self._mean + self.eta_mean * self._step * (G_delta @ self._factor)
        change = self.eta_sigma / 2 * G_sigma
        smallest, largest = arguments.step_range(self.dtype)
        self._step = min(max(self._step * math.exp(min(max(change, -1.0), 1.0)), smallest), largest)
        self._reshape(self.eta_B / 2 * G_B)
        self._sigma = self._step * lengths_of_columns(self._factor)

    def _deviates(self, told: Told) -> Array:
        """Return z (popsize, n) of the told rows: the noise of own rows, also of late ones.

        The deviates of foreign rows are limited in length.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            z: Array = (told.population - self._mean) / self._step @ self._inverse
            for (mean, step, factor), where in told.drawn if told.some_late else ():
                z[where] = (told.population[where] - mean) / step @ np.linalg.inv(factor)
            foreign = np.flatnonzero(told.ids == FOREIGN)
            factors = shortening(np.sqrt((z[foreign] ** 2).sum(axis=1)), self.n_params)
            z[foreign] *= factors[:, None]
            z[foreign[factors == 0]] = 0.0  # they may be NaN
        return z

    def _reshape(self, change: Array) -> None:
        """Multiply B by exp(change), symmetric with trace 0, unless B becomes ill-conditioned."""
        values, basis = np.linalg.eigh(change)
        values = np.clip(values, -1.0, 1.0)
        growth = np.exp(values - values.mean())  # clipping must not change the volume
        factor = (basis * growth) @ (basis.T @ self._factor)
        inverse = np.linalg.inv(factor)
        condition = _length(factor / self._scale) * _length(inverse * self._scale[:, None])
        if condition <= max(WORST_CONDITION, self._condition):
            self._factor, self._inverse, self._condition = factor, inverse, condition


def _length(matrix: Array) -> float:
    flat: Vector = matrix.ravel()
    return math.sqrt(float(flat @ flat))
