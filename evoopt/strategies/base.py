"""What all strategies share: rows and their numbers, fitness, the best, limits, checkpoints."""

from __future__ import annotations

import hashlib
import logging
import math
import os
import secrets
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from evoopt.kernels import threads
from evoopt.kernels.cpu.fingerprint import fingerprint_rows
from evoopt.kernels.cpu.noise import sample_rows
from evoopt.kernels.jit import kernel_array
from evoopt.strategies import checkpoint
from evoopt.strategies.bounds import Box
from evoopt.strategies.ledger import FOREIGN, Drawn, Ids, Ledger
from evoopt.strategies.registry import plain_data

Array = NDArray[Any]
Vector = NDArray[np.float64]
Reason = tuple[str, str]

GRAIN = 20_000  # normal deviates worth waking a thread for
_log = logging.getLogger(__name__)


@plain_data
@dataclass
class Best:
    """The best row told so far; with ``noisy=True`` of the last generation only.

    Attributes
    ----------
    x : ndarray, shape (n_params,), or None
        A copy. None as long as no row was told that has a fitness.
    fitness : float
        In the user's sign; NaN while `x` is None.
    generation, evaluations : int
        When it was told: the first generation is 1.
    """

    _x: Array | None = None
    fitness: float = math.nan
    generation: int = 0
    evaluations: int = 0

    @property
    def x(self) -> Array | None:
        return None if self._x is None else self._x.copy()


class Told(NamedTuple):
    """The rows of one `tell`, as `Strategy._update` gets them.

    Attributes
    ----------
    population : ndarray, shape (popsize, n_params)
        In the space that the strategy searches in. May be the user's own array: not to be changed or kept.
    fitness : ndarray, shape (popsize,), float64
        Smaller is better, also if the user maximizes; NaN where there is none.
    order : ndarray of int, shape (popsize,)
        Best first, NaN last.
    outside : ndarray of bool, shape (popsize,), or None
        True for rows that were not drawn from the distribution as it is now: foreign or late ones. None if
        there are none.
    ids : ndarray of uint64, shape (popsize,)
        2**64 - 1 for foreign rows.
    drawn : list of (snapshot, places)
        Which rows were drawn from which `Strategy._snapshot`; foreign rows are in none.
    """

    population: Array
    fitness: Vector
    order: NDArray[np.intp]
    outside: NDArray[np.bool_] | None
    ids: Ids
    drawn: list[Drawn]


