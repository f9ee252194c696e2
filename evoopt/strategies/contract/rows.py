"""The rows of a strategy: asked for, made again from their ids, and recognised when told."""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from evoopt import arguments
from evoopt.compiling.arrays import kernel_array
from evoopt.devices.interface.population import Recipe
from evoopt.memory import require_memory
from evoopt.strategies.contract import fields
from evoopt.strategies.contract.bounds import Box
from evoopt.strategies.contract.epochs import Found, chunks, remake
from evoopt.strategies.contract.fields import Kind, Scope
from evoopt.strategies.contract.ledger import FOREIGN, Ledger
from evoopt.strategies.contract.space_box import SpaceBox
from evoopt.strategies.contract.state import BYTES_OF_A_ROW, State
from evoopt.strategies.contract.turns import not_nested, to_read
from evoopt.types import Array, Ids, PopulationLike

FEW = 2**16  # numbers; more are drawn again in `tell` instead of kept


class Rows(State):
    """The half of a strategy that makes rows: functions of the seed, their id and a snapshot."""

    _latent: tuple[Ids, Array] | None = None  # the newest ids, and their few rows as drawn
    _drawn: ClassVar[Kind] = staticmethod(fields.tupled(fields.DRAWN, fields.DRAWN))  # its snapshots

    def _snapshot(self, first_id: int) -> tuple[Any, ...]:
        """Return plain data for `_sample`, never changed later; `first_id` is the next row's id."""
        return self._engine.snapshot(self._mean, self.dtype), self._engine.snapshot(self._sigma, self.dtype)

    @staticmethod
    def _stored_snapshot(value: object, place: str, scope: Scope) -> None:
        """Check a snapshot from a file, see `fields`."""
        scope.owner._drawn(value, place, scope)

    def _snapshot_kind(self) -> Kind:
        """Return the kind of the snapshots: any tuple if a user's class makes them."""
        makers = (cls for cls in type(self).__mro__ if "_snapshot" in vars(cls))
        own = vars(next(makers)).get("_stored_snapshot")
        return fields.items(tuple, fields.anything) if own is None else own.__func__

    def _sample(self, snapshot: tuple[Any, ...], ids: Ids, out: Array) -> None:
        """Write rows into `out` (k, n_params): functions of the seed, their id and the snapshot."""
        mean, sigma = snapshot
        self._engine.sample(self._key, ids, mean, sigma, out, self._pairs)

    def _recipe(self, ids: Ids, found: list[Found]) -> Recipe | None:
        """Return told rows of the open epoch for `_update`; None if it needs them made."""
        epoch, where = found[0]
        classes = type(self).__mro__
        owner: Any = next(cls for cls in classes if "_sums_rows" in vars(cls))
        users = set(classes) - set(owner.__mro__)  # which may draw other rows
        sums = owner._sums_rows and not any({"_sample", "_make"} & vars(cls).keys() for cls in users)
        if self._box is not None or not sums or not isinstance(where, slice):
            return None
        mean, sigma = epoch.snapshot[:2]
        return Recipe(self._engine, self._key, ids, mean, sigma, self._pairs, self.dtype)

    def _make(self, snapshot: tuple[Any, ...], ids: Ids, out: Array) -> None:
        """Write rows in the user's space into `out` (k, n_params)."""
        self._sample(snapshot, ids, out)
        if self._box is not None:
            self._box.enclose(out, self._engine)

    def _make_newest(self, snapshot: tuple[Any, ...], ids: Ids, out: Array) -> None:
        """Write rows as `_make` does; keep a few of them as they were drawn, for `tell`."""
        self._sample(snapshot, ids, out)
        if self._box is not None:
            is_kept = not self._reflects and isinstance(out, np.ndarray) and out.size <= FEW
            self._latent = (ids, out.copy()) if is_kept else None
            self._box.enclose(out, self._engine)

    # ---------------------------------------------------------------- asking

    def ask(self, out: Array | None = None) -> Array:
        """Return a new population, yours to keep.

        Parameters
        ----------
        out : array, shape (popsize, n_params), optional
            A C-contiguous array of the strategy's dtype and device that the population is written
            into.

        Raises
        ------
        ValueError
            If `out` is another kind of array.
        """
        engine = self._engine
        with not_nested(self._turn):
            k = self.popsize
            out, rows = engine.output(out, (k, self.n_params), self.dtype)
            ledger = self._asked(k)
            ledger.make_newest(self._make_newest, rows, engine)
            population: Array = engine.handed(out, rows)
            self._ledger = ledger
        return population

    def ask_ids(self, n: int | None = None) -> Ids:
        """Return the ids of `n` new rows (`popsize` by default), for `rows` and `tell`.

        Raises
        ------
        ValueError
            If `n` is not a whole number of at least 1.
        """
        with not_nested(self._turn):
            n = self.popsize if n is None else arguments.whole("n", n, 1)
            require_memory("ask_ids", BYTES_OF_A_ROW * n, f"{n:,} ids", "ask for fewer at a time")
            self._ledger = ledger = self._asked(n)
        return ledger.newest.copy()

    def _asked(self, n: int) -> Ledger:
        """Return the ledger after `n` more rows were asked for."""
        ledger = self._ledger
        if ledger._current is not None:  # an epoch is open
            return ledger.asked(n)
        self._get_ready(ledger)
        return ledger.asked(n, self._snapshot(ledger.next_id))

    def _get_ready(self, ledger: Ledger) -> None:
        """Carry out postponed work before a snapshot; `ledger` knows which rows wait."""

    def rows(self, ids: ArrayLike, out: Array | None = None) -> Array:
        """Return rows by their ids, in any order; a row always has the same bits.

        Parameters
        ----------
        ids : array_like of int, shape (k,)
            Ids from `ask_ids`, handed out since the last update, or a few updates before if they
            still wait for their fitness.
        out : array, shape (k, n_params), optional
            A C-contiguous array of the strategy's dtype and device for the rows.

        Raises
        ------
        ValueError
            If an id is not known, or `out` is another kind of array.
        """
        numbers, engine = _read_ids(ids), self._engine
        with to_read(self._turn):
            ledger = self._ledger
            found = ledger.locate(numbers)
            out, rows = engine.output(out, (len(numbers), self.n_params), self.dtype, ids)
            remake(numbers, found, self._make, rows, engine)
            ledger.note(numbers, found, rows, engine)
        made: Array = engine.handed(out, rows)
        return made

    # ---------------------------------------------------------------- rows that are told

    def _read_rows(self, population: PopulationLike) -> tuple[Array | None, Ids]:
        """Return the told rows in the user's space, None if ids were passed, and their ids."""
        given = self._engine.given(population)
        told_ids = given.ndim == 1 and given.dtype.kind in "iu"
        told_rows = given.ndim == 2 and given.shape[1] == self.n_params and given.dtype.kind in "biuf"
        if not told_ids and not told_rows:
            raise ValueError(
                f"population must have the shape (k, {self.n_params}), or be ids of shape (k,), got "
                f"{given.dtype} {given.shape}."
            )
        if len(given) < 2:
            raise ValueError(f"population must have at least 2 rows, got {len(given)}; evaluate more rows.")
        if told_ids:
            ids = _read_ids(given)
            self._ledger.check_waiting(ids)
            return None, ids
        rows = self._engine.rows(given, self.dtype)
        repeats = isinstance(self._box, SpaceBox) and len(self._box.whole[0]) > 0
        ids = self._ledger.recognise(rows, self._make, self._engine, repeats=repeats)
        if not self._ledger.is_newest(ids):
            self._check_foreign(rows, ids)
        return rows, ids

    def _check_foreign(self, rows: Array, ids: Ids) -> None:
        foreign = np.flatnonzero(ids == FOREIGN)
        if len(foreign) and not self._injects:
            raise ValueError(
                f"{type(self).__name__} learns only from rows that it made, but {len(foreign)} of {len(ids)} "
                f"were changed or never asked for, the first of them row {foreign[0]}; tell unchanged rows."
            )
        for places in chunks(foreign, self.n_params):
            part = self._engine.take(rows, places)
            infinite = places[~np.isfinite(part).all(axis=1)]
            if len(infinite):
                raise ValueError(
                    f"Rows must be finite, but row {infinite[0]} has NaN or infinite coordinates."
                )
            if self._box is not None:
                self._box.require_inside(part, "population")

    def _made_again(self, ids: Ids) -> Array:
        rows: Array = self._engine.empty((len(ids), self.n_params), self.dtype)
        remake(ids, self._ledger.locate(ids), self._make, rows, self._engine)
        return rows

    def _searched(self, rows: Array | None, ids: Ids, found: list[Found]) -> Array:
        """Return told rows in the search space, or no rows if the strategy learns from ids."""
        if rows is None or not self._needs_rows:
            return np.empty((0, self.n_params), self.dtype)
        box = self._box
        if box is None or (self._reflects and self.space is None):
            return rows
        return self._as_searched(box, rows, ids, found)

    def _as_searched(self, box: Box, rows: Array, ids: Ids, found: list[Found]) -> Array:
        """Return told rows as they are searched: own rows as drawn, foreign ones mapped back."""
        if self._latent is not None and self._latent[0] is ids:
            return self._latent[1]
        result: Array = self._engine.empty(rows.shape, self.dtype)
        remake(ids, found, self._draw, result, self._engine)
        for places in chunks(np.flatnonzero(ids == FOREIGN), self.n_params):
            part, near = self._engine.take(rows, places), self._searched_mean()
            self._engine.put(result, places, box.inverse(part, "population", near))
        return result

    def _draw(self, snapshot: tuple[Any, ...], ids: Ids, out: Array) -> None:
        """Write rows in the space that is searched into `out` (k, n_params)."""
        self._sample(snapshot, ids, out)
        if self._box is not None and self._reflects:
            self._engine.enclose(self._box, out)


def _read_ids(ids: ArrayLike) -> Ids:
    """Read ids as an array for kernels."""
    return kernel_array(arguments.id_vector(ids), np.uint64)
