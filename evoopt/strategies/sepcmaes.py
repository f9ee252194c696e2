"""CMA-ES with a diagonal covariance matrix: time and memory linear in the number of parameters.

Ros and Hansen 2008, A simple modification in CMA-ES achieving linear time and space complexity,
https://doi.org/10.1007/978-3-540-87700-4_30; with negative weights as in Hansen 2016,
https://arxiv.org/abs/1604.00772.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from evoopt import arguments
from evoopt.arguments import Vector
from evoopt.strategies import recombination, stopping
from evoopt.strategies.base import Strategy
from evoopt.strategies.diagonal import condition, lengths, moments, outside_factors
from evoopt.strategies.registry import register
from evoopt.strategies.stopping import Reason
from evoopt.strategies.told import Told


@register
class SepCMAES(Strategy):
    """CMA-ES that adapts one variance for each coordinate and no correlations.

    Parameters
    ----------
    mean, sigma, popsize, bounds, maximize, noisy, seed, dtype, target, max_evaluations, max_generations
        See `Strategy`; `popsize` is 4 + 3 log(n_params) by default.
    tolx, tolfun : float
        When `stop` advises to: all steps are smaller than `tolx` (or too small to change the mean); the
        fitness of a generation, and the best ones of the last 10 + 30 n_params / popsize generations, range
        over less than `tolfun`, which with ``noisy=True`` is no reason.

    Raises
    ------
    ValueError
        For arguments that do not fit.

    Examples
    --------
    >>> import evoopt
    >>> es = evoopt.SepCMAES([3.0, -2.0], sigma=1.0, seed=1, target=1e-10)
    >>> while not es.stop():
    ...     population = es.ask()
    ...     es.tell(population, (population**2).sum(axis=1))
    >>> bool(abs(es.solution).max() < 1e-3)
    True
    """

    def __init__(
        self, mean: ArrayLike, sigma: ArrayLike, *, tolx: float = 1e-11, tolfun: float = 1e-11, **options: Any
    ) -> None:
        super().__init__(mean, sigma, **options)
        self.tolx, self.tolfun = arguments.number("tolx", tolx), arguments.number("tolfun", tolfun)
        self._fitness_range = math.inf
        # sigma (n,) = step size * sqrt(diagonal of C)
        self._step = float(np.exp(np.log(self._sigma).mean()))
        self._C = (self._sigma / self._step) ** 2
        self._p_sigma = np.zeros(self.n_params)
        self._p_c = np.zeros(self.n_params)
        self._updates = 0

    def _overall_sigma(self) -> float:
        return self._step

    def _measures(self) -> dict[str, float]:
        return {"condition": condition(self._sigma)}

    def _update(self, told: Told) -> None:
        n, k = self.n_params, len(told.order)
        p = recombination.separable(k, n)
        self._updates += 1
        weights, rates, ranked_sum = self._row_weights(told, p)
        y_w, C = moments(told.population, weights, rates, self._mean)
        self._mean = self._mean + y_w
        y_w /= self._step  # in place, as C below: for many parameters each array counts
        gain = math.sqrt(p.c_sigma * (2 - p.c_sigma) * p.mueff)
        self._p_sigma = (1 - p.c_sigma) * self._p_sigma + gain * y_w / np.sqrt(self._C)
        length = float(np.sqrt((self._p_sigma**2).sum()))
        settled = 1 - (1 - p.c_sigma) ** (2 * self._updates)
        h_sigma = length**2 / settled / n < 2 + 4 / (n + 1)
        self._p_c = (1 - p.c_c) * self._p_c + h_sigma * math.sqrt(p.c_c * (2 - p.c_c) * p.mueff) * y_w
        lost = 0.0 if h_sigma else p.c_1 * p.c_c * (2 - p.c_c)
        decay = 1 - p.c_1 - p.c_mu * ranked_sum + lost
        C /= self._step**2
        C += p.c_1 * self._p_c**2
        C += decay * self._C
        change = p.c_sigma / p.d_sigma * (length / recombination.expected_length(n) - 1)
        smallest, largest = arguments.step_range(self.dtype)
        self._step = min(max(self._step * math.exp(min(1.0, change)), smallest), largest)  # Eq. (44)
        lowest, highest = (min(max(end / self._step, 1e-150), 1e150) ** 2 for end in (smallest, largest))
        self._C = np.clip(C, max(1e-16 * C.max(), lowest), highest, out=C)
        self._sigma = self._step * np.sqrt(self._C)
        self._fitness_range = stopping.fitness_range(told)

    def _reasons(self) -> Sequence[Reason]:
        steps = np.maximum(self._sigma, np.abs(self._step * self._p_c))
        return [
            *stopping.small_steps(self._mean, steps, self.dtype, self.tolx),
            *stopping.flat_fitness(self, self._fitness_range, self.tolfun),
        ]

    def _row_weights(self, told: Told, p: recombination.Parameters) -> tuple[Vector, Vector, float]:
        """Return by row the weights of the mean, and c_mu w_i, if negative times n / |z_i|^2; and sum w_i."""
        n, k = self.n_params, len(told.order)
        ranked = np.empty(k)
        ranked[told.order] = p.weights
        factors = outside_factors(told, self._mean, self._sigma)
        if told.outside is not None:
            ranked[told.outside & (ranked < 0)] = 0.0
        rates = p.c_mu * ranked * factors**2
        negative = np.flatnonzero(ranked < 0)
        rates[negative] *= n / (lengths(told.population, negative, self._mean, self._sigma) + 1e-9) ** 2
        return np.maximum(ranked, 0.0) * factors, rates, float(ranked.sum())
