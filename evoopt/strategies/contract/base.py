"""What all strategies share: `Strategy`, which learns from the fitness of its rows."""

import logging
import math
import os
from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from evoopt import arguments
from evoopt.strategies.contract import saving, stopping
from evoopt.strategies.contract.rows import Rows
from evoopt.strategies.contract.stopping import Reason
from evoopt.strategies.contract.told import Best, Told, best_and_median, better, until
from evoopt.types import Array, PopulationLike

_log = logging.getLogger(__name__)
_DOUBLE = np.dtype(np.float64)


class Strategy(Rows):
    """The base of all strategies: ``ask`` gives a population, ``tell`` learns from its fitness.

    Parameters
    ----------
    mean : array_like, shape (n_params,)
        Where the search starts; copied. Coordinates up to 1e300, for float32 rows 1e30.
    sigma : float or array_like, shape (n_params,)
        How far it looks at first: a standard deviation for all coordinates, or one for each. From 1e-140 to
        1e140, for float32 rows from 1e-18 to 1e18; step sizes stay in this range.
    popsize : int, optional
        Rows of a population, at least 2; OpenAIES and PGPE, whose rows are pairs, take even ones.
    bounds : n_params pairs (low, high), one pair of numbers for all, or scipy.optimize.Bounds, optional
        Pairs come as a sequence, a zip or an array (n_params, 2); None or inf is an open side, low == high
        fixes a coordinate. Arrays of all low and all high ends go into ``scipy.optimize.Bounds(low, high)``.
    maximize : bool
        Whether larger fitness is better.
    noisy : bool
        Whether the fitness of a row changes when it is evaluated again. Then no range of the fitness is a
        reason to stop, not even a fitness that is constant: give a limit.
    seed : int, optional
        At least 0. The same seed gives the same bits, for any number of threads; None takes one from the
        system.
    dtype : float32 or float64, optional
        Of the population. By default float32 if numpy reads `mean` as floats of at most 32 bits (a float32
        tensor of another library, float16), else float64.
    target, max_evaluations, max_generations : optional
        `stop` says so when `best` reaches this fitness, or so many rows or populations were told.
    tolx, tolfun : float
        Of the strategies of evoopt, not of one of your own. `stop` advises to when all steps are smaller than
        `tolx`, or too small to change the mean: standard deviations; for OpenAIES and PGPE the learning rate
        as well, for GA the mutations and the differences of the parents. And when the fitness of a
        generation, and the best ones of the last 10 + 30 n_params / popsize generations, range over less
        than `tolfun`, which with ``noisy=True`` is no reason.
    device : "cpu" or "cuda"
        With "cuda" rows are arrays of the device, float32 or float64. SNES, SepCMAES, OpenAIES, PGPE and GA
        keep their state there and learn there; the others compute on the CPU and copy.

    Attributes
    ----------
    n_params, popsize, generation, evaluations, seed : int
    dtype : numpy.dtype
    device : str
    best : Best
    history : dict of str to list
        For each generation: ``generation, evaluations, best, median, best_so_far, sigma``, and what a
        strategy has besides: ``condition`` of the covariance (CMAES, when it was looked at last; SepCMAES,
        SNES), ``diversity``, the standard deviation of the best parents, mean over the coordinates (GA).

    Notes
    -----
    A strategy of your own is a subclass with `_update`, decorated by `register` if it is to be saved. Its
    state is what it keeps in attributes; it moves ``self._mean`` and ``self._sigma`` (float64, shape
    (n_params,)). Replace arrays, lists and objects, never mutate them: if `_update` fails, or the strategy
    is saved meanwhile, the attributes are again the objects that they were, with what was changed in these.
    To draw rows otherwise than mean + sigma * normal deviates it also has `_snapshot` and `_sample`;
    `_reasons` adds to `stop`.

    Examples
    --------
    >>> import evoopt
    >>> @evoopt.register
    ... class Halves(evoopt.Strategy):
    ...     '''The mean of the better half, a step size that shrinks.'''
    ...
    ...     def _update(self, told):
    ...         half = told.population[told.order[: len(told.order) // 2]]
    ...         self._mean = half.mean(axis=0, dtype=float)
    ...         self._sigma = 0.97 * self._sigma
    >>> es = Halves([3.0, -2.0], sigma=1.0, popsize=20, seed=1, max_generations=200)
    >>> while not es.stop():
    ...     population = es.ask()
    ...     es.tell(population, (population**2).sum(axis=1))
    >>> es.best.fitness < 1e-3
    True
    """

    # ---------------------------------------------------------------- what a strategy of one's own defines

    @abstractmethod
    def _update(self, told: Told) -> None:
        """Learn from rows, at least one of them with a fitness."""

    def _reasons(self) -> Sequence[Reason]:
        """Return further reasons to stop."""
        return ()

    def _measures(self) -> dict[str, float]:
        """Return further columns of `history`, which cost little: the same names in each generation."""
        return {}

    # ---------------------------------------------------------------- fitness

    def tell(self, population: PopulationLike, fitness: ArrayLike) -> None:
        """Learn from the fitness of rows: one update, whichever and however many they are.

        Parameters
        ----------
        population : array_like, shape (k, n_params), or ids of shape (k,)
            At least two rows. They teach what they are, so a row that was repaired counts as repaired; rows
            that were never asked for are foreign.
        fitness : array_like, shape (k,)
            NaN ranks worst and never wins. If all are NaN the search stays where it is. The first generation
            whose best is NaN or infinite is a warning of the logger "evoopt"; after ten in a row `stop` has
            a reason.

        Raises
        ------
        ValueError
            For shapes that do not fit, ids that are unknown or told before, rows from `ask` that were told in
            one of the last 8 updates, foreign rows that are not finite or out of bounds, or where the
            strategy cannot learn from such. After this, or any other exception, the strategy is as it was.

        Notes
        -----
        Of the size of the population it takes: with `bounds` the rows as they were drawn (not for a GA, which
        takes the next parents), and the rows themselves if ids came. A DeepGA, which learns from ids, takes
        neither.
        """
        rows, ids = self._read_rows(population)
        values = arguments.fitness_vector(self._engine.host(fitness), len(ids))
        if self.maximize:
            values = -values
        order = values.argsort(kind="stable")  # NaN last
        if rows is None and self._needs_rows:
            rows = self._made_again(ids)
        best = self._made_again(ids[order[:1]])[0] if rows is None else rows[order.item(0)]
        found, outside = self._ledger.find(ids)
        searched = self._searched(rows, ids, found)
        drawn = [(epoch.snapshot, where) for epoch, where in found]
        before = vars(self).copy()
        try:
            self._before = before  # which is the state until all of it has changed
            scores = self._engine.scores(None if self.maximize else fitness, values)
            self._learn(Told(searched, values, order, outside, ids, drawn, scores), best)
            self._ledger = self._ledger.told(ids, found, rows, self._engine)
            first_barren = self._barren and not self._warned
            if first_barren:
                self._warned = True
            self._before = None
        except BaseException:  # of a strategy of the user's own, or Ctrl-C: this generation was not told
            self.__dict__ = before
            self._trim_history()
            raise
        self._made_with = None
        if first_barren:
            self._warn()

    def _warn(self) -> None:
        _log.warning(
            "the best fitness of generation %d is %g: nothing is learned from NaN, and little from "
            "infinite values; after %d such generations in a row stop() has a reason",
            *(self.generation, self.history["best"][-1], stopping.BARREN),
        )

    def _learn(self, told: Told, best_row: Array) -> None:
        """Count the rows, keep the best, update, and add to the history."""
        self.generation += 1
        self.evaluations += len(told.order)
        best, median = best_and_median(told.fitness[told.order].tolist())
        if self.maximize:
            best, median = -best, -median
        self._barren = 0 if math.isfinite(best) else self._barren + 1
        if not math.isnan(best):
            self._keep_best(best_row, best)
            self._update(told)
            self._check_update()
        self._record(best, median)

    def _check_update(self) -> None:
        """Raise ValueError unless `_update` left a mean and a sigma for each coordinate; as float64."""
        mean, sigma = self._mean, self._sigma
        if not getattr(mean, "shape", None) == getattr(sigma, "shape", None) == (self.n_params,):
            raise ValueError(
                f"_update of {type(self).__name__} must leave _mean and _sigma as arrays of shape "
                f"({self.n_params},), got {mean!r} and {sigma!r}."
            )
        if not mean.dtype == sigma.dtype == _DOUBLE:  # of a strategy of the user's own
            mean, sigma = mean.astype(np.float64), sigma.astype(np.float64)
        self._mean, self._sigma = self._engine.vector(mean), self._engine.vector(sigma)

    def _keep_best(self, row: Array, fitness: float) -> None:
        if self.noisy or better(fitness, self.best.fitness, self.maximize):
            self.best = Best(self._engine.copy(row), fitness, self.generation, self.evaluations)

    def _trim_history(self) -> None:
        """Forget generations that were not told after all, and columns that only these have."""
        told = until(self.history, self.generation)
        for name, column in [*self.history.items()]:
            del column[len(told.get(name, ())) :]
            if name not in told:
                del self.history[name]

    def _record(self, best: float, median: float) -> None:
        history = self.history
        history["generation"].append(self.generation)
        history["evaluations"].append(self.evaluations)
        history["best"].append(best)
        history["median"].append(median)
        history["best_so_far"].append(self.best.fitness)
        history["sigma"].append(self._overall_sigma())
        for name, value in self._measures().items():
            history.setdefault(name, []).append(value)

    # ---------------------------------------------------------------- the end

    def stop(self) -> tuple[Reason, ...]:
        """Return reasons to stop, pairs (name, message), none at first; advice only: `ask` works on.

        Those of every strategy are "target", "max_evaluations", "max_generations" and "nofitness": the best
        fitness of each of the last ten generations was NaN or infinite.
        """
        reached = stopping.limits(self, self.target, self.max_evaluations, self.max_generations)
        own = self._reasons() if self.generation else []
        return (*reached, *stopping.without_fitness(self), *own)

    def save(self, path: str | os.PathLike[str], task: object = None) -> None:
        """Write the whole state to exactly `path`, an ``.npz`` without pickles, all or nothing; see `load`.

        At any moment, from a signal handler or another thread too: in the middle of `ask` or `tell` it is the
        state before or after.

        Parameters
        ----------
        path : str or path
            A file that is there keeps its mode, and a link stays a link. The new one is on the disk when
            `save` returns.
        task : callable, optional
            What it has learned, its ``state()`` if it has one, goes into the file too.

        Raises
        ------
        ValueError
            If `path` is no path, or something else than a file is there. If a strategy or task of one's own
            keeps something else than numbers, text, arrays and containers of these.
        FileNotFoundError
            If there is no such folder.

        Notes
        -----
        Of `history` the file holds the first 10 and the last 100,000 generations, so that it does not grow
        for ever; what a run decides depends on no others.

        Between `ask` and `tell` rows wait for their fitness. They can be told after `load`, but `evolve` asks
        for others, so the run from there is another one, and what `task` has learned of rows that were not
        told stays. To continue bit for bit, save in a callback of `evolve`: it is called between generations.
        """
        saving.save(path, self, task)
