"""Integers and choices of a genetic algorithm: first categories, inheritance, and the end.

Variables mutate independently, as in Li, Emmerich, Eggermont, Bäck, Schütz, Dijkstra and Reiber
2013, Mixed integer evolution strategies for parameter optimization,
https://doi.org/10.1162/EVCO_a_00059. Their least mutation rate, 1 / (3 variables), is the rate
here.
"""

import functools
import math
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from evoopt.devices.cpu import genetic
from evoopt.rules.genetic import ALWAYS
from evoopt.strategies.contract import stopping
from evoopt.strategies.contract.fields import Fields, Scope, instance, require
from evoopt.strategies.contract.registry import plain_data
from evoopt.strategies.contract.space_box import SpaceBox
from evoopt.strategies.contract.stopping import Reason
from evoopt.strategies.parts.operators import Variation
from evoopt.types import Array, Ids, Vector

SHARE = 1 / 3  # the mean number of integers and choices that mutate in a child


@plain_data
class Heredity:
    """The integers and choices of a space, which children inherit from their parents.

    Attributes
    ----------
    box : SpaceBox
    choices : ndarray of int
        The columns of choices.
    numbers : ndarray of int
        The other columns, or all if there are no others.
    genes : tuple
        See `devices.cpu.genetic.Genes`.
    """

    _stored: ClassVar[Fields] = {"box": instance(SpaceBox)}

    def __init__(self, box: SpaceBox) -> None:
        self.box = box

    def __getstate__(self) -> dict[str, Any]:
        return {"box": self.box}  # all else follows from it

    def _require_fit(self, place: str, scope: Scope) -> None:
        box = scope.owner._box  # runs of restarts have none
        fits = box is None or (isinstance(box, SpaceBox) and box.space == self.box.space)
        require(fits, f"{place}.box", "the box of its strategy", self.box)

    @property
    def choices(self) -> NDArray[np.intp]:
        return self.box.choices

    @functools.cached_property
    def numbers(self) -> NDArray[np.intp]:
        columns = np.arange(len(self.box.space))
        found = np.setdiff1d(columns, self.choices)
        return found if len(found) else columns

    @property
    def dimension(self) -> float:
        """The number of coordinates that step sizes are for, at least 1.

        It is the geometric mean of the number of reals, which is right once the integers have
        settled, and of the number of reals and integers, which is right before.
        """
        return math.sqrt((len(self._reals) or len(self.numbers)) * len(self.numbers))

    @functools.cached_property
    def genes(self) -> genetic.Genes:
        return *self.box.whole, np.isin(self.box.whole[0], self.choices)

    @functools.cached_property
    def _reals(self) -> NDArray[np.intp]:
        return self.box.reals

    @functools.cached_property
    def _rate(self) -> float:
        _, low, high, _, _ = self.genes
        return SHARE / max(int((low < high).sum()), 1)

    def begin(self, key: np.uint64, ids: Ids, out: Array) -> None:
        """Draw the categories of a first population `out` (k, n), and round its integers."""
        genetic.begin(key, ids, self.genes, out)

    def inherit(
        self, key: np.uint64, ids: Ids, parents: NDArray[np.intp], pool: Array, steps: Vector, sigma: Array,
        variation: Variation, out: Array,
    ) -> None:  # fmt: skip
        """Write the integers and categories of children into `out` (k, n), which `breed` wrote."""
        crossover, _, _, _ = variation.codes()
        threshold = np.uint64(round(min(self._rate, variation.mutation_rate) * ALWAYS))
        genetic.inherit(key, ids, parents, pool, steps, sigma, crossover, threshold, self.genes, out)

    def with_likeliest(self, mean: Vector, pool: Array) -> Vector:
        """Return a mean (n,) with the most frequent category of each choice, or the first such."""
        mean = mean.copy()
        for c in self.choices:
            categories, counts = np.unique(pool[:, c], return_counts=True)
            mean[c] = categories[counts.argmax()]
        return mean

    # ---------------------------------------------------------------- the end

    def reasons(self, strategy: Any, pool: Array, fitness: Vector, steps: Vector) -> list[Reason]:
        """Return reasons to stop, given the parents, best first.

        There must be no progress for long enough. Then the reasons are reals whose steps and
        differences are small, and equal fitness, both of the best quarter of the parents: mutations
        keep the others from being alike.
        """
        least = stopping.least_range(strategy, strategy.tolfun)
        if not stopping.is_stuck(strategy, least):
            return []
        reasons, quarter = [], max(len(pool) // 4, 1)
        if len(self._reals):
            best = pool[:quarter, self._reals].astype(np.float64)
            largest = np.maximum(steps[self._reals], np.ptp(best, axis=0))
            first = float(strategy._first_sigma[self._reals].mean())
            reasons = stopping.small_steps(strategy, best[0], largest, first=first)
        if fitness[quarter - 1] - fitness[0] < least:
            reasons.append(("tolfun", f"the fitness of the best parents ranges over less than {least:g}"))
        return reasons
