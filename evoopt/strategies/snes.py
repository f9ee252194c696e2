"""Separable natural evolution strategy: a step size per coordinate, linear time and memory.

Schaul, Glasmachers and Schmidhuber 2011, High dimensions and heavy tails for natural evolution
strategies (SNES), https://doi.org/10.1145/2001576.2001692; Wierstra, Schaul, Glasmachers, Sun,
Peters and Schmidhuber 2014, Natural evolution strategies,
https://jmlr.org/papers/v15/wierstra14a.html.
"""

import functools
import math
from typing import ClassVar, Unpack

import numpy as np
from numpy.typing import NDArray

from evoopt import arguments
from evoopt.spaces.space import MeanLike, PointLike
from evoopt.strategies.contract.fields import (
    DISTRIBUTION,
    DRAWN_DISTRIBUTION,
    POSITIVE_NUMBER,
    Fields,
    Kind,
)
from evoopt.strategies.contract.registry import register
from evoopt.strategies.contract.told import Told
from evoopt.strategies.parts import late_steps
from evoopt.strategies.parts.converging import Converging, ConvergingOptions
from evoopt.strategies.parts.covariance import condition
from evoopt.strategies.parts.foreign import outside_factors
from evoopt.types import Vector


@register
class SNES(Converging):
    """Separable natural evolution strategy, for many parameters such as neural networks.

    Parameters
    ----------
    mean, sigma, x0, popsize, bounds, maximize, noisy, seed, dtype, target, max_evaluations,
    max_generations, tolx, tolfun
        See `Strategy`; `popsize` is 4 + 3 log(n_params) by default; networks need more.
    eta_mean : float
        Learning rate of the mean.
    eta_sigma : float, optional
        Learning rate of the step sizes, (3 + log(n_params)) / (5 sqrt(n_params)) by default.

    Raises
    ------
    ValueError
        If an argument is invalid.

    Examples
    --------
    >>> import evoopt
    >>> es = evoopt.SNES([3.0, -2.0], sigma=1.0, seed=1, target=1e-8)
    >>> while not es.stop():
    ...     population = es.ask()
    ...     es.tell(population, (population**2).sum(axis=1))
    >>> bool(abs(es.solution).max() < 1e-2)
    True
    """

    _computes_on_device = True
    _sums_rows = True
    _stored: ClassVar[Fields] = {
        **DISTRIBUTION,
        **dict.fromkeys(("eta_mean", "eta_sigma"), POSITIVE_NUMBER),
    }
    _drawn: ClassVar[Kind] = staticmethod(DRAWN_DISTRIBUTION)

    def __init__(
        self,
        mean: MeanLike,
        sigma: PointLike | None = None,
        *,
        eta_mean: float = 1.0,
        eta_sigma: float | None = None,
        **options: Unpack[ConvergingOptions],
    ) -> None:
        super().__init__(mean, sigma, **options)
        n = self.n_params
        self.eta_mean = arguments.number("eta_mean", eta_mean, positive=True)
        if eta_sigma is None:
            eta_sigma = (3 + math.log(n)) / (5 * math.sqrt(n))
        self.eta_sigma = arguments.number("eta_sigma", eta_sigma, positive=True)

    def _update(self, told: Told) -> None:
        engine, table = self._engine, utilities(len(told.order))
        weights = square_weights = engine.ranked(told.order, told.scores, table)
        total = table.sum()
        strange = told.without_late()
        factors = outside_factors(strange, self._mean, self._sigma, engine)
        if factors is not None:
            weights = without_baseline(engine.host(weights), strange.outside)
            total = weights.sum()
            weights = weights * factors
            square_weights = weights * factors
        first, second = late_steps.moments(told, weights, square_weights, self._mean, self._sigma, engine)
        limits = arguments.step_range(self.dtype)
        rates = self.eta_mean, self.eta_sigma
        self._mean, self._sigma = engine.map(
            step, self._mean, self._sigma, first, second, *rates, total, *limits
        )

    def _measures(self) -> dict[str, float]:
        found = self._engine.range_of(self._sigma)
        return {"condition": condition(found.most, found.least)}


def step(
    mean: Vector, sigma: Vector, first: Vector, second: Vector,
    eta_mean: float, eta_sigma: float, sum_u: float, smallest: float, largest: float,
) -> tuple[Vector, Vector]:  # fmt: skip
    """Return mean and sigma, moved by sum u (x - mean) and sum u (x - mean)^2.

    A formula, see `PopulationEngine.map`; Wierstra et al. 2014, Eq. (11), with z = (x - mean) /
    sigma: grad_mean J = sum u z and grad_sigma J = sum u (z^2 - 1).
    """
    change = eta_sigma / 2 * (second / (sigma * sigma) - sum_u)
    moved = sigma * np.exp(np.minimum(np.maximum(change, -1.0), 1.0))
    return mean + eta_mean * first, np.minimum(np.maximum(moved, smallest), largest)


@functools.lru_cache(maxsize=64)
def utilities(k: int) -> Vector:
    """Return utilities of `k` rows, best first, with sum 0: Wierstra et al. 2014, section 3.1."""
    raw = np.maximum(0.0, math.log(k / 2 + 1) - np.log(np.arange(1, k + 1)))
    u: Vector = raw / raw.sum() - 1 / k
    u.flags.writeable = False
    return u


def without_baseline(u: Vector, foreign: NDArray[np.bool_] | None) -> Vector:
    """Return the utilities `u` (k,), without the baseline for foreign rows.

    The baseline of -1 / k moves nothing if rows are equally likely on both sides of the mean.
    Foreign rows are not: the baseline would reduce their effect, to nothing if they are all alike.
    So no foreign row has a negative weight, as in Hansen 2011, https://arxiv.org/abs/1110.4181.
    """
    return u if foreign is None else np.where(foreign, np.maximum(u + 1 / len(u), 0.0), u)
