"""OpenAI's evolution strategy: antithetic pairs, centred ranks, an optimizer for the mean.

Salimans, Ho, Chen, Sidor and Sutskever 2017, Evolution strategies as a scalable alternative to
reinforcement learning, https://arxiv.org/abs/1703.03864; Loshchilov and Hutter 2019, Decoupled
weight decay regularization, https://arxiv.org/abs/1711.05101.
"""

from typing import ClassVar, Unpack

from evoopt import arguments
from evoopt.spaces.space import MeanLike, PointLike
from evoopt.strategies.contract.fields import STEPS, Fields, number
from evoopt.strategies.contract.registry import register
from evoopt.strategies.contract.told import Told
from evoopt.strategies.parts import schedules
from evoopt.strategies.parts.pairs import Optimizer, PairOptions, PairStrategy
from evoopt.strategies.parts.schedules import Decay


@register
class OpenAIES(PairStrategy):
    """OpenAI's evolution strategy, for networks and noisy fitness.

    Rows 2k and 2k + 1 are antithetic: the mean +- sigma times the same noise. Only the order of the
    fitness counts: the gradient, along which the optimizer moves the mean, is computed from ranks.
    The step sizes do not adapt but follow a schedule: without `sigma_decay` the search comes no
    nearer to an optimum than about `sigma`, and goes on there.

    Parameters
    ----------
    mean, sigma, x0, popsize, bounds, maximize, noisy, seed, dtype, target, max_evaluations,
    max_generations, tolx, tolfun
        See `Strategy`; `popsize` is even, 4 + 3 log(n_params) by default; networks need more. If
        only one row of a pair is told, that row counts alone.
    optimizer : "adam", "sgd" or "clipup"
        The optimizer of the mean. Its gradient is in units of `sigma`: sum_r u_r (x_r - mean) /
        sigma / popsize with the centred ranks u_r from -1/2 to 1/2, equal ones for equal fitness.
    learning_rate : float, optional
        For Adam about the distance that a coordinate moves in an update; for SGD the factor of the
        velocity; for ClipUp the length that an update adds to the velocity. By default half of
        `sigma`, for ClipUp sqrt(n_params) / 30 times `sigma`; this default decays with `sigma`.
    momentum : float
        The share of the velocity that SGD and ClipUp keep in an update; for Adam beta_1, the share
        of the average gradient. At least 0, less than 1.
    beta_2 : float
        The share of the average squared gradient that Adam keeps in an update.
    max_speed : float, optional
        The largest velocity of ClipUp, twice the learning rate by default; it decays with the
        learning rate.
    weight_decay : float
        In each update the mean also moves towards 0, by this share times the learning rate.
    sigma_decay, learning_rate_decay : float, LinearDecay or CosineDecay
        The factor of each update, or a schedule over the generations.
    sigma_limit, learning_rate_limit : float
        The share of the first value at which the decay ends, 0 to 1.

    Raises
    ------
    ValueError
        If an argument is invalid. `tell` refuses foreign rows, because they have no noise to learn
        from.

    Notes
    -----
    Late rows count with the noise that they were drawn with, as if the mean had not moved since.

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
        mean: MeanLike,
        sigma: PointLike | None = None,
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
