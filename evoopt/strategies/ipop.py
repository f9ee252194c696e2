"""Restarts with larger populations, around any strategy.

Auger and Hansen 2005, A restart CMA evolution strategy with increasing population size,
https://doi.org/10.1109/CEC.2005.1554902.
"""

import numpy as np

from evoopt.strategies.contract.registry import register
from evoopt.strategies.parts.restarts import Plan, Restarts


@register
class IPOP(Restarts):
    """Restarts that double the population each time.

    Parameters
    ----------
    strategy : Strategy
        A new one: `CMAES`, or any other of a registered class. Its mean, sigma and popsize are those of the
        first run; its bounds, maximize, noisy, seed, dtype, device, and its target and limits, which are
        totals, those of the whole; its other options those of each run.
    start : callable, optional
        ``start(generator) -> mean`` draws where a restart begins, from a numpy Generator. By default it is
        uniform in the bounds, or within two `sigma` of `mean` where a side is open. A checkpoint does not
        hold it: after `load` set it again, ``es.start = function``.
    restart_sigma : float or array_like, shape (n_params,), optional
        `sigma` of the restarts; by default that of the first run.
    max_restarts : int
        After so many `stop` gives the reasons of the last run.

    Attributes
    ----------
    restarts : int
        How many there were. `best` and `history` are of all runs, `mean` and `sigma` of the present one.
    ends : list of (float, str)
        Of each run that is over, the best fitness and the name of the first reason to stop it.
    name : str
        Of the strategy.

    Raises
    ------
    ValueError
        For arguments that do not fit.

    Examples
    --------
    >>> import evoopt
    >>> def rastrigin(x):
    ...     return 30 + (x**2 - 10 * np.cos(2 * np.pi * x)).sum()
    >>> es = evoopt.IPOP(evoopt.CMAES([3.3, -2.2, 4.1], sigma=1.0, seed=1, target=1e-8))
    >>> while not es.stop():
    ...     population = es.ask()
    ...     es.tell(population, [rastrigin(x) for x in population])
    >>> es.stop()[0][0], bool(abs(es.solution).max() < 1e-4)
    ('target', True)
    """

    def _next_plan(self, generator: np.random.Generator) -> Plan | None:
        if self.restarts >= self.max_restarts:
            return None
        return Plan(self._first_popsize * 2 ** (self.restarts + 1))
