"""OpenAI's evolution strategy: antithetic pairs, centred ranks, and a gradient optimizer for the mean.

Salimans, Ho, Chen, Sidor and Sutskever 2017, Evolution strategies as a scalable alternative to reinforcement
learning, https://arxiv.org/abs/1703.03864; Kingma and Ba 2015, Adam: a method for stochastic optimization,
https://arxiv.org/abs/1412.6980; Loshchilov and Hutter 2019, Decoupled weight decay regularization,
https://arxiv.org/abs/1711.05101.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from evoopt import arguments
from evoopt.arguments import Array, Ids, Vector
from evoopt.kernels import threads
from evoopt.kernels.cpu.noise import sample_pairs
from evoopt.strategies import stopping
from evoopt.strategies.base import GRAIN, Strategy
from evoopt.strategies.diagonal import moments
from evoopt.strategies.registry import register
from evoopt.strategies.stopping import Reason
from evoopt.strategies.told import Told

EPSILON = 1e-8  # Kingma and Ba's, for gradients in units of sigma
RATE = 0.5  # the learning rate in units of sigma: that of the paper's code, 0.01 where sigma is 0.02


@register
class OpenAIES(Strategy):
    """OpenAI's evolution strategy, for networks and noisy fitness.

    Rows 2k and 2k + 1 lie opposite each other, at the mean +- sigma times the same noise. Only the order of
    the fitness counts: it gives the gradient from which Adam moves the mean. The step sizes follow a
    schedule. They do not adapt: without `sigma_decay` the search comes no nearer to an optimum than about
    `sigma`, and goes on there.

    Parameters
    ----------
    mean, sigma, popsize, bounds, maximize, noisy, seed, dtype, target, max_evaluations, max_generations
        See `Strategy`; `popsize` is 4 + 3 log(n_params) by default, made even, and networks want more. If it
        is odd, or only one row of a pair is told, that row counts alone.
    optimizer : "adam" or "sgd"
        Which takes the gradient in units of `sigma`, sum_r u_r (x_r - mean) / sigma / popsize with the
        centred ranks u_r from -1/2 to 1/2, equal ones for equal fitness.
    learning_rate : float, optional
        About the distance that a coordinate moves in an update of Adam; the factor of the momentum of SGD. By
        default half of `sigma`, while that decays too.
    beta_1, beta_2 : float
        How much of the averages of the gradient and of its square each update keeps; SGD has only `beta_1`,
        its momentum. At least 0, less than 1.
    weight_decay : float
        In each update the mean also moves towards 0, by this share times the learning rate.
    sigma_decay, learning_rate_decay : float
        What each update multiplies them by.
    sigma_limit, learning_rate_limit : float
        At which share of the first ones their decay ends, 0 to 1.
    tolx, tolfun : float
        When `stop` advises to: `sigma` and the learning rate are smaller than `tolx` (or too small to change
        the mean); the fitness of a generation, and the best ones of the last 10 + 30 n_params / popsize
        generations, range over less than `tolfun`, which with ``noisy=True`` is no reason.

    Raises
    ------
    ValueError
        For arguments that do not fit. `tell` refuses foreign rows, as they have no noise to learn from.

    Notes
    -----
    Late rows teach by the noise they were drawn with, as if the mean had not moved since.

    Examples
    --------
    >>> import evoopt
    >>> es = evoopt.OpenAIES([3.0, -2.0], sigma=1.0, sigma_decay=0.98, seed=1, target=1e-8)
    >>> while not es.stop():
    ...     population = es.ask()
    ...     es.tell(population, (population**2).sum(axis=1))
    >>> bool(abs(es.solution).max() < 1e-3)
    True
    """

    _injects = False

    def __init__(
        self,
        mean: ArrayLike,
        sigma: ArrayLike,
        *,
        optimizer: str = "adam",
        learning_rate: float | None = None,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        weight_decay: float = 0.0,
        sigma_decay: float = 1.0,
        sigma_limit: float = 0.0,
        learning_rate_decay: float = 1.0,
        learning_rate_limit: float = 0.0,
        tolx: float = 1e-11,
        tolfun: float = 1e-11,
        **options: Any,
    ) -> None:
        super().__init__(mean, sigma, **options)
        if optimizer not in ("adam", "sgd"):
            raise ValueError(f'optimizer must be "adam" or "sgd", but {optimizer!r} came.')
        self.optimizer = optimizer
        largest = arguments.step_range(self.dtype)[1]
        if learning_rate is not None:
            learning_rate = arguments.within("learning_rate", learning_rate, 1 / largest, largest)
        self.learning_rate = learning_rate
        below_1 = float(np.nextafter(1, 0))
        self.beta_1 = arguments.within("beta_1", beta_1, 0, below_1)
        self.beta_2 = arguments.within("beta_2", beta_2, 0, below_1)
        self.weight_decay = arguments.within("weight_decay", weight_decay, 0, largest)
        self.sigma_decay = arguments.within("sigma_decay", sigma_decay, 0, 1)
        self.sigma_limit = arguments.within("sigma_limit", sigma_limit, 0, 1)
        self.learning_rate_decay = arguments.within("learning_rate_decay", learning_rate_decay, 0, 1)
        self.learning_rate_limit = arguments.within("learning_rate_limit", learning_rate_limit, 0, 1)
        self.tolx, self.tolfun = arguments.number("tolx", tolx), arguments.number("tolfun", tolfun)
        self._fitness_range = np.inf
        self._first_sigma = self._sigma
        self._m = np.zeros(self.n_params)
        self._v = np.zeros(self.n_params if optimizer == "adam" else 0)
        self._updates = 0

    def _default_popsize(self) -> int:
        k = super()._default_popsize()
        return k + k % 2

    def _sample(self, snapshot: tuple[Any, ...], ids: Ids, out: Array) -> None:
        mean, sigma = snapshot
        threads.run(
            sample_pairs, len(ids), self._key, ids, mean, sigma, out, grain=GRAIN // self.n_params + 2
        )

    def _update(self, told: Told) -> None:
        step = self._direction(self._gradient(told))
        rate = self._rate()
        step *= rate
        step += self._mean
        if self.weight_decay:
            step -= np.minimum(rate * self.weight_decay, 1.0) * self._mean
        self._mean = step
        self._updates += 1
        if self.sigma_decay < 1:
            sigma = self._first_sigma * self._share(self.sigma_decay, self.sigma_limit)
            self._sigma = np.clip(sigma, *arguments.step_range(self.dtype))
        self._fitness_range = stopping.fitness_range(told)

    def _gradient(self, told: Told) -> Vector:
        """Return the sum of the rows' noise times their ranks, shape (n_params,): where fitness is better."""
        ranks = centred_ranks(told)
        gradient = np.zeros(self.n_params)
        for (mean, sigma), where in told.drawn:
            weights = np.zeros(len(ranks))
            weights[where] = ranks[where] / len(ranks)
            gradient += moments(told.population, weights, np.zeros(len(ranks)), mean)[0] / sigma
        return gradient

    def _direction(self, gradient: Vector) -> Vector:
        """Return where the optimizer leads, and remember the gradient in its averages."""
        if self.optimizer == "sgd":
            self._m = self.beta_1 * self._m + gradient
            return self._m.copy()
        # Kingma and Ba, Algorithm 1
        t = self._updates + 1
        self._m = self.beta_1 * self._m + (1 - self.beta_1) * gradient
        gradient *= gradient
        gradient *= 1 - self.beta_2
        gradient += self.beta_2 * self._v
        self._v = gradient
        length = np.sqrt(self._v / (1 - self.beta_2**t))
        length += EPSILON
        return np.divide(self._m / (1 - self.beta_1**t), length, out=length)

    def _rate(self) -> float | Vector:
        share = self._share(self.learning_rate_decay, self.learning_rate_limit)
        return share * (RATE * self._sigma if self.learning_rate is None else self.learning_rate)

    def _share(self, decay: float, limit: float) -> float:
        """Return how much of a first value is left."""
        return max(decay**self._updates, limit)

    def _reasons(self) -> Sequence[Reason]:
        steps = np.maximum(self._sigma, self._rate())
        return [
            *stopping.small_steps(self._mean, steps, self.dtype, self.tolx),
            *stopping.flat_fitness(self, self._fitness_range, self.tolfun),
        ]


def centred_ranks(told: Told) -> Vector:
    """Return 1/2 for the best row to -1/2 for the worst, (popsize,); equal fitness has the average."""
    ranked, k = told.fitness[told.order], len(told.order)
    differs = (ranked[1:] != ranked[:-1]) & ~np.isnan(ranked[:-1])  # NaN, which is last, is equal to NaN
    starts = np.concatenate([[0], np.flatnonzero(differs) + 1])
    sizes = np.diff(starts, append=k)
    ranks = np.empty(k)
    ranks[told.order] = np.repeat(0.5 - (starts + (sizes - 1) / 2) / (k - 1), sizes)
    return ranks
