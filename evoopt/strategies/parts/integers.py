"""Integers of a search distribution: integer centering, and margins.

Hamano, Saito, Nomura, Uchida and Shirakawa 2025, CatCMA with margin,
https://arxiv.org/abs/2504.07884. A latent number stands for the nearest whole number; a margin
keeps the probability of the neighbours from vanishing.
"""

from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from evoopt.devices.cpu import discrete
from evoopt.strategies.contract.fields import Fields, Scope, array, number, require
from evoopt.strategies.contract.registry import plain_data
from evoopt.strategies.contract.run import twin_of
from evoopt.strategies.contract.space_box import SpaceBox
from evoopt.types import Array, Vector

FIRST_RATE = 0.5  # of mutations
# step and variances (n,): with a scale (n,), standard deviations are step * scale * sqrt(variances)
Spread = tuple[float, Vector]


@plain_data
class Integers:
    """The integers of a search distribution that have more than two values.

    Attributes
    ----------
    columns : ndarray of int, shape (k,)
        Their coordinates.
    margin : float
        The least probability of another whole number than the mean's.
    mutated : ndarray, shape (k,)
        The last probabilities of other whole numbers.
    """

    _stored: ClassVar[Fields] = {
        "columns": array("integers", dtype=np.intp),
        **dict.fromkeys(("low", "high", "origin", "mutated"), array("integers")),
        "margin": number(0, 1),
    }

    def __init__(self, box: SpaceBox, margin: float) -> None:
        columns, low, high, origin = box.integers
        free = high - low > 1
        self.columns, self.low, self.high, self.origin = columns[free], low[free], high[free], origin[free]
        self.margin, self.mutated = margin, np.full(len(self.columns), FIRST_RATE)

    def _require_fit(self, place: str, scope: Scope) -> None:
        known = np.arange(scope.owner.n_params)
        require(np.isin(self.columns, known).all(), f"{place}.columns", "coordinates", self.columns)
        ends = np.stack([self.low, self.high])
        fits = (ends == np.rint(ends)).all() and (self.low < self.high).all()
        require(fits, f"{place}.low", "whole numbers below high", self.low)
        fits = np.isfinite(self.origin) & (self.origin >= 0) & ((self.origin == 0) | (self.low > 0))
        require(fits.all(), f"{place}.origin", "finite, and of positive numbers", self.origin)
        fits = (self.mutated > 0) & (self.mutated <= 1)  # False for NaN
        require(fits.all(), f"{place}.mutated", "of probabilities", self.mutated)

    @property
    def _whole(self) -> discrete.Whole:
        return self.columns, self.low, self.high, self.origin

    def centre(
        self, rows: Array, best: NDArray[np.intp], mean: Vector, resting: NDArray[np.intp]
    ) -> NDArray[np.bool_]:
        """Move the best rows to the centres of their numbers, and all to the mean where it rests.

        Return which integers had a row with another number than the mean's.
        """
        return discrete.centre(self._whole, resting, mean, best, rows)

    def kept(
        self,
        rate: float,
        moved: NDArray[np.bool_],
        before: Vector,
        spread: Spread,
        mean: Vector,
        scale: Vector,
    ) -> Self:
        """Return the integers with the margin kept, for which `mean` and `scale` change in place.

        The mean takes the share `rate` of its way from the mean `before` the update.
        """
        twin = twin_of(self)
        twin.mutated = self.mutated.copy()
        how = self.margin, rate, moved, before, *spread
        discrete.keep_margin(self._whole, *how, mean, scale, twin.mutated)
        return twin
