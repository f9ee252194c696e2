"""`Strategy`, the base of all strategies, which learns from the fitness of its rows."""

import copy
import logging
import math
import os
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from evoopt import arguments
from evoopt.strategies.contract import saving, stopping
from evoopt.strategies.contract.rows import Rows
from evoopt.strategies.contract.stopping import Reason
from evoopt.strategies.contract.told import Best, Told, best_and_median, better, until
from evoopt.strategies.contract.turns import give_turn, is_lost, not_nested, to_read
from evoopt.types import Array, PopulationLike, Vector

_log = logging.getLogger(__name__)
_DOUBLE = np.dtype(np.float64)


class Strategy(Rows):
    """The base of all strategies: ``ask`` returns a population, ``tell`` learns from its fitness.

    Parameters
    ----------
    mean : array_like, shape (n_params,), or Space
        The start of the search; copied. Coordinates have absolute values up to 1e300, for float32
        rows up to 1e30. Or a `Space` to search, ``CMAES(space, x0=..., sigma=...)``; then `x0` is
        the start. All strategies of evoopt search `Real` variables; CMAES, SepCMAES, GA, and IPOP
        and BIPOP around these, also `Integer` and `Choice`.
    sigma : float or array_like, shape (n_params,), or dict
        The initial step size: one standard deviation for all coordinates, or one for each. It is
        from 1e-140 to 1e140, for float32 rows from 1e-18 to 1e18; step sizes stay in this range. In
        a `Space` it has the units of the variables, for ``log=True`` of their natural logarithms;
        it may be a dict with the names of the space, and is by default a sixth of each width, of
        integers a fifth. A `Choice` has none: a dict leaves it out, an array has any number there.
    x0 : dict or array_like, shape (n_params,), optional
        The start in a `Space`: values by name, or a row; by default the middle of each variable,
        for ``log=True`` the middle of its logarithm. At first all values of a `Choice` are equally
        likely, whatever its start; with CMAES and SepCMAES also of an `Integer` with two values.
    popsize : int, optional
        The number of rows in a population, at least 2. OpenAIES and PGPE draw pairs of rows and
        need an even number.
    bounds : n_params pairs (low, high), one pair for all, or scipy.optimize.Bounds, optional
        Pairs may be a sequence, a zip or an array (n_params, 2). None or inf is an open side; equal
        ends fix a coordinate. Pass arrays of all lower and all upper bounds as
        ``scipy.optimize.Bounds(low, high)``. A `Space` has its own.
    maximize : bool
        Whether larger fitness is better.
    noisy : bool
        Whether the fitness of a row changes when it is evaluated again. If so, no range of the
        fitness is a reason to stop, not even a constant fitness: set a limit.
    seed : int, optional
        At least 0. The same seed yields the same bits, for any number of threads. None takes a seed
        from the operating system.
    dtype : float32 or float64, optional
        The dtype of the population. By default float32 if numpy reads `mean` as floats of at most
        32 bits (a float32 tensor of another library, float16), else float64, also for a `Space`.
    target, max_evaluations, max_generations : optional
        `stop` has a reason once `best` reaches this fitness, or once so many rows or populations
        were told.
    tolx, tolfun : float
        Options of the strategies of evoopt, but not of your own. `stop` has a reason when all step
        sizes are smaller than `tolx`, or too small to change the mean. Step sizes are standard
        deviations; OpenAIES and PGPE also count the learning rate, GA the mutations and the
        differences between parents. `stop` also has a reason when the fitness of a generation, and
        the best fitness of each of the last 10 + 30 n_params / popsize generations, range over less
        than `tolfun`, except with ``noisy=True``.
    device : "cpu" or "cuda"
        The device that populations live on. With "cuda", SNES, SepCMAES, OpenAIES, PGPE and GA keep
        their state on the GPU and learn there; the others compute on the CPU and copy rows. A
        search in a `Space` is on the CPU.

    Attributes
    ----------
    n_params, popsize, generation, evaluations, seed : int
    dtype : numpy.dtype
    device : str
    space : Space or None
    best : Best
    history : dict of str to list
        Columns with a number per generation: ``generation, evaluations, best, median, best_so_far,
        sigma``. Some strategies have one more: ``condition``, the condition number of the
        covariance matrix (SNES, SepCMAES; CMAES computes it now and then), or ``diversity``, the
        standard deviation of the best parents, averaged over the coordinates (GA).

    Notes
    -----
    A strategy of your own is a subclass that defines `_update`; decorate it with `register` so that
    it can be saved. Its attributes are its state. `_update` changes ``self._mean`` and
    ``self._sigma`` (float64, shape (n_params,)). It must assign new arrays, lists and objects, and
    never mutate old ones: if `_update` fails, or the strategy is saved meanwhile, the attributes
    are the old objects again. To draw rows other than mean + sigma * normal deviates, define
    `_snapshot` and `_sample` as well. `_reasons` adds reasons to `stop`.

    Several threads may use one strategy: `ask`, `ask_ids`, `rows`, `tell` and `stop` wait for each
    other, so each thread gets rows of its own, and no update is lost. Rows that a thread tells
    after another thread's `tell` are late; strategies that cannot learn from them say so. In the
    middle of a call, by a signal handler or from `_update`, `ask` and `tell` are a RuntimeError.
    `save`, copies and pickles work at any moment, and hold a whole state; attributes that are read
    one by one while a thread tells may be of two states. A forked process has the state before a
    `tell` that another thread had begun.

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

    # ---------------------------------------------------------------- defined by a subclass

    @abstractmethod
    def _update(self, told: Told) -> None:
        """Learn from told rows, at least one of them with a fitness."""

    def _reasons(self) -> Sequence[Reason]:
        """Return reasons to stop beyond the reasons that every strategy has, see `stop`."""
        return ()

    def _measures(self) -> dict[str, float]:
        """Return more columns of `history`, cheap to compute and always with the same names."""
        return {}

    # ---------------------------------------------------------------- fitness

    def tell(self, population: PopulationLike, fitness: ArrayLike) -> None:
        """Learn from the fitness of any number of rows, in one update.

        Parameters
        ----------
        population : array_like, shape (k, n_params), or ids of shape (k,)
            At least two rows. The strategy learns from the rows as they are passed, so a row that
            you repaired counts as repaired. Rows that were never asked for are foreign.
        fitness : array_like, shape (k,)
            NaN ranks worst and never wins. If all values are NaN, the search stays where it is. The
            first generation whose best is NaN or infinite causes a warning of the logger "evoopt";
            after ten in a row `stop` has a reason.

        Raises
        ------
        RuntimeError
            If this thread is in the middle of `ask` or `tell`, see the notes of the class.
        ValueError
            If a shape does not fit, an id is unknown or was told before, a row from `ask` was told
            in one of the last 8 updates (with `Integer` or `Choice` it counts as foreign instead),
            a foreign row is not finite or out of bounds, or the strategy cannot learn from foreign
            rows. After this or any other exception the strategy is as it was.

        Notes
        -----
        Extra memory: one array the size of the population when `bounds` are set, and another when
        ids are passed. GA needs the first for the next parents, with or without bounds. Ids need no
        memory with DeepGA. SNES, SepCMAES, OpenAIES and PGPE on the CPU without `bounds` need none
        either, if no row is late: they draw a part of the rows, sum it and forget it.
        """
        with not_nested(self._turn):
            self._tell(population, fitness)

    def _tell(self, population: PopulationLike, fitness: ArrayLike) -> None:
        rows, ids = self._read_rows(population)
        values = arguments.fitness_vector(self._engine.host(fitness), len(ids))
        if self.maximize:
            values = -values
        order = values.argsort(kind="stable")  # NaN last
        found, outside = self._ledger.find(ids)
        recipe = self._recipe(ids, found) if rows is None else None
        if rows is None and recipe is None and self._needs_rows:
            rows = self._made_again(ids)
        best = self._made_again(ids[order[:1]])[0] if rows is None else rows[order.item(0)]
        searched = self._searched(rows, ids, found) if recipe is None else recipe
        drawn = [(epoch.snapshot, where) for epoch, where in found]
        before = vars(self).copy()
        try:
            self._before = before  # readers see this state until all of it has changed
            scores = self._engine.scores(None if self.maximize else fitness, values)
            self._learn(Told(searched, values, order, outside, ids, drawn, scores), best)
            self._ledger = self._ledger.told(ids, found, rows if recipe is None else recipe, self._engine)
            first_barren = self._barren and not self._warned
            if first_barren:
                self._warned = True
            self._before = None
        except BaseException:  # a user's `_update` failed, or Ctrl-C: nothing was told
            self._go_back(before)
            raise
        self._made_with = None
        if first_barren:
            self._warn()

    def _go_back(self, before: dict[str, Any]) -> None:
        """Return to the state before a `tell` that did not end."""
        self.__dict__ = before
        self._trim_history()

    def _after_fork(self) -> None:
        """End a call of a thread that this process does not have."""
        if is_lost(self._turn):
            if self._before is not None:
                self._go_back(self._before)
            give_turn(self)

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
        """Raise ValueError unless `_update` left a mean and sigma that fit; make them float64."""
        mean, sigma = self._mean, self._sigma
        if not getattr(mean, "shape", None) == getattr(sigma, "shape", None) == (self.n_params,):
            raise ValueError(
                f"_update of {type(self).__name__} must leave _mean and _sigma as arrays of shape "
                f"({self.n_params},), got {mean!r} and {sigma!r}."
            )
        if not mean.dtype == sigma.dtype == _DOUBLE:  # a user's `_update` may leave others
            mean, sigma = mean.astype(np.float64), sigma.astype(np.float64)
        self._mean, self._sigma = self._engine.vector(mean), self._engine.vector(sigma)

    def _keep_best(self, row: Array, fitness: float) -> None:
        if self.noisy or better(fitness, self.best.fitness, self.maximize):
            self.best = Best(self._engine.copy(row), fitness, self.generation, self.evaluations)

    def _count(self, rows: Array, fitness: Vector) -> None:
        """Count rows (k, n_params) that are too old to learn from; one of them may be the best."""
        with not_nested(self._turn):
            evaluations, best = self.evaluations + len(rows), self.best
            order = (-fitness if self.maximize else fitness).argsort(kind="stable")  # NaN last
            first = float(fitness[order[0]])
            if not self.noisy and better(first, best.fitness, self.maximize):
                best = Best(self._engine.copy(rows[order[0]]), first, self.generation, evaluations)
            history = self.history.copy()
            for name, value in (("evaluations", evaluations), ("best_so_far", best.fitness)):
                history[name] = [*history[name][:-1], value]
            vars(self).update(evaluations=evaluations, best=best, history=history)  # all at once

    def _trim_history(self) -> None:
        """Remove generations that were not told after all, and columns that only these have."""
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
        """Return the reasons to stop, as pairs (name, message).

        If you ignore them, `ask` still works.

        Every strategy has the reasons "target", "max_evaluations", "max_generations" and
        "nofitness", which means that the best fitness of each of the last ten generations was NaN
        or infinite.
        """
        with to_read(self._turn):
            whole = self if self._before is None else copy.copy(self)  # in the middle of a `tell`
            return whole._stop()

    def _stop(self) -> tuple[Reason, ...]:
        reached = stopping.limits(self, self.target, self.max_evaluations, self.max_generations)
        own = self._reasons() if self.generation else []
        return (*reached, *stopping.without_fitness(self), *own)

    def save(self, path: str | os.PathLike[str], task: object = None) -> None:
        """Write the whole state to exactly `path`, all or nothing, as an ``.npz`` without pickles.

        This works at any moment, also from a signal handler or another thread: in the middle of
        `ask` or `tell` it saves the state before or after. See `load`.

        Parameters
        ----------
        path : str or path
            An existing file keeps its mode, and a link stays a link. The data are on the disk when
            `save` returns.
        task : callable, optional
            A task whose learned state, its ``state()`` if it has one, is saved in the same file.

        Raises
        ------
        ValueError
            If `path` is not a path, or something other than a file is there. If your own strategy
            or task holds anything but numbers, text, arrays and containers of these.
        FileNotFoundError
            If the folder does not exist.

        Notes
        -----
        The file holds the first 10 and the last 100,000 generations of `history`, so that it does
        not grow for ever; no decision of a run depends on the others.

        `evolve` has an argument `checkpoint`, with which a run continues bit for bit; so does your
        own loop if it saves between generations. Between `ask` and `tell`, rows wait for their
        fitness. They can be told after `load`, but `evolve` asks for new rows, so the run takes
        another course, and `task` has already learned from rows that were never told.
        """
        saving.save(path, self, saving.state_of(task))
