"""What all strategies share: rows and their numbers, fitness, the best, limits, checkpoints."""

from __future__ import annotations

import functools
import hashlib
import logging
import math
import os
import secrets
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, get_args

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from evoopt import arguments
from evoopt.calls import Called, option_names, refuse_unknown
from evoopt.compiling.arrays import kernel_array
from evoopt.devices.choose import HOST, population_ops, read_device
from evoopt.devices.interface.population import Ops
from evoopt.memory import available, require_memory
from evoopt.strategies.contract import checkpoint, fields, stopping
from evoopt.strategies.contract.bounds import Box
from evoopt.strategies.contract.epochs import Found, blocks, remake
from evoopt.strategies.contract.fields import Fields, Kind, Scope
from evoopt.strategies.contract.ledger import FOREIGN, Ledger
from evoopt.strategies.contract.stopping import Reason
from evoopt.strategies.contract.told import (
    Best,
    Told,
    best_and_median,
    better,
    new_history,
    remembered,
    stored_history,
    until,
)
from evoopt.types import Array, Device, Ids, Vector

_log = logging.getLogger(__name__)
_DOUBLE = np.dtype(np.float64)
_BYTES_OF_A_ROW = 64  # without its coordinates: the number, the fitness, the rank, and so on
_NO_STATE = ("_ops", "_before")  # of the device, found again by each copy; the state before a tell


def _read_ids(ids: ArrayLike) -> Ids:
    """Read numbers of rows, as kernels take them."""
    return kernel_array(arguments.id_vector(ids), np.uint64)


def _key_of(seed: int) -> np.uint64:
    """Return the key of the noise."""
    digest = hashlib.blake2b(str(seed).encode(), digest_size=8).digest()
    return np.uint64(int.from_bytes(digest, "little"))


