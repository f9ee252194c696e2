"""The base of OpenAIES and PGPE: antithetic pairs, centred ranks, an optimizer for the mean."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Literal, Unpack, get_args

import numpy as np

from evoopt import arguments
from evoopt.spaces.space import MeanLike, PointLike
from evoopt.strategies.contract import fields
from evoopt.strategies.contract.fields import Fields
from evoopt.strategies.contract.told import Told
from evoopt.strategies.parts import optimizers, schedules
from evoopt.strategies.parts.converging import Converging, ConvergingOptions
from evoopt.strategies.parts.schedules import Decay
from evoopt.types import Vector

Optimizer = Literal["adam", "sgd", "clipup"]


class PairOptions(ConvergingOptions, total=False):
    """The keyword arguments of `PairStrategy`, except `optimizer`, whose default differs."""

    learning_rate: float | None
    momentum: float
    beta_2: float
    max_speed: float | None
    weight_decay: float
    learning_rate_decay: Decay
    learning_rate_limit: float


class PairStrategy(Converging):
    """The base of strategies that move the mean along the gradient of antithetic pairs.

    A subclass defines `_update`, which calls `_move`.
    """

    _renamed: ClassVar[Mapping[str, str]] = {"beta_1": "momentum"}
    _injects = False
    _computes_on_device = True
    _sums_rows = True
    _pairs = True
    _popsize_factor = 2
    _stored: ClassVar[Fields] = {
        **fields.DISTRIBUTION,
        "learning_rate": fields.optional(fields.STEP),
        "weight_decay": fields.number(0),
        "learning_rate_decay": schedules.STORED_DECAY,
        "learning_rate_limit": fields.number(0, 1),
        "optimizer": fields.choice(*get_args(Optimizer)),
        "_optimizer": fields.instance(optimizers.Adam, optimizers.SGD, optimizers.ClipUp),
        "_updates": fields.whole(),
    }
    _drawn: ClassVar[fields.Kind] = staticmethod(fields.DRAWN_DISTRIBUTION)

    def __init__(
        self,
        mean: MeanLike,
        sigma: PointLike | None = None,
        *,
        optimizer: Optimizer,
        learning_rate: float | None = None,
        momentum: float = 0.9,
        beta_2: float = 0.999,
        max_speed: float | None = None,
        weight_decay: float = 0.0,
        learning_rate_decay: Decay = 1.0,
        learning_rate_limit: float = 0.0,
        **options: Unpack[ConvergingOptions],
    ) -> None:
        super().__init__(mean, sigma, **options)
        largest = arguments.step_range(self.dtype)[1]
        speed = 2.0  # its unit is the learning rate
        self.learning_rate = learning_rate
        if max_speed is not None:
            if self.learning_rate is None:
                raise ValueError(
                    f"max_speed must be None without a learning_rate, got {max_speed!r}; set both."
                )
            speed = arguments.within("max_speed", max_speed, 1 / largest, largest) / self.learning_rate
        self.weight_decay = arguments.within("weight_decay", weight_decay, 0, largest)
        self.learning_rate_decay = schedules.read("learning_rate_decay", learning_rate_decay)
        self.learning_rate_limit = arguments.within("learning_rate_limit", learning_rate_limit, 0, 1)
        self.optimizer = optimizer
        kept = arguments.below_1("momentum", momentum), arguments.below_1("beta_2", beta_2)
        self._optimizer = optimizers.make(optimizer, self.n_params, *kept, speed)
        self._updates = 0

    @property
    def learning_rate(self) -> float | None:
        """The factor of the optimizer's moves, None to follow sigma; settable at any generation."""
        found: float | None = vars(self)["learning_rate"]
        return found

    @learning_rate.setter
    def learning_rate(self, value: float | None) -> None:
        largest = arguments.step_range(self.dtype)[1]
        read = None if value is None else arguments.within("learning_rate", value, 1 / largest, largest)
        vars(self)["learning_rate"] = read

    @abstractmethod
    def _update(self, told: Told) -> None: ...

    def _default_popsize(self) -> int:
        k = super()._default_popsize()
        return k + k % 2

    def _move(self, told: Told, gradient: Vector) -> None:
        """Move the mean along `gradient` (n_params,), and count the update."""
        self._optimizer, step = self._optimizer.after(gradient, self._engine)
        self._mean = self._engine.map(moved, self._mean, step, self._rate(), self.weight_decay)
        self._updates += 1

    def _rate(self) -> float | Vector:
        share = schedules.share(self.learning_rate_decay, self.learning_rate_limit, self._updates)
        if self.learning_rate is None:
            rate: Vector = self._engine.map(product, self._sigma, share * self._optimizer.default_rate())
            return rate
        return share * self.learning_rate

    def _place_and_steps(self) -> tuple[Vector, Vector]:
        return self._mean, self._engine.map(larger, self._sigma, self._rate())

    def _gradients(self, told: Told) -> tuple[Vector, Vector]:
        """Return the gradients of mean and sigma towards better fitness, both (n_params,).

        In units of sigma they are sum_r u_r z_r / k and sum_r u_r (z_r^2 - 1) / k over the k told
        rows, each with the noise z that it was drawn with and its centred rank u. Twice, a pair
        adds (u - u') / 2 z and (u + u') / 2 (z^2 - 1): the gradients of Sehnke et al., divided by
        the number of pairs. Centred ranks need no baseline, because their sum is 0. A row without
        its partner counts alone.
        """
        engine, k = self._engine, len(told.order)
        ranks = engine.centred_ranks(told.order, told.scores)
        found: list[tuple[Vector, Vector]] = []
        for (mean, sigma, *_), where in told.drawn:
            weights, total = ranks, 0.0
            if not isinstance(where, slice):  # rows of several epochs
                weights = np.zeros(k)
                weights[where] = engine.host(ranks)[where]
                total = float(weights.sum())
            first, second = engine.moments(told.rows, weights, weights, mean)
            found.append(engine.map(of_epoch, first, second, sigma, k, total))
        of_mean, of_sigma = found[0]
        for more_of_mean, more_of_sigma in found[1:]:
            of_mean, of_sigma = engine.map(added, of_mean, of_sigma, more_of_mean, more_of_sigma)
        return of_mean, of_sigma


# Formulas, see `PopulationEngine.map`.


def of_epoch(first: Vector, second: Vector, sigma: Vector, k: float, total: float) -> tuple[Vector, Vector]:
    """Return both gradients, from sum u (x - mean), sum u (x - mean)^2 and sum u of k rows."""
    return first / sigma / k, (second / sigma / sigma - total) / k


def added(a: Vector, b: Vector, more_a: Vector, more_b: Vector) -> tuple[Vector, Vector]:
    """Return a + more_a and b + more_b."""
    return a + more_a, b + more_b


def moved(mean: Vector, step: Vector, rate: Vector | float, weight_decay: float) -> Vector:
    """Return the mean after a move and weight decay."""
    return mean + rate * step - np.minimum(rate * weight_decay, 1.0) * mean


def product(x: Vector, y: Vector | float) -> Vector:
    """Return x y."""
    return x * y


def larger(x: Vector, y: Vector | float) -> Vector:
    """Return the larger of x and y."""
    return np.maximum(x, y)
