"""Categories of a search distribution: independent choices, whose probabilities adapt.

Hamano, Saito, Nomura, Uchida and Shirakawa 2025, CatCMA with margin,
https://arxiv.org/abs/2504.07884; Akimoto, Shirakawa, Yoshinari, Uchida, Saito and Nishida 2019,
Adaptive stochastic natural gradient method for one-shot neural architecture search,
https://arxiv.org/abs/1905.08537.
"""

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from evoopt.devices.cpu import discrete
from evoopt.spaces.variables import LARGEST_WHOLE
from evoopt.strategies.contract.fields import APART, Fields, Scope, array, require
from evoopt.strategies.contract.registry import plain_data
from evoopt.strategies.contract.run import twin_of
from evoopt.strategies.contract.space_box import SpaceBox
from evoopt.strategies.contract.told import Told
from evoopt.types import Array, Ids, Vector

ROUNDING = 1e-9  # of a sum of probabilities


@plain_data
class Categories:
    """The categories of a search distribution: choices, and integers with two values.

    A category of an integer is its distance from the lower value.

    Attributes
    ----------
    columns : ndarray of int, shape (k,)
        Their coordinates; a row has `low` plus the number of a category there.
    low : ndarray, shape (k,)
        The numbers of the first categories.
    starts : ndarray of int, shape (k + 1,)
        Where the odds of each choice begin, and where the last ones end.
    odds : ndarray
        The probabilities of all categories, of one choice after the other.
    path : ndarray
        The path of the odds, as long as `odds`.
    adapted : ndarray, shape (2,)
        The numbers gamma and Delta of the adaptive steps.
    least : ndarray, shape (k,)
        The smallest probability of each choice.
    """

    _stored: ClassVar[Fields] = {
        "columns": array("choices", dtype=np.intp),
        "starts": array(None, dtype=np.intp),
        **dict.fromkeys(("odds", "path"), array("odds")),
        "adapted": array(2),
        **dict.fromkeys(("low", "least"), array("choices")),
    }

    def __init__(self, box: SpaceBox, margin: float) -> None:
        columns, low, high, _ = box.whole
        free = (low < high) & (np.isin(columns, box.choices) | (high - low == 1))
        self.columns, self.low = columns[free], low[free]
        sizes = (high - low)[free].astype(np.intp) + 1
        self.starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.intp)
        self.odds = np.repeat(1 / sizes, sizes)
        self.path = np.zeros(len(self.odds))
        self.adapted, self.least = np.array([0.0, 1.0]), margin / (sizes - 1)

    def _require_fit(self, place: str, scope: Scope) -> None:
        known = np.arange(scope.owner.n_params)
        require(np.isin(self.columns, known).all(), f"{place}.columns", "coordinates", self.columns)
        fits = len(self.starts) == len(self.columns) + 1 and self.starts[0] == 0
        fits = fits and self.starts[-1] == len(self.odds) and (np.diff(self.starts) > 1).all()
        require(fits, f"{place}.starts", "the starts of choices", self.starts)
        require_odds(self.odds, self.starts, f"{place}.odds")
        fits = (self.least > 0) & (self.least * np.diff(self.starts) < 1)  # False for NaN
        require(fits.all(), f"{place}.least", "of small probabilities", self.least)
        require((np.abs(self.path) <= APART).all(), f"{place}.path", "of a length that paths have", self.path)
        gamma, slowness = self.adapted
        fits = 0 <= gamma <= 1 and 1 / APART <= slowness <= APART  # False for NaN
        require(fits, f"{place}.adapted", "gamma and Delta", self.adapted)
        fits = (self.low == np.rint(self.low)) & (np.abs(self.low) <= LARGEST_WHOLE)
        require(fits.all(), f"{place}.low", "of whole numbers", self.low)

    def stored_odds(self, value: Any, place: str, scope: Scope) -> None:
        """Check odds from a file, see `fields`."""
        array(len(self.odds))(value, place, scope)
        require_odds(value, self.starts, place)

    def draw(self, key: np.uint64, ids: Ids, odds: Vector, out: Array) -> None:
        """Write the category of each choice into its column of rows `out` (k, n)."""
        if len(self.columns):
            discrete.choose(key, ids, self.columns, self.low, self.starts, odds, out)

    def after(self, told: Told, weights: Vector, rate: float, mean: Vector) -> Self:
        """Return the categories after a share of a step to the best rows, as many as `weights`.

        The mean (n,) gets the likeliest category of each choice, in place.
        """
        if not len(self.columns):
            return self
        twin = twin_of(self)
        twin.odds, twin.path, twin.adapted = self.odds.copy(), self.path.copy(), self.adapted.copy()
        best = told.order[: len(weights)]
        choices = self.columns, self.low, self.starts, self.least, rate
        discrete.follow(*choices, weights, best, told.population, mean, twin.odds, twin.path, twin.adapted)
        return twin


def require_odds(odds: Vector, starts: NDArray[np.intp], place: str) -> None:
    """Raise ValueError unless odds from a file are the probabilities of choices."""
    fits = len(odds) == starts[-1] and bool((odds > 0).all())
    sums = np.add.reduceat(odds, starts[:-1]) if fits and len(odds) else np.ones(0)
    require(fits and bool((np.abs(sums - 1) < ROUNDING).all()), place, "of probabilities", odds)
