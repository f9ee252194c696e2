"""Strategies that advise to stop when step sizes or differences of the fitness are small."""

import math
from collections.abc import Sequence
from typing import ClassVar, SupportsFloat, Unpack

from evoopt import arguments
from evoopt.spaces.space import MeanLike, PointLike
from evoopt.strategies.contract import fields, stopping
from evoopt.strategies.contract.base import Strategy
from evoopt.strategies.contract.fields import Fields
from evoopt.strategies.contract.options import Options
from evoopt.strategies.contract.stopping import Reason
from evoopt.strategies.contract.told import Told
from evoopt.types import Array, Vector


class ConvergingOptions(Options, total=False):
    """The keyword arguments of `Converging`."""

    tolx: SupportsFloat
    tolfun: SupportsFloat


class Converging(Strategy):
    """A strategy with the tolerances `tolx` and `tolfun`, see `Strategy`."""

    _stored: ClassVar[Fields] = {
        **dict.fromkeys(("tolx", "tolfun"), fields.number()),
        "_fitness_range": fields.ANY_NUMBER,
    }

    def __init__(
        self,
        mean: MeanLike,
        sigma: PointLike | None = None,
        *,
        tolx: SupportsFloat = 1e-11,
        tolfun: SupportsFloat = 1e-11,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(mean, sigma, **options)
        self.tolx, self.tolfun = arguments.number("tolx", tolx), arguments.number("tolfun", tolfun)
        self._fitness_range = math.inf  # the last generation's

    def _learn(self, told: Told, best_row: Array) -> None:
        super()._learn(told, best_row)
        if not math.isnan(told.fitness.item(told.order[0])):  # something was learned
            self._fitness_range = stopping.fitness_range(told)

    def _place_and_steps(self) -> tuple[Vector, Vector]:
        """Return the point to converge to and the step sizes around it, both (n_params,)."""
        return self._mean, self._sigma

    def _reasons(self) -> Sequence[Reason]:
        return [
            *stopping.small_steps(self, *self._place_and_steps(), self._engine),
            *stopping.flat_fitness(self, self._fitness_range, self.tolfun),
        ]
