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
        A new `CMAES`, or a new strategy of any other registered class. The first run has its mean,
        sigma and popsize. Its bounds, maximize, noisy, seed, dtype, device, target and limits hold
        for all runs together. Each run has its other options.
    start : callable, optional
        ``start(generator) -> mean`` draws the start of a restart with a numpy Generator. By default
        the start is uniform in the bounds or the space, or within two `sigma` of `mean` if a side
        is open. A checkpoint does not hold this function: after `load` set it again, ``es.start =
        function``.
    restart_sigma : float or array_like, shape (n_params,), optional
        `sigma` of the restarts; by default the first run's.
    max_restarts : int
        After so many restarts, `stop` returns the reasons of the last run.

    Attributes
    ----------
    restarts : int
        The number of restarts so far. `best` and `history` cover all runs, `mean` and `sigma` the
        present one.
    ends : list of (float, str)
        The best fitness of each run that is over, and the name of its first reason to stop.
    name : str
        The class name of the strategy.

    Raises
    ------
    ValueError
        If an argument is invalid.

    Notes
    -----
    In a `Space` with `Integer` or `Choice`, a run of `CMAES` or `SepCMAES` may settle on wrong
    integers. So it also ends, with the reason "tolpace", once its step size is a tenth of the first
    and at its pace it would neither reach the target nor become the best run. Runs after the first
    learn integers and choices at a tenth of the rate.

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