class Strategy(Called, ABC):
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

    _stored: ClassVar[Fields] = {
        "device": fields.choice(*get_args(Device)),
        "n_params": fields.whole(1),
        "dtype": fields.choice(np.dtype(np.float32), np.dtype(np.float64)),
        **dict.fromkeys(("_mean", "_sigma"), fields.VECTOR),
        "popsize": fields.whole(2),
        "_box": fields.optional(fields.instance(Box)),
        "_widest": fields.optional(fields.VECTOR),
        **dict.fromkeys(("maximize", "noisy", "_warned"), fields.flag),
        "seed": fields.whole(0, math.inf),
        "_key": fields.scalar(np.uint64),
        "target": fields.optional(fields.number()),
        **dict.fromkeys(("max_evaluations", "max_generations"), fields.optional(fields.whole(1, math.inf))),
        **dict.fromkeys(("generation", "evaluations", "_barren"), fields.whole()),
        "best": fields.instance(Best),
        "history": stored_history,
        "_ledger": fields.instance(Ledger),
    }

    _drawn: ClassVar[Kind] = staticmethod(fields.tupled(fields.DRAWN, fields.DRAWN))  # of snapshots

    device: Device = "cpu"
    _injects: bool = True  # whether foreign rows may be told
    _memory: ClassVar[int] = 8  # older epochs that rows can be told for
    _needs_rows: ClassVar[bool] = True  # whether `_update` looks at the told rows
    _popsize_factor: int = 1  # which popsize is a multiple of
    _computes_on_device: bool = False  # with `_ops` alone; else on the host, and rows are copied
    _before: dict[str, Any] | None = None  # the attributes as they were, during a `tell`
    _widest: Vector | None = None  # the largest standard deviations that the bounds leave sense, (n_params,)
    _reflects: bool = False  # search in the box itself, not in the space that maps onto it

    def __init__(
        self,
        mean: ArrayLike,
        sigma: ArrayLike,
        *,
        popsize: int | None = None,
        bounds: Any = None,
        maximize: bool = False,
        noisy: bool = False,
        seed: int | None = None,
        dtype: DTypeLike | None = None,
        target: float | None = None,
        max_evaluations: int | None = None,
        max_generations: int | None = None,
        device: Device = "cpu",
        **options: Any,
    ) -> None:
        if options:
            refuse_unknown(type(self), options, option_names(type(self)) - options.keys())
        self.device = read_device(device)
        start = arguments.finite_vector(mean)
        self.n_params = len(start)
        self.dtype = arguments.row_dtype(mean, dtype)
        arguments.require_coordinates("mean", start, self.dtype)
        self._sigma = arguments.step_vector(sigma, self.n_params, self.dtype)
        self.popsize = self._default_popsize() if popsize is None else self._read_popsize(popsize)
        self._box = None if bounds is None else Box(bounds, self.n_params, self.dtype, self._reflects)
        self._mean = start if self._box is None else self._box.inverse(start, "mean")
        if self._box is not None:
            self._widest = self._box.widest
        self.maximize, self.noisy = arguments.flag("maximize", maximize), arguments.flag("noisy", noisy)
        self.seed = secrets.randbits(64) if seed is None else arguments.whole("seed", seed, 0)
        self._key = _key_of(self.seed)
        self.target = None if target is None else arguments.number("target", target)
        self.max_evaluations = arguments.optional_whole("max_evaluations", max_evaluations, 1)
        self.max_generations = arguments.optional_whole("max_generations", max_generations, 1)
        self.generation = self.evaluations = 0
        self._barren = 0  # last generations without a finite fitness as their best
        self._warned = False  # of such a generation
        self.best = Best()
        self.history = new_history()
        self._ledger = Ledger(self._memory)

    @functools.cached_property
    def _ops(self) -> Ops:
        """The operations of its device."""
        return population_ops(self.device, computes_there=self._computes_on_device)

    def __getstate__(self) -> dict[str, Any]:
        """Return the state before or after a `tell`, whole, at any moment and from any thread."""
        state = vars(self).copy()
        state = state.get("_before") or state
        state = {name: value for name, value in state.items() if name not in _NO_STATE}
        return state | {"history": until(state["history"], state["generation"])}

    def _saved_state(self) -> dict[str, Any]:
        """Return the state that a checkpoint holds."""
        state = self.__getstate__()
        return state | {"history": remembered(state["history"])}

    def _require_fit(self, place: str, scope: Scope) -> None:
        """Raise ValueError unless attributes that come from a file fit each other, see `fields`."""
        fields.require(self._key == _key_of(self.seed), f"{place}.seed", "the seed of its noise", self.seed)
        fits = self.popsize % self._popsize_factor == 0
        fields.require(fits, f"{place}.popsize", f"a multiple of {self._popsize_factor}", self.popsize)
        row = self.n_params * self.dtype.itemsize if self._needs_rows else 0
        fits = self.popsize * max(row, _BYTES_OF_A_ROW) <= available()
        fields.require(fits, f"{place}.popsize", "rows that fit into memory", self.popsize)

    def _snapshot_kind(self) -> Kind:
        """Return the kind of snapshots; of any tuples where a class of the user's makes them."""
        makers = (cls for cls in type(self).__mro__ if "_snapshot" in vars(cls))
        own = vars(next(makers)).get("_stored_snapshot")
        return fields.items(tuple, fields.anything) if own is None else own.__func__

    # ---------------------------------------------------------------- what a strategy of one's own defines

    @abstractmethod
    def _update(self, told: Told) -> None:
        """Learn from rows, at least one of them with a fitness."""

    def _snapshot(self, first_id: int) -> tuple[Any, ...]:
        """Return what `_sample` needs, plain data that nobody changes later; `first_id` is the next row's."""
        return self._ops.snapshot(self._mean, self.dtype), self._ops.snapshot(self._sigma, self.dtype)

    @staticmethod
    def _stored_snapshot(value: Any, place: str, scope: Scope) -> None:
        """Take snapshots from a file, see `fields`."""
        scope.owner._drawn(value, place, scope)

    def _sample(self, snapshot: tuple[Any, ...], ids: Ids, out: Array) -> None:
        """Write rows into `out` (k, n_params), each a function of the seed, its id and the snapshot."""
        mean, sigma = snapshot
        self._ops.sample(self._key, ids, mean, sigma, out)

    def _reasons(self) -> Sequence[Reason]:
        """Return further reasons to stop."""
        return ()

    def _default_popsize(self) -> int:
        return 4 + int(3 * math.log(self.n_params))

    def _read_popsize(self, popsize: Any) -> int:
        result, factor = arguments.whole("popsize", popsize, 2), self._popsize_factor
        require_memory("A population", _BYTES_OF_A_ROW * result, f"{result:,} rows", "take a smaller popsize")
        if result % factor:
            raise ValueError(
                f"popsize of {type(self).__name__} must be a multiple of {factor}, as rows {factor}k to "
                f"{factor}k + {factor - 1} belong together, got {result}; take {result + -result % factor}."
            )
        return result

    def _overall_sigma(self) -> float:
        """Return the step size as one number, for `history`."""
        mean: float = self._ops.range_of(self._sigma).mean
        return mean

    def _measures(self) -> dict[str, float]:
        """Return further columns of `history`, which cost little: the same names in each generation."""
        return {}

    # ---------------------------------------------------------------- rows

    def ask(self, out: Array | None = None) -> Array:
        """Return a population, yours to keep.

        Parameters
        ----------
        out : array, shape (popsize, n_params), optional
            C-contiguous, of the strategy's dtype and device: the population is written there.

        Raises
        ------
        ValueError
            If `out` is another kind of array.
        """
        ops, k = self._ops, self.popsize
        out, rows = ops.output(out, (k, self.n_params), self.dtype)
        ledger = self._asked(k)
        ledger.make_newest(self._make, rows, ops)
        population: Array = ops.handed(out, rows)
        self._ledger = ledger
        return population

    def ask_ids(self, n: int | None = None) -> Ids:
        """Return the numbers of `n` new rows (`popsize` by default), for `rows` and `tell`.

        Raises
        ------
        ValueError
            If `n` is not a whole number of at least 1.
        """
        n = self.popsize if n is None else arguments.whole("n", n, 1)
        require_memory("ask_ids", _BYTES_OF_A_ROW * n, f"{n:,} ids", "ask for fewer at a time")
        self._ledger = self._asked(n)
        return self._ledger.newest.copy()

    def _asked(self, n: int) -> Ledger:
        """Return the ledger after `n` more rows were asked for."""
        ledger = self._ledger
        if ledger._current is not None:  # an epoch is open
            return ledger.asked(n)
        self._get_ready(ledger)
        return ledger.asked(n, self._snapshot(ledger.next_id))

    def _get_ready(self, ledger: Ledger) -> None:
        """Change the form of the state, before a snapshot, and nothing else; `ledger` knows who waits."""

    def rows(self, ids: ArrayLike, out: Array | None = None) -> Array:
        """Make rows that were asked for, in any order and company: always the same bits.

        Parameters
        ----------
        ids : array_like of int, shape (k,)
            From `ask_ids`: of the time since the last update, or of the last few before that still wait for
            fitness.
        out : array, shape (k, n_params), optional
            C-contiguous, of the strategy's dtype and device.

        Raises
        ------
        ValueError
            For ids that are not known, or an `out` of another kind.
        """
        numbers = _read_ids(ids)
        ledger, ops = self._ledger, self._ops
        found = ledger.locate(numbers)
        out, rows = ops.output(out, (len(numbers), self.n_params), self.dtype, ids)
        remake(numbers, found, self._make, rows, ops)
        ledger.note(numbers, found, rows, ops)
        made: Array = ops.handed(out, rows)
        return made

    def _make(self, snapshot: tuple[Any, ...], ids: Ids, out: Array) -> None:
        """Write rows in the user's space."""
        self._sample(snapshot, ids, out)
        if self._box is not None:
            self._ops.enclose(self._box, out)

    # ---------------------------------------------------------------- fitness

    def tell(self, population: ArrayLike, fitness: ArrayLike) -> None:
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
        values = arguments.fitness_vector(self._ops.host(fitness), len(ids))
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
            scores = self._ops.scores(None if self.maximize else fitness, values)
            self._learn(Told(searched, values, order, outside, ids, drawn, scores), best)
            self._ledger = self._ledger.told(ids, found, rows, self._ops)
            first_barren = self._barren and not self._warned
            if first_barren:
                self._warned = True
            self._before = None
        except BaseException:  # of a strategy of the user's own, or Ctrl-C: this generation was not told
            self.__dict__ = before
            self._trim_history()
            raise
        if first_barren:
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
        self._mean, self._sigma = self._ops.vector(mean), self._ops.vector(sigma)

    def _read_rows(self, population: ArrayLike) -> tuple[Array | None, Ids]:
        """Return the told rows, in the user's space, None if ids came, and their ids; changes nothing."""
        given = self._ops.given(population)
        told_ids = given.ndim == 1 and given.dtype.kind in "iu"
        told_rows = given.ndim == 2 and given.shape[1] == self.n_params and given.dtype.kind in "biuf"
        if not told_ids and not told_rows:
            raise ValueError(
                f"A population of shape (k, {self.n_params}) or ids of shape (k,) were expected, but "
                f"{given.dtype} {given.shape} came."
            )
        if len(given) < 2:
            raise ValueError(f"At least 2 rows were expected, but {len(given)} came; evaluate more rows.")
        if told_ids:
            ids = _read_ids(given)
            self._ledger.check_waiting(ids)
            return None, ids
        rows = self._ops.rows(given, self.dtype)
        ids = self._ledger.recognise(rows, self._make, self._ops)
        if not self._ledger.is_newest(ids):
            self._check_foreign(rows, ids)
        return rows, ids

    def _check_foreign(self, rows: Array, ids: Ids) -> None:
        foreign = np.flatnonzero(ids == FOREIGN)
        if len(foreign) and not self._injects:
            raise ValueError(
                f"{type(self).__name__} learns only from rows that it made, but {len(foreign)} of {len(ids)} "
                f"were changed or never asked for, the first of them row {foreign[0]}; tell others."
            )
        for places in blocks(foreign, self.n_params):
            part = self._ops.take(rows, places)
            infinite = places[~np.isfinite(part).all(axis=1)]
            if len(infinite):
                raise ValueError(
                    f"Finite rows were expected, but row {infinite[0]} has NaN or infinite coordinates."
                )
            if self._box is not None:
                self._box.require_inside(part, "population")

    def _made_again(self, ids: Ids) -> Array:
        rows: Array = self._ops.empty((len(ids), self.n_params), self.dtype)
        remake(ids, self._ledger.locate(ids), self._make, rows, self._ops)
        return rows

    def _searched(self, rows: Array | None, ids: Ids, found: list[Found]) -> Array:
        """Return told rows in the space that is searched; none for a strategy that does not look at them."""
        if rows is None or not self._needs_rows:
            return np.empty((0, self.n_params), self.dtype)
        box = self._box
        return rows if box is None or self._reflects else self._unbounded(box, rows, ids, found)

    def _unbounded(self, box: Box, rows: Array, ids: Ids, found: list[Found]) -> Array:
        """Return told rows in the unbounded space: known ones as drawn, foreign ones mapped back."""
        result: Array = self._ops.empty(rows.shape, self.dtype)
        remake(ids, found, self._sample, result, self._ops)
        for places in blocks(np.flatnonzero(ids == FOREIGN), self.n_params):
            self._ops.put(result, places, box.inverse(self._ops.take(rows, places), "population"))
        return result

    def _keep_best(self, row: Array, fitness: float) -> None:
        if self.noisy or better(fitness, self.best.fitness, self.maximize):
            self.best = Best(self._ops.copy(row), fitness, self.generation, self.evaluations)

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

    # ---------------------------------------------------------------- results

    @property
    def mean(self) -> Array:
        """The mean of the search distribution, in the user's space; a copy of shape (n_params,), here.

        (As `sigma`, `solution` and ``best.x``: in the host's memory, whatever the device.)
        """
        return self._enclosed(self._ops.host(self._mean).astype(self.dtype))

    def _enclosed(self, row: Array) -> Array:
        """Return a row of the host, mapped into the box in place."""
        if self._box is not None:
            HOST.enclose(self._box, row[None])
        return row

    @property
    def sigma(self) -> float | Vector:
        """The standard deviation in each coordinate, before bounds; a copy of shape (n_params,)."""
        return np.array(self._ops.host(self._sigma))

    @property
    def solution(self) -> Array:
        """What to use: the mean."""
        return self.mean

    def stop(self) -> tuple[Reason, ...]:
        """Return reasons to stop, pairs (name, message), none at first; advice only: `ask` works on.

        Those of every strategy are "target", "max_evaluations", "max_generations" and "nofitness": the best
        fitness of each of the last ten generations was NaN or infinite.
        """
        reasons = stopping.limits(self)
        return tuple([*reasons, *self._reasons()] if self.generation else reasons)

    def save(self, path: str | os.PathLike[str], task: Any = None) -> None:
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
        checkpoint.save(path, self, task)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(n_params={self.n_params}, popsize={self.popsize}, seed={self.seed}, "
            f"generation={self.generation}, best={self.best.fitness:g}, sigma={self._overall_sigma():g})"
        )
