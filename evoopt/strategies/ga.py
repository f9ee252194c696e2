"""Real-coded genetic algorithm: tournaments, crossover, self-adaptive Gaussian mutation, elites.

Deb and Agrawal 1995, Simulated binary crossover for continuous search space,
https://www.complex-systems.com/abstracts/v09_i02_a02/; self-adaptation of the step size as in Beyer and
Schwefel 2002, Evolution strategies: a comprehensive introduction, https://doi.org/10.1023/A:1015059928466.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from evoopt.kernels import threads
from evoopt.kernels.cpu.genetic import CLONE, SBX, UNIFORM, breed, child_steps
from evoopt.kernels.cpu.noise import sample_rows
from evoopt.kernels.philox import COLUMNS
from evoopt.strategies import arguments
from evoopt.strategies.arguments import Array, Ids, Vector
from evoopt.strategies.base import GRAIN, Strategy
from evoopt.strategies.registry import register
from evoopt.strategies.told import Told

SHAPE_RATE = 0.1  # of the logarithm of sigma in each coordinate; 1 forgets the past
_CROSSOVERS = {None: CLONE, "uniform": UNIFORM, "sbx": SBX}


@register
class GA(Strategy):
    """Genetic algorithm on real numbers.

    Parents are the rows told last and the elites. Two of them, winners of tournaments, have two complementary
    children; then each child moves by Gaussian mutation, whose step size is inherited and mutates itself. The
    ratios of the step sizes between coordinates follow the spread of the best quarter of the parents.

    Parameters
    ----------
    mean : array_like, shape (n_params,) or (popsize, n_params)
        The centre of the first population, or the first population itself.
    sigma : float or array_like, shape (n_params,)
        Spread of the first population, and of the first mutations.
    popsize : int, optional
        100 by default, or the rows of `mean`.
    bounds, maximize, noisy, seed, dtype, target, max_evaluations, max_generations
        See `Strategy`. With ``noisy=True`` elites are asked for again, as the first rows of the next
        population.
    tournament : int
        Members of a tournament, 1 to 64.
    crossover : "sbx", "uniform" or None
        Simulated binary crossover, exchange of coordinates, or none.
    elites : int, optional
        The best rows that survive, fewer than `popsize`; 2 % of it by default.

    Raises
    ------
    ValueError
        For arguments that do not fit.

    Examples
    --------
    >>> import evoopt
    >>> es = evoopt.GA([3.0, -2.0], sigma=1.0, popsize=50, seed=1, target=1e-8)
    >>> while not es.stop():
    ...     population = es.ask()
    ...     es.tell(population, (population**2).sum(axis=1))
    >>> bool(abs(es.solution).max() < 1e-3)
    True
    """

    _memory = 1
    _reflects = True

    def __init__(
        self,
        mean: ArrayLike,
        sigma: ArrayLike,
        *,
        tournament: int = 4,
        crossover: str | None = "sbx",
        elites: int | None = None,
        **options: Any,
    ) -> None:
        first = _first_population(mean, options)
        super().__init__(mean if first is None else first.mean(axis=0), sigma, **options)
        self.tournament = arguments.whole("tournament", tournament, 1, COLUMNS)
        if crossover not in _CROSSOVERS:
            raise ValueError(f'crossover must be "sbx", "uniform" or None, but {crossover!r} came.')
        self.crossover = crossover
        few = max(1, self.popsize // 50)
        self.elites = few if elites is None else arguments.whole("elites", elites, 0, self.popsize - 1)
        self._tau = 1 / math.sqrt(2 * self.n_params)
        # the pool of parents, best first, with the fitness and step size of each; before the first update it
        # is the first population, without these
        self._pool = np.empty((0, self.n_params), self.dtype) if first is None else first.astype(self.dtype)
        if self._box is not None:
            self._box.require_inside(self._pool, "first population")
        self._fitness = np.empty(0)
        self._steps = np.empty(0)

    def _default_popsize(self) -> int:
        return 100

    def _snapshot(self, first_id: int) -> tuple[Any, ...]:
        centre, sigma = self._mean.astype(self.dtype), self._sigma.astype(self.dtype)
        asked_again = self.elites if self.noisy else 0
        return first_id, asked_again, centre, sigma, self._pool, self._steps

    def _sample(self, snapshot: tuple[Any, ...], ids: Ids, out: Array) -> None:
        first_id, asked_again, centre, sigma, pool, pool_steps = snapshot
        grain = GRAIN // self.n_params + 1
        if len(pool_steps):
            steps = self._row_steps(snapshot, ids).astype(self.dtype)
            arguments = (
                self._key,
                ids,
                pool,
                steps,
                sigma,
                self.tournament,
                _CROSSOVERS[self.crossover],
                out,
            )
            threads.run(breed, len(ids), *arguments, grain=grain)
        else:
            threads.run(sample_rows, len(ids), self._key, ids, centre, sigma, out, grain=grain)
            asked_again = len(pool)
        place = ids - np.uint64(first_id)
        again = np.flatnonzero(place < asked_again)
        out[again] = pool[place[again]]

    def _row_steps(self, snapshot: tuple[Any, ...], ids: Ids) -> Vector:
        """Return the step sizes of rows drawn from a pool."""
        first_id, asked_again, _, _, _, pool_steps = snapshot
        steps = np.empty(len(ids))
        arguments = (self._key, ids, pool_steps, self.tournament, self._tau, steps)
        threads.run(child_steps, len(ids), *arguments, grain=2000)
        place = ids - np.uint64(first_id)
        again = np.flatnonzero(place < asked_again)
        steps[again] = pool_steps[place[again]]
        return steps

    def _update(self, told: Told) -> None:
        k = len(told.order)
        steps = np.full(k, self._median_step())
        for snapshot, where in told.drawn:
            if len(snapshot[-1]):
                steps[where] = self._row_steps(snapshot, told.ids[where])
        # the elites, and with fewer than popsize rows the best of those before
        kept = 0 if not len(self._steps) else max(0 if self.noisy else self.elites, self.popsize - k)
        fitness = np.concatenate([self._fitness[:kept], told.fitness])
        order = fitness.argsort(kind="stable")
        order = order[: len(order) - int(np.isnan(fitness).sum())]  # NaN has no children
        self._pool = np.concatenate([self._pool[:kept], told.population])[order]
        self._fitness = fitness[order]
        self._steps = np.concatenate([self._steps[:kept], steps])[order]
        self._adapt_shape()

    def _adapt_shape(self) -> None:
        """Let the ratios of sigma between the coordinates follow those of the spread of the best quarter."""
        spread = self._pool[: max(len(self._pool) // 4, 2)].std(axis=0, dtype=np.float64)
        varied = spread > 0
        if varied.any():
            log_sigma, log_spread = np.log(self._sigma[varied]), np.log(spread[varied])
            drift = (log_spread - log_spread.mean()) - (log_sigma - log_sigma.mean())
            self._sigma = self._sigma.copy()
            self._sigma[varied] = np.exp(log_sigma + SHAPE_RATE * drift)

    def _median_step(self) -> float:
        return float(np.median(self._steps)) if len(self._steps) else 1.0

    def _overall_sigma(self) -> float:
        return self._median_step() * float(self._sigma.mean())

    @property
    def mean(self) -> Array:
        """The mean of the parents, at first the centre of the first population; shape (n_params,)."""
        result: Array = super().mean if not len(self._steps) else self._pool.mean(axis=0)
        return result

    @property
    def sigma(self) -> Vector:
        """The standard deviation of the mutation of a median parent in each coordinate, shape (n_params,)."""
        return self._median_step() * self._sigma

    @property
    def solution(self) -> Array:
        """What to use: the best row, and the centre as long as there is none."""
        x = self.best.x
        return self.mean if x is None else x


def _first_population(mean: ArrayLike, options: dict[str, Any]) -> Array | None:
    """Return `mean` if it is a first population, and write its popsize into the options."""
    population = np.asarray(mean)
    if population.ndim != 2:
        return None
    if population.dtype.kind not in "biuf" or not np.isfinite(population).all():
        raise ValueError("A first population of finite numbers was expected, but it has others.")
    if options.setdefault("popsize", None) not in (None, len(population)):
        raise ValueError(
            f"A popsize of {len(population)}, the rows of the first population, was expected, but "
            f"{options['popsize']} came; leave it out."
        )
    options["popsize"] = len(population)
    if options.get("dtype") is None:
        options["dtype"] = np.float32 if population.dtype == np.float32 else np.float64
    return population
