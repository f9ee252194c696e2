"""CMA-ES: covariance matrix adaptation with negative weights, the default for up to a few hundred parameters.

Hansen 2016, The CMA evolution strategy: a tutorial, https://arxiv.org/abs/1604.00772, whose equation numbers
stand on the lines; Hansen 2011, Injecting external solutions into CMA-ES, https://arxiv.org/abs/1110.4181.
Constants and stopping rules are pycma's, https://github.com/CMA-ES/pycma.
"""

import logging
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from evoopt import arguments
from evoopt.arguments import Array, Ids, Vector
from evoopt.kernels import threads
from evoopt.kernels.cpu import covariance as kernels
from evoopt.strategies import recombination, stopping
from evoopt.strategies.base import Strategy
from evoopt.strategies.diagonal import longest_step
from evoopt.strategies.memory import require_memory
from evoopt.strategies.registry import register
from evoopt.strategies.stopping import Reason
from evoopt.strategies.told import Told

MATRICES = 8  # of (n, n) float64 at once: C and the one before, B, the factor, what a decomposition takes
LARGE = 1000  # parameters; from here on only one older factor is kept for rows that wait for their fitness
GRAIN = 100_000  # multiply-adds worth waking a thread for
SCALES = (1e-100, 1e100)  # of the coordinates, so that no quotient by them overflows
_log = logging.getLogger(__name__)