class Strategy(ABC):
    """The base of all strategies: ``ask`` gives a population, ``tell`` learns from its fitness.

    Parameters
    ----------
    mean : array_like, shape (n_params,)
        Where the search starts; copied.
    sigma : float or array_like, shape (n_params,)
        How far it looks at first: a standard deviation for all coordinates, or one for each.
    popsize : int, optional
        Rows of a population, at least 2.
    bounds : scipy.optimize.Bounds, sequence of n_params pairs, or one pair (low, high), optional
        A pair is of numbers, or of arrays (n_params,); None or inf is an open side, low == high fixes a
        coordinate. With two coordinates a sequence of two pairs is one pair for each.
    maximize : bool
        Whether larger fitness is better.
    noisy : bool
        Whether the fitness of a row changes when it is evaluated again.
    seed : int, optional
        At least 0. The same seed gives the same bits, for any number of threads; None takes one from the
        system.
    dtype : float32 or float64, optional
        Of the population. By default float32 if `mean` is float32, else float64.
    target, max_evaluations, max_generations : optional
        `stop` says so when `best` reaches this fitness, or so many rows or populations were told.

    Attributes
    ----------
    n_params, popsize, generation, evaluations, seed : int
    dtype : numpy.dtype
    best : Best
    history : dict of str to list
        For each generation: ``generation, evaluations, best, median, best_so_far, sigma``.

    Notes
    ----- A strategy of your own is a subclass with `_update`, decorated by `register` if it is to be saved.
    Its state is what it keeps in attributes; it moves ``self._mean`` and ``self._sigma`` (float64, shape
    (n_params,)) by replacing them. To draw rows otherwise than mean + sigma * normal deviates it also has
    `_snapshot` and `_sample`; `_reasons` adds to `stop`.

    Examples
    --------
    >>> import evoopt
    >>> import numpy as np
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

    _injects: ClassVar[bool] = True  # whether foreign rows may be told
    _memory: ClassVar[int] = 8  # older epochs that rows can be told for
    _reflects: ClassVar[bool] = False  # search in the box itself, not in the space that maps onto it

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
    ) -> None:
        start = _vector(mean)
        self.n_params = len(start)
        self.dtype = _row_dtype(mean, dtype)
        self._sigma = _positive(sigma, self.n_params)
        self.popsize = self._default_popsize() if popsize is None else _whole("popsize", popsize, 2)
        self._box = None if bounds is None else Box(bounds, self.n_params, self.dtype)
        if self._box is not None:
            if not self._box.contains(start):
                raise ValueError(
                    "A mean inside the bounds was expected, but it lies outside; move it or the bounds."
                )
            start = start if self._reflects else self._box.inverse(start)
        self._mean = start
        self.maximize, self.noisy = bool(maximize), bool(noisy)
        self.seed = secrets.randbits(64) if seed is None else _whole("seed", seed, 0)
        self._key = np.uint64(
            int.from_bytes(hashlib.blake2b(str(self.seed).encode(), digest_size=8).digest(), "little")
        )
        self.target = None if target is None else float(target)
        self.max_evaluations = (
            None if max_evaluations is None else _whole("max_evaluations", max_evaluations, 1)
        )
        self.max_generations = (
            None if max_generations is None else _whole("max_generations", max_generations, 1)
        )
        self.generation = self.evaluations = 0
        self.best = Best()
        names = ("generation", "evaluations", "best", "median", "best_so_far", "sigma")
        self.history: dict[str, list[Any]] = {name: [] for name in names}
        self._ledger = Ledger(self._memory)

    # ---------------------------------------------------------------- what a strategy of one's own defines

    @abstractmethod
    def _update(self, told: Told) -> None:
        """Learn from rows, at least one of them with a fitness."""

    def _snapshot(self, first_id: int) -> tuple[Any, ...]:
        """Return what `_sample` needs, as plain data that nobody changes later; `first_id` is the next row's."""
        return self._mean.astype(self.dtype), self._sigma.astype(self.dtype)

    def _sample(self, snapshot: tuple[Any, ...], ids: Ids, out: Array) -> None:
        """Write the rows `ids` into `out` (popsize, n_params): each a function of the seed, its id and the snapshot."""
        mean, sigma = snapshot
        threads.run(sample_rows, len(ids), self._key, ids, mean, sigma, out, grain=GRAIN // self.n_params + 1)

    def _reasons(self) -> Sequence[Reason]:
        """Return further reasons to stop."""
        return ()

    def _default_popsize(self) -> int:
        return 4 + int(3 * math.log(self.n_params))

    def _overall_sigma(self) -> float:
        """Return the step size as one number, for `history`."""
        return float(self._sigma.mean())

    # ---------------------------------------------------------------- rows

    def ask(self, out: Array | None = None) -> Array:
        """Return a population, yours to keep.

        Parameters
        ----------
        out : ndarray, shape (popsize, n_params), optional
            C-contiguous, of the strategy's dtype: the population is written there.

        Raises
        ------
        ValueError
            If `out` is another kind of array.
        """
        rows = self._buffer(self.popsize, out)
        ids = self.ask_ids()
        epoch = self._ledger.current
        if epoch is not None:
            self._make(epoch.snapshot, ids, rows)
        self._ledger.note_new(ids, _fingerprints(rows))
        return rows

    def ask_ids(self, n: int | None = None) -> Ids:
        """Return the numbers of `n` new rows (`popsize` by default), for `rows` and `tell`.

        Raises
        ------
        ValueError
            If `n` is not a whole number of at least 1.
        """
        n = self.popsize if n is None else _whole("n", n, 1)
        if self._ledger.current is None:
            self._ledger.open(self._snapshot(self._ledger.next_id))
        return self._ledger.hand_out(n)

    def rows(self, ids: ArrayLike, out: Array | None = None) -> Array:
        """Make rows that were asked for, in any order: the same bits wherever and with whatever others they
        are made.

        Parameters
        ----------
        ids : array_like of int, shape (k,)
            From `ask_ids`: of the time since the last update, or of the last few before that still wait for
            fitness.
        out : ndarray, shape (k, n_params), optional
            C-contiguous, of the strategy's dtype.

        Raises
        ------
        ValueError
            For ids that are not known, or an `out` of another kind.
        """
        ids = _id_vector(ids)
        groups = list(self._ledger.locate(ids))
        rows = self._buffer(len(ids), out)
        for epoch, where in groups:
            if isinstance(where, slice):
                self._make(epoch.snapshot, ids, rows)
            else:
                part = np.empty((len(where), self.n_params), self.dtype)
                self._make(epoch.snapshot, ids[where], part)
                rows[where] = part
        self._ledger.note(ids, _fingerprints(rows))
        return rows

    def _make(self, snapshot: tuple[Any, ...], ids: Ids, out: Array) -> None:
        """Write rows in the user's space."""
        self._sample(snapshot, ids, out)
        if self._box is not None:
            if self._reflects:
                self._box.reflect(out)
            else:
                self._box.transform(out)

    def _buffer(self, k: int, out: Array | None) -> Array:
        shape = (k, self.n_params)
        if out is None:
            return np.empty(shape, self.dtype)
        if not isinstance(out, np.ndarray) or out.shape != shape or out.dtype != self.dtype:
            came = f"{out.dtype} {out.shape}" if isinstance(out, np.ndarray) else type(out).__name__
            raise ValueError(f"An out array of {self.dtype} {shape} was expected, but {came} came.")
        if not (out.flags.c_contiguous and out.flags.writeable and out.flags.aligned):
            raise ValueError(
                "A C-contiguous and writable out array was expected; pass numpy.empty(shape, dtype)."
            )
        return out

    # ---------------------------------------------------------------- fitness

    def tell(self, population: ArrayLike, fitness: ArrayLike) -> None:
        """Learn from the fitness of rows: one update, whichever and however many they are.

        Parameters
        ----------
        population : array_like, shape (k, n_params), or ids of shape (k,)
            At least two rows. They teach what they are, so a row that was repaired counts as repaired; rows
            that were never asked for are foreign.
        fitness : array_like, shape (k,)
            NaN ranks worst and never wins. If all are NaN the search stays where it is.

        Raises
        ------
        ValueError
            For shapes that do not fit, ids that are unknown or told before, foreign rows that are not finite
            or out of bounds, or where the strategy cannot learn from such; the strategy is then as it was.
        """
        rows, ids = self._read_rows(population)
        values = _fitness(fitness, len(ids))
        if rows is None:
            rows = self._remake(ids, in_box=True)
        searched = rows if self._box is None or self._reflects else self._unbounded(rows, ids)
        if self.maximize:
            values = -values
        order = values.argsort(kind="stable")  # NaN last
        drawn, outside = self._ledger.tell(ids)
        self.generation += 1
        self.evaluations += len(ids)
        if math.isnan(values[order[0]]):
            _log.warning(
                "generation %d has no fitness but NaN; the search stays where it was", self.generation
            )
        else:
            self._keep_best(rows, values, order)
            self._update(Told(searched, values, order, outside, ids, drawn))
        self._record(values, order)

    def _read_rows(self, population: ArrayLike) -> tuple[Array | None, Ids]:
        """Return the told matrix, or None where ids were told, and the ids; changes nothing."""
        given = population if isinstance(population, np.ndarray) else np.asarray(population)
        if given.ndim == 1 and len(given) != 0 and given.dtype.kind in "iu":
            ids = _id_vector(given)
            _require_two(len(ids))
            self._ledger.check_untold(ids)
            return None, ids
        if given.ndim != 2 or given.shape[1] != self.n_params or given.dtype.kind not in "biuf":
            raise ValueError(
                f"A population of shape (k, {self.n_params}) or ids of shape (k,) were expected, but {given.dtype} "
                f"{given.shape} came."
            )
        _require_two(len(given))
        rows = kernel_array(given, self.dtype)
        ids = self._ledger.recognise(_fingerprints(rows))
        if ids is not self._ledger.last_ids:
            self._check_foreign(rows, ids)
        return rows, ids

    def _check_foreign(self, rows: Array, ids: Ids) -> None:
        foreign = np.flatnonzero(ids == FOREIGN)
        if not len(foreign):
            return
        if not self._injects:
            raise ValueError(
                f"{type(self).__name__} learns only from rows that it made, but {len(foreign)} of {len(ids)} were never "
                f"asked for or changed, the first of them row {foreign[0]}; tell rows as ask gave them."
            )
        for i in foreign:
            if not np.isfinite(rows[i]).all():
                raise ValueError(f"Finite rows were expected, but row {i} has NaN or infinite coordinates.")
            if self._box is not None and not self._box.contains(rows[i]):
                raise ValueError(
                    f"Rows inside the bounds were expected, but row {i} lies outside; move it into them."
                )

    def _remake(self, ids: Ids, in_box: bool) -> Array:
        """Make known rows again, in the user's space or in the unbounded one."""
        rows = np.empty((len(ids), self.n_params), self.dtype)
        for epoch, where in self._ledger.locate(ids):
            part = rows if isinstance(where, slice) else rows[where]
            make = self._make if in_box else self._sample
            make(epoch.snapshot, ids[where], part)
            if part is not rows:
                rows[where] = part
        return rows

    def _unbounded(self, rows: Array, ids: Ids) -> Array:
        """Return told rows in the unbounded space: known ones as they were before the box, foreign ones mapped back."""
        known = ids != FOREIGN
        if known.all():
            return self._remake(ids, in_box=False)
        result = np.empty_like(rows)
        result[known] = self._remake(ids[known], in_box=False)
        if self._box is not None:
            result[~known] = self._box.inverse(rows[~known])
        return result

    def _keep_best(self, rows: Array, values: Vector, order: NDArray[np.intp]) -> None:
        fitness = self._signed(values[order[0]])
        best = self.best.fitness
        if self.noisy or math.isnan(best) or (fitness > best if self.maximize else fitness < best):
            self.best = Best(rows[order[0]].copy(), fitness, self.generation, self.evaluations)

    def _signed(self, value: float) -> float:
        return float(-value if self.maximize else value)

    def _record(self, values: Vector, order: NDArray[np.intp]) -> None:
        history = self.history
        ranked = values[order].tolist()
        while ranked and math.isnan(ranked[-1]):
            ranked.pop()
        half = len(ranked) // 2
        if ranked:
            median = (
                ranked[half]
                if len(ranked) % 2 or math.isinf(ranked[half])
                else (ranked[half - 1] + ranked[half]) / 2
            )
        history["generation"].append(self.generation)
        history["evaluations"].append(self.evaluations)
        history["best"].append(self._signed(ranked[0]) if ranked else math.nan)
        history["median"].append(self._signed(median) if ranked else math.nan)
        history["best_so_far"].append(self.best.fitness)
        history["sigma"].append(self._overall_sigma())

    # ---------------------------------------------------------------- results

    @property
    def mean(self) -> Array:
        """The mean of the search distribution, in the user's space; a copy of shape (n_params,)."""
        row = self._mean.astype(self.dtype)[None]
        if self._box is not None:
            if self._reflects:
                self._box.reflect(row)
            else:
                self._box.transform(row)
        result: Array = row[0]
        return result

    @property
    def sigma(self) -> float | Vector:
        """The standard deviation in each coordinate, before bounds; a copy of shape (n_params,)."""
        return self._sigma.copy()

    @property
    def solution(self) -> Array:
        """What to use: the mean."""
        return self.mean

    def stop(self) -> tuple[Reason, ...]:
        """Return the reasons to stop as pairs (name, message), none at first; advice only, `ask` works on after it."""
        reasons: list[Reason] = []
        best = self.best.fitness
        if self.target is not None and (best >= self.target if self.maximize else best <= self.target):
            reasons.append(("target", f"fitness {best:g} has reached the target {self.target:g}"))
        if self.max_evaluations is not None and self.evaluations >= self.max_evaluations:
            reasons.append(("max_evaluations", f"{self.evaluations} rows were told"))
        if self.max_generations is not None and self.generation >= self.max_generations:
            reasons.append(("max_generations", f"{self.generation} populations were told"))
        if self.generation:
            reasons.extend(self._reasons())
        return tuple(reasons)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the whole state to exactly `path`, an ``.npz`` without pickles, all or nothing; see `load`.

        Raises
        ------
        ValueError
            If a strategy of one's own keeps something else than numbers, text, arrays and containers of
            these.
        """
        checkpoint.save(path, self)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(n_params={self.n_params}, popsize={self.popsize}, generation={self.generation}, "
            f"evaluations={self.evaluations}, best={self.best.fitness:g}, sigma={self._overall_sigma():g}, "
            f"seed={self.seed})"
        )


# -------------------------------------------------------------------- reading arguments


def _vector(mean: ArrayLike) -> Vector:
    try:
        vector = np.array(mean, np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"A mean of numbers was expected, but {mean!r} came.") from error
    if vector.ndim != 1 or not len(vector):
        raise ValueError(
            f"A mean of shape (n_params,) was expected, but an array of shape {vector.shape} came."
        )
    if not np.isfinite(vector).all():
        raise ValueError("A finite mean was expected, but it has NaN or infinite coordinates.")
    return vector


def _row_dtype(mean: ArrayLike, dtype: DTypeLike | None) -> np.dtype[Any]:
    if dtype is None:
        dtype = np.float32 if getattr(mean, "dtype", None) == np.float32 else np.float64
    result = np.dtype(dtype)
    if result not in (np.float32, np.float64):
        raise ValueError(f"A dtype of float32 or float64 was expected, but {result} came.")
    return result


def _positive(sigma: ArrayLike, n: int) -> Vector:
    try:
        vector = np.broadcast_to(np.asarray(sigma, np.float64), (n,)).copy()
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"A sigma that is a number or of shape ({n},) was expected, but {sigma!r} came."
        ) from error
    if not ((vector > 0) & np.isfinite(vector)).all():
        raise ValueError(f"A positive and finite sigma was expected, but {sigma!r} came.")
    return vector


def _whole(name: str, value: Any, least: int) -> int:
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer) or value < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, but {value!r} came.")
    return int(value)


def _require_two(k: int) -> None:
    if k < 2:
        raise ValueError(f"At least 2 rows were expected in a tell, but {k} came; evaluate more rows first.")


def _id_vector(ids: ArrayLike) -> Ids:
    given = np.asarray(ids)
    if given.ndim != 1 or given.dtype.kind not in "iu":
        raise ValueError(
            f"Ids of shape (k,), whole numbers, were expected, but {given.dtype} {given.shape} came."
        )
    if given.dtype.kind == "i" and len(given) and given.min() < 0:
        raise ValueError(f"Ids from ask_ids were expected, but {given.min()} came.")
    return kernel_array(given, np.uint64)


def _fitness(fitness: ArrayLike, k: int) -> Vector:
    given = np.asarray(fitness)
    if given.shape != (k,) or given.dtype.kind not in "biuf":
        raise ValueError(
            f"A fitness of shape ({k},), one number for each row, was expected, but {given.dtype} {given.shape} came."
        )
    return given.astype(np.float64, copy=False)


def _fingerprints(rows: Array) -> Ids:
    result = np.empty(len(rows), np.uint64)
    bits = rows.view(np.uint32)
    threads.run(fingerprint_rows, len(rows), bits, result, grain=200_000 // bits.shape[1] + 1)
    return result
