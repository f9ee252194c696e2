"""Restarts with larger and with small populations, around any strategy.

Hansen 2009, Benchmarking a BI-population CMA-ES on the BBOB-2009 function testbed,
https://doi.org/10.1145/1570256.1570333.
"""

from typing import ClassVar

import numpy as np

from evoopt.strategies.contract import fields
from evoopt.strategies.contract.fields import Fields, Scope
from evoopt.strategies.contract.registry import register
from evoopt.strategies.parts.restarts import Plan, Restarts


@register
class BIPOP(Restarts):
    """Restarts that double the population, and between them runs with few rows and a small sigma.

    A run with a small random population follows whenever small runs have had fewer evaluations so
    far than runs with a doubled population.

    Parameters
    ----------
    strategy, start, restart_sigma
        See `IPOP`.
    max_restarts : int
        How often the population is doubled.

    Attributes
    ----------
    restarts : int
        The number of restarts so far, small runs included.

    Raises
    ------
    ValueError
        If an argument is invalid.

    Notes
    -----
    For runs with integers or choices, which may also end with the reason "tolpace", see `IPOP`.

    Examples
    --------
    >>> import evoopt
    >>> es = evoopt.BIPOP(evoopt.CMAES([3.0, 4.0], 1.0, bounds=(-5, 5), seed=1, target=1e-8))
    >>> while not es.stop():
    ...     population = es.ask()
    ...     waves = 10 * np.cos(2 * np.pi * population)
    ...     es.tell(population, 20 + (population**2 - waves).sum(axis=1))
    >>> es.stop()[0][0]
    'target'
    """

    _stored: ClassVar[Fields] = {
        **dict.fromkeys(("_doubled", "_spent_small", "_spent_large", "_last_large"), fields.whole()),
        "_is_small": fields.flag,
    }

    def _begin(self) -> None:
        self._doubled = 0  # how often the population was doubled
        self._is_small = True  # whether this run is small; the first one counts as small
        self._spent_small = self._spent_large = 0  # evaluations of the runs before
        self._last_large = 0  # evaluations of the last run of doubled size

    def _require_fit(self, place: str, scope: Scope) -> None:
        super()._require_fit(place, scope)
        ends = len(self.ends)
        fields.require(self._doubled <= ends, f"{place}._doubled", f"at most {ends}", self._doubled)

    def _next_plan(self, generator: np.random.Generator) -> Plan | None:
        if self._is_small:
            self._spent_small += self._run.evaluations
        else:
            self._spent_large += self._run.evaluations
            self._last_large = self._run.evaluations
        self._is_small = self._doubled > 0 and self._spent_small < self._spent_large
        if not self._is_small:
            if self._doubled >= self.max_restarts:
                return None
            self._doubled += 1
            return Plan(self._first_popsize * 2**self._doubled)
        # Hansen 2009: popsize_0 (popsize_large / popsize_0 / 2)^(U^2), and sigma_0 / 100^U', U' new
        popsize = int(self._first_popsize * (2 ** (self._doubled - 1)) ** (generator.random() ** 2))
        popsize -= popsize % self._popsize_factor
        return Plan(max(popsize, 2), 0.01 ** generator.random(), self._last_large / 2)