@register
class CMAES(Strategy):
    """Covariance matrix adaptation evolution strategy.

    Parameters
    ----------
    mean, sigma, popsize, bounds, maximize, noisy, seed, dtype, target, max_evaluations, max_generations
        See `Strategy`; `popsize` is 4 + 3 log(n_params) by default. A `sigma` for each coordinate scales it.
    tolx, tolfun, tolfunhist, tolupsigma, tolconditioncov, tolflatfitness, tolstagnation
        When `stop` advises to: steps, or the range of the fitness now or over the last generations, are
        smaller than this; the step size grew by so much more than the axes; the condition of the covariance
        is larger; the fitness was flat, or did not improve, for more generations. With ``noisy=True`` no
        range of the fitness is a reason to stop.

    Attributes
    ----------
    sigma : float
        The overall step size.

    Raises
    ------
    ValueError
        For arguments that do not fit, and for a covariance matrix that would not fit in memory.

    Examples
    --------
    >>> import evoopt
    >>> es = evoopt.CMAES([-1.0, 2.0], sigma=0.5, seed=1)
    >>> while not es.stop():
    ...     population = es.ask()
    ...     es.tell(population, [100 * (y - x**2) ** 2 + (1 - x) ** 2 for x, y in population])
    >>> es.solution.round(4)
    array([1., 1.])
    """

    def __init__(
        self,
        mean: ArrayLike,
        sigma: ArrayLike,
        *,
        tolx: float = 1e-11,
        tolfun: float = 1e-11,
        tolfunhist: float = 1e-12,
        tolupsigma: float = 1e20,
        tolconditioncov: float = 1e14,
        tolflatfitness: float = 1,
        tolstagnation: float | None = None,
        **options: Any,
    ) -> None:
        super().__init__(mean, sigma, **options)
        n = self.n_params
        if n > LARGE:
            self._ledger.memory = 1
        require_memory("CMAES", n, MATRICES + self._ledger.memory)
        self.tolx, self.tolfun = arguments.number("tolx", tolx), arguments.number("tolfun", tolfun)
        self.tolfunhist = arguments.number("tolfunhist", tolfunhist)
        self.tolupsigma = arguments.number("tolupsigma", tolupsigma)
        self.tolconditioncov = arguments.number("tolconditioncov", tolconditioncov)
        self.tolflatfitness = arguments.number("tolflatfitness", tolflatfitness)
        if tolstagnation is None:
            tolstagnation = int(100 + 100 * n**1.5 / self.popsize)
        self.tolstagnation = arguments.number("tolstagnation", tolstagnation)

        # the distribution is N(mean, step^2 S C S), S = diag(scale)
        self._step = self._first_step = float(np.exp(np.log(self._sigma).mean()))
        self._scale = self._sigma / self._step
        self._C = np.eye(n)  # its lower triangle is what counts
        self._B, self._D = np.eye(n), np.ones(n)  # C = B diag(D)^2 B^T
        self._factor = np.diag(self._scale)  # (S B D)^T
        self._p_sigma, self._p_c = np.zeros(n), np.zeros(n)
        self._updates = self._decomposed = 0
        self._flat_generations = 0
        self._fitness_range = math.inf

    @property
    def sigma(self) -> float:
        """The overall step size."""
        return self._step

    def _overall_sigma(self) -> float:
        return self._step

    def _snapshot(self, first_id: int) -> tuple[Any, ...]:
        return self._mean, self._factor, self._step

    def _sample(self, snapshot: tuple[Any, ...], ids: Ids, out: Array) -> None:
        grain = GRAIN // self.n_params**2 + 1
        threads.run(kernels.sample_correlated, len(ids), self._key, ids, *snapshot, out, grain=grain)

    def _update(self, told: Told) -> None:
        n, k = self.n_params, len(told.order)
        p = recombination.full(k, n)
        self._updates += 1
        y, z = np.empty((k, n)), np.empty((k, n))
        spread = self._step * self._scale
        steps = (told.population, told.order, self._mean, spread, self._B, self._D, y, z)
        threads.run(kernels.whiten, k, *steps, grain=GRAIN // n**2 + 1)
        weights = p.weights if told.outside is None else self._clip_outside(told, y, z, p.weights)

        settled = 1 - (1 - p.c_sigma) ** (2 * self._updates)
        h_limit = (2 + 4 / (n + 1)) * n * settled
        self._mean, self._p_sigma, self._p_c = self._mean.copy(), self._p_sigma.copy(), self._p_c.copy()
        paths = (self._B, self._mean, spread, self._p_sigma, self._p_c)
        squared_length, h_sigma = kernels.follow_paths(
            y, z, weights, *paths, p.c_sigma, p.c_c, p.mueff, h_limit
        )
        rates = kernels.active_rates(z, weights, p.c_mu)
        decay = p.decay if weights is p.weights else 1 - p.c_1 - p.c_mu * float(weights.sum())
        decay += 0.0 if h_sigma else p.c_1 * p.c_c * (2 - p.c_c)
        C = np.empty_like(self._C)
        update = (self._C, y, rates, self._p_c, decay, p.c_1, C)
        threads.run(kernels.adapt_covariance, n, *update, grain=GRAIN // (n * k) + 1)
        self._C = C
        change = p.c_sigma / p.d_sigma * (math.sqrt(squared_length) / recombination.expected_length(n) - 1)
        self._scale_step(math.exp(min(1.0, change)))  # Eq. (44)
        if self._updates - self._decomposed >= 1 / (10 * n * (p.c_1 + p.c_mu)):
            self._decompose()
        self._watch(told)

    def _scale_step(self, factor: float) -> None:
        smallest, largest = arguments.step_range(self.dtype)
        self._step = min(max(self._step * factor, smallest), largest)

    def _clip_outside(self, told: Told, y: Array, z: Array, weights: Vector) -> Vector:
        """Shorten the steps of foreign and late rows, in place, and give them no negative weight."""
        outside = np.flatnonzero(np.asarray(told.outside)[told.order])
        with np.errstate(over="ignore"):
            length = np.sqrt((z[outside] ** 2).sum(axis=1))
        beyond = ~np.isfinite(length)  # so far away that numbers overflow: these teach nothing
        y[outside[beyond]] = z[outside[beyond]] = length[beyond] = 0.0
        factor = np.minimum(1.0, longest_step(self.n_params) / np.maximum(length, 1e-300))[:, None]
        y[outside] *= factor
        z[outside] *= factor
        weights = weights.copy()
        weights[outside] = np.maximum(weights[outside], 0.0)
        return weights

    def _decompose(self) -> None:
        """C = B D^2 B^T, with C kept positive definite, and its coordinates of comparable size."""
        self._decomposed = self._updates
        smallest, largest = kernels.diagonal_range(self._C)
        if not 1e-20 < largest < 1e20:  # a search without an end, or past it: into the step, while it lasts
            self._C, self._p_c = self._C / largest, self._p_c / math.sqrt(largest)
            self._scale_step(math.sqrt(largest))
        if largest / smallest > 1e8:
            self._rescale(np.sqrt(self._C.diagonal()))
        values, self._B = np.linalg.eigh(self._C)
        smallest, largest = float(values[0]), float(values[-1])
        if smallest < 1e-15 * largest:
            _log.info(
                "the smallest eigenvalue of the covariance matrix was %g, the largest %g", smallest, largest
            )
            shift = 1e-15 * largest - smallest
            self._C = self._C + shift * np.eye(self.n_params)
            values = values + shift
        self._D = np.sqrt(values)
        self._factor = np.empty_like(self._C)
        kernels.make_factor(self._B, self._D, self._scale, self._factor)

    def _rescale(self, roots: Vector) -> None:
        """Move the standard deviations of the coordinates from C into the scale: the same distribution."""
        self._C, self._p_c = self._C / np.outer(roots, roots), self._p_c / roots
        self._scale = np.clip(self._scale * roots, *SCALES)

    # ---------------------------------------------------------------- stopping, as pycma does

    def _watch(self, told: Told) -> None:
        """Remember the spread of the fitness."""
        self._fitness_range = stopping.fitness_range(told)
        flat = told.fitness[told.order[0]] >= told.fitness[told.order[int(0.75 * len(told.order))]]
        self._flat_generations = self._flat_generations + 1 if flat else 0

    def _reasons(self) -> Sequence[Reason]:
        reasons = self._shape_reasons()
        tolerances = (self.tolfun, self.tolfunhist)
        reasons += stopping.flat_fitness(self, self._fitness_range, *tolerances, at_once=True)
        if not self.noisy and self._flat_generations > self.tolflatfitness:
            reasons.append(
                ("tolflatfitness", f"the fitness was flat for {self._flat_generations} generations")
            )
        if self._stagnates():
            reasons.append(("tolstagnation", "the fitness does not improve any more"))
        return reasons

    def _shape_reasons(self) -> list[Reason]:
        reasons: list[Reason] = []
        smallest, largest = float(self._D[0]), float(self._D[-1])  # eigh sorts
        axis = self._factor[self.generation % self.n_params]
        widest, longest, coordinate, along_axis = kernels.no_effect(
            self._mean, self._step, self._C, self._scale, self._p_c, axis
        )
        if widest < self.tolx and longest < self.tolx:
            reasons.append(("tolx", f"steps are smaller than {self.tolx:g}"))
        if self._step / largest > self._first_step * self.tolupsigma:
            reasons.append(("tolupsigma", f"the step size has grown to {self._step:g}"))
        if largest > math.sqrt(self.tolconditioncov) * smallest:
            reasons.append(
                ("tolconditioncov", f"the condition of the covariance is {(largest / smallest) ** 2:g}")
            )
        if coordinate >= 0:
            reasons.append(("noeffectcoord", f"steps no longer change coordinate {coordinate} of the mean"))
        if along_axis:
            reasons.append(("noeffectaxis", "steps along an axis no longer change the mean"))
        if self.dtype == np.float32:  # the rules above see the mean in float64
            steps = self._step * self._scale * np.sqrt(self._C.diagonal())
            if stopping.without_effect(self._mean, steps, self.dtype):
                reasons.append(("noeffect", "steps no longer change the mean"))
        return reasons

    def _stagnates(self) -> bool:
        """Whether neither best nor median of the last generations are better than those before."""
        n, since = self.n_params, self.generation - self.best.generation
        if self.generation <= max(n * (5 + 100 / self.popsize), 500) or since <= self.tolstagnation / 2:
            return False
        sign = -1 if self.maximize else 1
        for name in ("best", "median"):
            values = sign * np.asarray(self.history[name][4::5][::-1])
            half = int(max(self.tolstagnation / 10, len(values) / 10))
            if 2 * half >= len(values) or not np.median(values[:half]) >= np.median(values[half : 2 * half]):
                return False
        return True
