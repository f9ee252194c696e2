"""Strategies with a normal distribution that also search integers and choices."""

from typing import ClassVar, Unpack

import numpy as np
from numpy.typing import NDArray

from evoopt.spaces.space import MeanLike, PointLike
from evoopt.spaces.variables import Choice, Integer, Real
from evoopt.strategies.contract.fields import Fields, instance, optional
from evoopt.strategies.contract.space_box import SpaceBox
from evoopt.strategies.contract.told import Told
from evoopt.strategies.parts.converging import Converging, ConvergingOptions
from evoopt.strategies.parts.discrete import Discrete
from evoopt.types import Vector

NONE = np.empty(0, np.intp)


class Mixed(Converging):
    """A strategy of mean and step sizes that may search integers and choices beside the reals."""

    _kinds = (Real, Integer, Choice)
    _stored: ClassVar[Fields] = {"_discrete": optional(instance(Discrete))}
    _discrete: Discrete | None = None  # if there are integers or choices
    _step: float

    def __init__(
        self, mean: MeanLike, sigma: PointLike | None = None, **options: Unpack[ConvergingOptions]
    ) -> None:
        super().__init__(mean, sigma, **options)
        if isinstance(self._box, SpaceBox):
            self._search_in(self._box)

    def _search_in(self, box: SpaceBox) -> None:
        if len(box.whole[0]):
            self._discrete = Discrete(box, self._sigma)
            self._mean[self._discrete.resting] = box.origin[self._discrete.resting]

    def _slow_down(self, rate: float) -> None:
        """Let integers and choices take only a share of each update from now on."""
        if self._discrete is not None:
            self._discrete.rate = rate

    @property
    def _resting(self) -> NDArray[np.intp]:
        """The coordinates that do not vary normally."""
        return NONE if self._discrete is None else self._discrete.resting

    @property
    def _neighbours(self) -> int:
        return self.n_params if self._discrete is None else self._discrete.neighbours

    @property
    def _varied(self) -> int:
        """The number of coordinates that vary normally, at least 1."""
        return self.n_params if self._discrete is None else self._discrete.varied

    @property
    def _first_real_step(self) -> float | None:
        """The first step size of the reals, None if all coordinates are real."""
        return None if self._discrete is None else self._discrete.first_step

    def _reals_of(self, vector: Vector) -> Vector:
        """Return the reals of a vector (n,), or all of it if there are none."""
        reals = NONE if self._discrete is None else self._discrete.reals
        return vector[reals] if len(reals) else vector

    def _follow_discrete(
        self, discrete: Discrete, told: Told, weights: Vector, moved: NDArray[np.bool_], before: Vector,
        variances: Vector, scale: Vector,
    ) -> None:  # fmt: skip
        """Keep the margins of integers in `scale`, and learn the probabilities of categories.

        `before` is the mean before the update. The deviations are step * scale * sqrt(variances).
        Without reals margins set all of them, and the step becomes their geometric mean.
        """
        spread, mean = (self._step, variances), self._mean
        self._discrete = discrete.after(told, weights, moved, before, spread, mean, scale)
        if not len(discrete.reals):
            deviations = (self._step * scale * np.sqrt(variances))[discrete.integers.columns]
            size = float(np.exp(np.log(deviations).mean())) if len(deviations) else 1.0
            scale *= self._step / size
            self._step = size
