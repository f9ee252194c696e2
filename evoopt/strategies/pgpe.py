"""Policy gradients with parameter-based exploration: antithetic pairs, ClipUp, adaptive step sizes.

Sehnke, Osendorfer, Rückstieß, Graves, Peters and Schmidhuber 2010, Parameter-exploring policy
gradients, https://doi.org/10.1016/j.neunet.2009.12.004; Toklu, Liskowski and Srivastava 2020,
ClipUp: a simple and powerful optimizer for distribution-based policy evolution,
https://arxiv.org/abs/2008.02387.
"""

from typing import ClassVar, Unpack

import numpy as np

from evoopt import arguments
from evoopt.spaces.space import MeanLike, PointLike
from evoopt.strategies.contract.fields import Fields, number
from evoopt.strategies.contract.registry import register
from evoopt.strategies.contract.told import Told
from evoopt.strategies.parts.pairs import Optimizer, PairOptions, PairStrategy, product
from evoopt.types import Vector


@register
class PGPE(PairStrategy):
    """Policy gradients with parameter-based exploration, for networks, control and noisy fitness.

    Rows 2k and 2k + 1 are antithetic: the mean +- sigma times the same noise. Only the order of the
    fitness counts. Differences within pairs are the gradient along which an optimizer, ClipUp,
    moves the mean; differences between pairs tell which step sizes are too large or too small.

    Parameters
    ----------
    mean, sigma, x0, popsize, bounds, maximize, noisy, seed, dtype, target, max_evaluations,
    max_generations, tolx, tolfun
        See `Strategy`; `popsize` is even, 4 + 3 log(n_params) by default; networks need more. If
        only one row of a pair is told, that row counts alone.
    optimizer : "clipup", "adam" or "sgd"
        The optimizer of the mean. Its gradient is sum_r u_r (x_r - mean) / popsize with the centred
        ranks u_r from -1/2 to 1/2, equal ones for equal fitness.
    learning_rate : float, optional
        For ClipUp the length that an update adds to the velocity; for Adam about the distance that
        a coordinate moves in an update; for SGD the factor of the velocity. By default it follows
        `sigma`, and the optimizer gets the gradient in units of `sigma`. For ClipUp it is then 1/30
        of the length of the vector `sigma`, so that this length is 15 times the maximum speed; for
        the others it is half of `sigma`.
    max_speed, momentum, beta_2, weight_decay, learning_rate_decay, learning_rate_limit
        See `OpenAIES`.
    stdev_learning_rate : float
        Learning rate of `sigma`; 0 keeps it constant.
    stdev_max_change : float
        The largest share by which a step size changes in an update, less than 1.

    Raises
    ------
    ValueError
        If an argument is invalid. `tell` refuses foreign rows, because they have no noise to learn
        from.

    Notes
    -----
    Late rows count with the noise that they were drawn with, as if mean and sigma had not changed
    since.

    Examples
    --------
    >>> import evoopt
    >>> es = evoopt.PGPE([3.0, -2.0], sigma=1.0, popsize=20, seed=1, target=1e-8)
    >>> while not es.stop():
    ...     population = es.ask()
    ...     es.tell(population, (population**2).sum(axis=1))
    >>> bool(abs(es.solution).max() < 1e-3)
    True
    """

    _stored: ClassVar[Fields] = {"stdev_learning_rate": number(0), "stdev_max_change": number(0, 1)}

    def __init__(
        self,
        mean: MeanLike,
        sigma: PointLike | None = None,
        *,
        optimizer: Optimizer = "clipup",
        stdev_learning_rate: float = 0.1,
        stdev_max_change: float = 0.2,
        **options: Unpack[PairOptions],
    ) -> None:
        super().__init__(mean, sigma, optimizer=optimizer, **options)
        largest = arguments.step_range(self.dtype)[1]
        self.stdev_learning_rate = arguments.within("stdev_learning_rate", stdev_learning_rate, 0, largest)
        self.stdev_max_change = arguments.below_1("stdev_max_change", stdev_max_change)

    def _update(self, told: Told) -> None:
        of_mean, of_sigma = self._gradients(told)
        if self.learning_rate is not None:
            of_mean = self._engine.map(product, of_mean, self._sigma)
        self._move(told, of_mean)
        rates = self.stdev_learning_rate, self.stdev_max_change
        limits = arguments.step_range(self.dtype)
        self._sigma = self._engine.map(adapted, self._sigma, of_sigma, *rates, *limits)


def adapted(
    sigma: Vector, gradient: Vector, rate: float, limit: float, smallest: float, largest: float
) -> Vector:
    """Return sigma moved by its gradient r (z^2 - 1) sigma, Sehnke et al. 2010.

    A formula, see `PopulationEngine.map`.
    """
    change = np.minimum(np.maximum(gradient * rate, -limit), limit)
    return np.minimum(np.maximum((change + 1) * sigma, smallest), largest)
