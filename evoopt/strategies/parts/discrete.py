"""The integers and choices of a search distribution, for strategies that adapt step sizes.

Hamano, Saito, Nomura, Uchida and Shirakawa 2025, CatCMA with margin,
https://arxiv.org/abs/2504.07884.
"""

import math
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from evoopt.strategies.contract.fields import (
    POSITIVE_NUMBER,
    Fields,
    Scope,
    array,
    instance,
    number,
    require_same,
    whole,
)
from evoopt.strategies.contract.registry import plain_data
from evoopt.strategies.contract.run import twin_of
from evoopt.strategies.contract.space_box import SpaceBox
from evoopt.strategies.contract.told import Told
from evoopt.strategies.parts.categories import Categories
from evoopt.strategies.parts.integers import Integers, Spread
from evoopt.types import Vector

STAY = 0.73  # the least probability that no integer and no choice leaves its likeliest number


@plain_data
class Discrete:
    """The integers and choices of a search distribution; the reals are the strategy's own.

    Integers have latent numbers, which are normally distributed as reals are. Choices have
    probabilities instead: their coordinates do not vary in the normal distribution.

    Attributes
    ----------
    integers : Integers
    categories : Categories
    rate : float
        The share of an update that the means of integers and the odds of categories take.
    neighbours : int
        See `SpaceBox.neighbours`.
    resting : ndarray of int
        The coordinates that do not vary normally: choices, and integers with one value.
    reals : ndarray of int
        The coordinates of the reals.
    first_step : float
        The geometric mean of the first step sizes of the reals, 1 without reals.
    """

    _stored: ClassVar[Fields] = {
        "integers": instance(Integers),
        "categories": instance(Categories),
        "rate": number(0, 1),
        "neighbours": whole(),
        "first_step": POSITIVE_NUMBER,
        **dict.fromkeys(("resting", "reals"), array(None, dtype=np.intp)),
    }

    def __init__(self, box: SpaceBox, steps: Vector) -> None:
        self.rate, self.neighbours = 1.0, box.neighbours
        varied = box.space.low[box.whole[0]] < box.space.high[box.whole[0]]
        margin = 1 - STAY ** (1 / max(int(varied.sum()), 1))
        self.integers, self.categories = Integers(box, margin), Categories(box, margin)
        self.resting = np.setdiff1d(box.whole[0], self.integers.columns)
        self.reals = box.reals
        self.first_step = math.exp(np.log(steps[self.reals]).mean()) if len(self.reals) else 1.0

    def _require_fit(self, place: str, scope: Scope) -> None:
        box = scope.owner._box  # runs of restarts have none
        if isinstance(box, SpaceBox):
            twin = Discrete(box, np.ones(len(box.space)))
            require_same(self, twin, ("resting", "reals", "neighbours"), place)
            of_integers, of_choices = (
                ("columns", "low", "high", "origin", "margin"),
                ("columns", "low", "starts", "least"),
            )
            require_same(self.integers, twin.integers, of_integers, f"{place}.integers")
            require_same(self.categories, twin.categories, of_choices, f"{place}.categories")

    @property
    def varied(self) -> int:
        """The number of coordinates that vary normally, at least 1."""
        return max(len(self.reals) + len(self.integers.columns), 1)

    def settled(self, told: Told, count: int, mean: Vector) -> tuple[Told, NDArray[np.bool_]]:
        """Return the told rows as the normal distribution learns from them.

        The `count` best are centred; resting coordinates are the mean's. Also return which
        integers had one of the best rows at another number than the mean's.
        """
        rows = told.population.copy()
        moved = self.integers.centre(rows, told.order[:count], mean, self.resting)
        return Told(rows, *told[1:]), moved

    def after(
        self, told: Told, weights: Vector, moved: NDArray[np.bool_], before: Vector, spread: Spread,
        mean: Vector, scale: Vector,
    ) -> Self:  # fmt: skip
        """Return the state after an update, with margins; `mean` and `scale` change in place.

        The best rows have `weights`, and `before` is the mean before the update.
        """
        twin = twin_of(self)
        twin.integers = self.integers.kept(self.rate, moved, before, spread, mean, scale)
        twin.categories = self.categories.after(told, weights, self.rate, mean)
        return twin
