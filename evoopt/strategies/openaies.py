"""OpenAI's evolution strategy: antithetic pairs, centred ranks, and a gradient optimizer for the mean.

Salimans, Ho, Chen, Sidor and Sutskever 2017, Evolution strategies as a scalable alternative to reinforcement
learning, https://arxiv.org/abs/1703.03864; Loshchilov and Hutter 2019, Decoupled weight decay
regularization, https://arxiv.org/abs/1711.05101.
"""

from typing import ClassVar, Unpack

from numpy.typing import ArrayLike

from evoopt import arguments
from evoopt.strategies.contract.fields import STEPS, Fields, number
from evoopt.strategies.contract.registry import register
from evoopt.strategies.contract.told import Told
from evoopt.strategies.parts import schedules
from evoopt.strategies.parts.pairs import Optimizer, PairOptions, PairStrategy
from evoopt.strategies.parts.schedules import Decay


@register
class OpenAIES(PairStrategy):
    """OpenAI's evolution strategy, for networks and noisy fitness.

    Rows 2k and 2k + 1 lie opposite each other, at the mean +- sigma times the same noise. Only the order of
    the fitness counts: it gives the gradient from which Adam moves the mean. The step sizes follow a
    schedule. They do not adapt: without `sigma_decay` the search comes no nearer to an optimum than about
    `sigma`, and goes on there.

    Parameters
    ----------
    mean, sigma, popsize, bounds, maximize, noisy, seed, dtype, target, max_evaluations, max_generations,
    tolx, tolfun
        See `Strategy`; `popsize` is even, 4 + 3 log(n_params) by default, and networks want more. If only
        one row of a pair is told, that row counts alone.
    optimizer : "adam", "sgd" or "clipup"
        Which takes the gradient in units of `sigma`, sum_r u_r (x_r - mean) / sigma / popsize with the
        centred ranks u_r from -1/2 to 1/2, equal ones for equal fitness.
    learning_rate : float, optional
        About the distance that a coordinate moves in an update of Adam; the factor of the momentum of SGD;
        the length of what an update of ClipUp adds to the velocity. By default half of `sigma`, for ClipUp
        sqrt(n_params) / 30 times `sigma`, while that decays too.
    momentum : float
        How much of its velocity each update of SGD and ClipUp keeps, and of the average of the gradient Adam,
        whose beta_1 it is. At least 0, less than 1.
    beta_2 : float
        How much of the average of the squared gradient each update of Adam keeps.
    max_speed : float, optional
        The longest step of ClipUp, twice the learning rate by default; it decays as that does.
    weight_decay : float
        In each update the mean also moves towards 0, by this share times the learning rate.
    sigma_decay, learning_rate_decay : float, LinearDecay or CosineDecay
        What each update multiplies them by, or how they fall over the generations.
    sigma_limit, learning_rate_limit : float
        At which share of the first ones their decay ends, 0 to 1.

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

    _stored: ClassVar[Fields] = {
        "sigma_decay": schedules.STORED_DECAY,
        "sigma_limit": number(0, 1),
        "_first_sigma": STEPS,
    }

    def __init__(
        self,
        mean: ArrayLike,
        sigma: ArrayLike,
        *,
        optimizer: Optimizer = "adam",
        sigma_decay: Decay = 1.0,
        sigma_limit: float = 0.0,
        **options: Unpack[PairOptions],
    ) -> None:
        super().__init__(mean, sigma, optimizer=optimizer, **options)
        self.sigma_decay = schedules.read("sigma_decay", sigma_decay)
        self.sigma_limit = arguments.within("sigma_limit", sigma_limit, 0, 1)
        self._first_sigma = self._sigma

    def _update(self, told: Told) -> None:
        self._move(told, self._gradients(told)[0])
        if self.sigma_decay != 1:
            share = schedules.share(self.sigma_decay, self.sigma_limit, self._updates)
            limits = arguments.step_range(self.dtype)
            self._sigma = self._engine.map(schedules.shrunk, self._first_sigma, share, *limits)
