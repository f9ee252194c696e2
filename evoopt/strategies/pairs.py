"""What OpenAIES and PGPE share: antithetic pairs, centred ranks, and a gradient optimizer for the mean."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from evoopt import arguments
from evoopt.arguments import Array, Ids, Vector
from evoopt.kernels import threads
from evoopt.kernels.cpu.noise import sample_pairs
from evoopt.strategies import optimizers, schedules, stopping
from evoopt.strategies.base import GRAIN, Strategy
from evoopt.strategies.diagonal import moments
from evoopt.strategies.schedules import Decay
from evoopt.strategies.stopping import Reason
from evoopt.strategies.told import Told


class PairStrategy(Strategy):
    """The base of strategies that move the mean along the gradient of antithetic pairs.

    A subclass has `_update`, which calls `_move`.
    """

    _injects = False

    def __init__(
        self,
        mean: ArrayLike,
        sigma: ArrayLike,
        *,
        optimizer: str,
        learning_rate: float | None,
        momentum: float,
        beta_2: float,
        max_speed: float | None,
        weight_decay: float,
        learning_rate_decay: Decay,
        learning_rate_limit: float,
        tolx: float,
        tolfun: float,
        **options: Any,
    ) -> None:
        super().__init__(mean, sigma, **options)
        largest = arguments.step_range(self.dtype)[1]
        speed = 2.0  # in learning rates
        if learning_rate is not None:
            learning_rate = arguments.within("learning_rate", learning_rate, 1 / largest, largest)
        if max_speed is not None:
            if learning_rate is None:
                raise ValueError(f"max_speed must be None without a learning_rate, but {max_speed!r} came.")
            speed = arguments.within("max_speed", max_speed, 1 / largest, largest) / learning_rate
        self.learning_rate = learning_rate
        self.weight_decay = arguments.within("weight_decay", weight_decay, 0, largest)
        self.learning_rate_decay = schedules.read("learning_rate_decay", learning_rate_decay)
        self.learning_rate_limit = arguments.within("learning_rate_limit", learning_rate_limit, 0, 1)
        self.tolx, self.tolfun = arguments.number("tolx", tolx), arguments.number("tolfun", tolfun)
        self.optimizer = optimizer
        self._optimizer = optimizers.make(optimizer, self.n_params, momentum, beta_2, speed)
        self._fitness_range = np.inf
        self._updates = 0

    @abstractmethod
    def _update(self, told: Told) -> None: ...

    def _default_popsize(self) -> int:
        k = super()._default_popsize()
        return k + k % 2

    def _sample(self, snapshot: tuple[Any, ...], ids: Ids, out: Array) -> None:
        mean, sigma = snapshot
        threads.run(
            sample_pairs, len(ids), self._key, ids, mean, sigma, out, grain=GRAIN // self.n_params + 2
        )

    def _move(self, told: Told, gradient: Vector) -> None:
        """Move the mean to where `gradient` (n_params,), which is overwritten, leads; count the update."""
        self._optimizer, step = self._optimizer.after(gradient)
        rate = self._rate()
        step *= rate
        step += self._mean
        if self.weight_decay:
            step -= np.minimum(rate * self.weight_decay, 1.0) * self._mean
        self._mean = step
        self._updates += 1
        self._fitness_range = stopping.fitness_range(told)

    def _rate(self) -> float | Vector:
        share = schedules.share(self.learning_rate_decay, self.learning_rate_limit, self._updates)
        if self.learning_rate is None:
            return share * self._optimizer.default_rate() * self._sigma
        return share * self.learning_rate

    def _reasons(self) -> Sequence[Reason]:
        steps = np.maximum(self._sigma, self._rate())
        return [
            *stopping.small_steps(self._mean, steps, self.dtype, self.tolx),
            *stopping.flat_fitness(self, self._fitness_range, self.tolfun),
        ]


def gradients(told: Told) -> tuple[Vector, Vector]:
    """Return where fitness is better, in units of sigma: sum_r u_r z_r / k and sum_r u_r (z_r^2 - 1) / k.

    Of the k told rows, each with the noise z that it was drawn with and its centred rank u; both (n_params,).
    A pair adds (u - u') / 2 z and (u + u') / 2 (z^2 - 1), twice: the gradients of Sehnke et al., here over
    the number of pairs. Centred ranks need no baseline, since their sum is 0, and a row without its partner
    counts alone.
    """
    ranks, n = centred_ranks(told), told.population.shape[1]
    of_mean, of_sigma = np.zeros(n), np.zeros(n)
    for (mean, sigma), where in told.drawn:
        weights = np.zeros(len(ranks))
        weights[where] = ranks[where] / len(ranks)
        first, second = moments(told.population, weights, weights, mean)
        of_mean += first / sigma
        of_sigma += second / sigma / sigma - weights.sum()
    return of_mean, of_sigma


def centred_ranks(told: Told) -> Vector:
    """Return 1/2 for the best row to -1/2 for the worst, (popsize,); equal fitness has the average."""
    ranked, k = told.fitness[told.order], len(told.order)
    differs = (ranked[1:] != ranked[:-1]) & ~np.isnan(ranked[:-1])  # NaN, which is last, is equal to NaN
    starts = np.concatenate([[0], np.flatnonzero(differs) + 1])
    sizes = np.diff(starts, append=k)
    ranks = np.empty(k)
    ranks[told.order] = np.repeat(0.5 - (starts + (sizes - 1) / 2) / (k - 1), sizes)
    return ranks
