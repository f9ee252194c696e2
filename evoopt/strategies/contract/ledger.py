"""The ledger of rows that were asked for: their ids, their epochs, and which were told."""

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from evoopt.devices.interface.population import Engine, Recipe
from evoopt.strategies.contract.epochs import ALL, Epoch, Found
from evoopt.strategies.contract.fields import Fields, Scope, array, instance, items, optional, require, whole
from evoopt.strategies.contract.registry import plain_data
from evoopt.types import Array, Ids

REMEMBERED = 8  # updates whose told rows are recognised later
FOREIGN = np.uint64(2**64 - 1)  # stands for the id of a row that was never asked for
_NO_EPOCHS: list[Epoch] = []
_NO_FINGERPRINTS: list[Any] = []


@plain_data
class Ledger:
    """The epochs that rows can still be told for: the current one, and up to `memory` older ones.

    A ledger is a value, like an `Epoch`: `asked` and `told` return a new one. Only fingerprints are
    written in place.
    """

    _stored: ClassVar[Fields] = {
        "memory": whole(),
        "next_id": whole(),
        "_current": optional(instance(Epoch)),
        "_older": items(list, instance(Epoch)),
        "_newest": optional(array("newest", dtype=np.uint64)),
        "_newest_fingerprints": optional(array("newest", dtype=np.uint64)),
        "_told_fingerprints": items(list, array(None, dtype=np.uint64), REMEMBERED),
    }

    def __init__(
        self,
        memory: int,
        next_id: int = 0,
        current: Epoch | None = None,
        older: list[Epoch] = _NO_EPOCHS,
        newest: Ids | None = None,
        told_fingerprints: list[Any] = _NO_FINGERPRINTS,
    ) -> None:
        self.memory = memory
        self.next_id = next_id
        self._current, self._older = current, older
        # the ids handed out last, and the fingerprints of their rows once made; None after `told`
        self._newest = newest
        self._newest_fingerprints: Any = None  # stay on the device, so that nobody waits for a copy
        # fingerprints of the rows told in each of the last updates, oldest first; 0 if not made
        self._told_fingerprints = told_fingerprints

    @property
    def current(self) -> Epoch:
        """The epoch that ids are handed out from."""
        if self._current is None:
            raise RuntimeError("No epoch is open.")
        return self._current

    @property
    def newest(self) -> Ids:
        """The ids handed out last; not to be changed."""
        if self._newest is None:
            raise RuntimeError("No ids were handed out since the last update.")
        return self._newest

    def asked(self, n: int, snapshot: tuple[Any, ...] = ()) -> "Ledger":
        """Return the ledger with `n` more ids, in a new epoch of `snapshot` if none is open."""
        self._note_down()
        first, stop, epoch = self.next_id, self.next_id + n, self._current
        epoch = Epoch(snapshot, first, stop, n) if epoch is None else epoch.asked(n)
        newest = np.arange(first, stop, dtype=np.uint64)
        return Ledger(self.memory, stop, epoch, self._older, newest, self._told_fingerprints)

    def __getstate__(self) -> dict[str, Any]:
        self.settle()
        return vars(self).copy()

    def settle(self) -> None:
        """Carry out postponed writes, so that a state looks the same however it was reached."""
        for epoch in self.epochs():
            epoch.make_room()
        self._note_down()

    def _note_down(self) -> None:
        if self._newest is not None and self._newest_fingerprints is not None:
            epoch = self.current
            epoch.fingerprints[epoch.places(self._newest)] = np.asarray(self._newest_fingerprints)

    def _require_fit(self, place: str, scope: Scope) -> None:
        ends = [end for epoch in self.epochs() for end in (epoch.start, epoch.stop)]
        require(ends == sorted(ends), place, "of epochs one after the other", ends)
        require(len(self._older) <= self.memory, f"{place}._older", f"at most {self.memory} epochs", ends)
        last = ends[-1] if self._current is not None else self.next_id
        require(max([0, *ends]) <= self.next_id == last, f"{place}.next_id", "behind all ids", self.next_id)
        if self._newest is None:
            require(self._newest_fingerprints is None, place, "without newest fingerprints", ends)
            return
        first = self.next_id - len(self._newest)
        require(self._current is not None and first >= self._current.start, place, "of an open epoch", ends)
        expected = np.arange(first, self.next_id, dtype=np.uint64)
        require(np.array_equal(self._newest, expected), f"{place}._newest", "the last ids", self._newest)

    def note(self, ids: Ids, found: list[Found], rows: Array, engine: Engine) -> None:
        """Note the fingerprints of rows that were made; `found` is from `locate`."""
        if self._newest is not None and np.array_equal(ids, self._newest):
            self._newest_fingerprints = engine.fingerprints(rows)  # most likely they are told next
            return
        fingerprints = engine.host(engine.fingerprints(rows))
        for epoch, where in found:
            epoch.fingerprints[epoch.places(ids[where])] = fingerprints[where]

    def make_newest(self, make: Callable[..., None], rows: Array, engine: Engine) -> None:
        """Make rows of the newest ids by `make(snapshot, ids, out)`; note their fingerprints."""
        if self._current is None or self._newest is None:
            raise RuntimeError("No ids were handed out since the last update.")
        make(self._current.snapshot, self._newest, rows)
        self._newest_fingerprints = engine.fingerprints(rows)

    def locate(self, ids: Ids) -> list[Found]:
        """Return each epoch that has some of `ids`, with their places in `ids`.

        Raises
        ------
        ValueError
            If an id was never handed out, or its epoch is forgotten.
        """
        epoch = self._current
        if epoch is not None and len(ids) and ids.min() >= epoch.start and ids.max() < epoch.stop:
            return [(epoch, ALL)]
        found: list[Found] = []
        known = np.zeros(len(ids), np.bool_)
        for epoch in self.epochs():
            inside = (ids >= epoch.start) & (ids < epoch.stop)
            if inside.any():
                known |= inside
                found.append((epoch, np.flatnonzero(inside)))
        if not known.all():
            self._refuse(int(ids[~known][0]))
        return found

    def epochs(self) -> list[Epoch]:
        """Return all known epochs, oldest first."""
        return self._older if self._current is None else [*self._older, self._current]

    def _refuse(self, number: int) -> None:
        if number >= self.next_id:
            raise ValueError(
                f"Ids must be of rows that were asked for, got {number}, but the next one to be handed out "
                f"is {self.next_id}; take ids from ask_ids."
            )
        raise ValueError(
            f"Ids must be of the last {self.memory} updates, but id {number} is forgotten: older, "
            "told with all its generation, or never handed out; ask for new rows."
        )

    def check_waiting(self, ids: Ids) -> None:
        """Raise ValueError unless all `ids` are known, wait for their fitness and differ."""
        unique, counts = np.unique(ids, return_counts=True)
        if len(unique) < len(ids):
            twice = int(unique[np.argmax(counts > 1)])
            raise ValueError(
                f"Each row must be told once, but id {twice} is told several times; tell it once."
            )
        for epoch, where in self.locate(ids):
            told = epoch.told[epoch.places(ids[where])]
            if told.any():
                number = int(ids[where][np.argmax(told)])
                raise ValueError(f"Rows must wait for their fitness, but id {number} was told before.")

    def recognise(
        self, rows: Array, make: Callable[..., None], engine: Engine, *, repeats: bool = False
    ) -> Ids:
        """Return the ids of rows that wait for their fitness, FOREIGN for others.

        Waiting rows that were not made yet are made by `make(snapshot, ids, out)` if needed. Of
        equal rows that wait, the one asked for first is told first. With `repeats` a row that
        equals one that was told is foreign.

        Raises
        ------
        ValueError
            If a row was told in one of the last updates, and no equal one waits.
        """
        fingerprints = engine.host(engine.fingerprints(rows))
        newest, made = self._newest, self._newest_fingerprints
        if newest is not None and made is not None:
            if fingerprints.tobytes() == engine.host(made).tobytes():
                return newest
            self.settle()
        waiting: dict[int, list[int]] = {}
        for epoch in self.epochs():
            _append(waiting, *epoch.waiting_rows())
        if any(fingerprint not in waiting for fingerprint in fingerprints.tolist()):
            for epoch in self.epochs():
                ids, made = epoch.waiting_rows()
                ids = ids[made == 0]
                for start in range(0, len(ids), len(rows)):
                    chunk = ids[start : start + len(rows)]
                    out = engine.empty((len(chunk), rows.shape[1]), rows.dtype)
                    make(epoch.snapshot, chunk, out)
                    _append(waiting, chunk, engine.host(engine.fingerprints(out)))
        foreign = int(FOREIGN)
        candidates = (waiting.get(fingerprint) for fingerprint in fingerprints.tolist())
        found = np.array([same.pop(0) if same else foreign for same in candidates], np.uint64)
        if not repeats:
            self._check_untold(fingerprints, found == FOREIGN, waiting, engine)
        return found

    def _check_untold(
        self, fingerprints: Ids, foreign: NDArray[np.bool_], waited: dict[int, list[int]], engine: Engine
    ) -> None:
        """Raise ValueError if foreign rows were told before, unless they equal rows that waited."""
        if not (foreign.any() and self._told_fingerprints):
            return
        told = np.concatenate([engine.host(some) for some in self._told_fingerprints])
        again = np.flatnonzero(foreign & np.isin(fingerprints, told))
        again = again[[fingerprint not in waited for fingerprint in fingerprints[again].tolist()]]
        if len(again):
            raise ValueError(
                f"Rows from ask must be told once, got {len(again)} of {len(fingerprints)} that were told "
                f"before, the first of them row {again[0]}; leave them out, or ask for new rows."
            )

    def find(self, ids: Ids) -> tuple[list[Found], NDArray[np.bool_] | None]:
        """Return the epochs of rows that are told, and which of the rows are foreign or late.

        Returns
        -------
        found : list of (epoch, places in `ids`)
            The epochs of the rows that are not foreign.
        outside : ndarray of bool, shape (popsize,), or None
            True for foreign and late rows, which the present distribution did not draw; None if
            there are none.
        """
        if self.is_newest(ids):
            return [(self.current, ALL)], None
        known = np.flatnonzero(ids != FOREIGN)
        found = self.locate(ids[known])
        if len(known) < len(ids):
            found = [(epoch, known[where]) for epoch, where in found]
        outside = np.ones(len(ids), np.bool_)
        for epoch, where in found:
            outside[where] = epoch is not self._current
        return found, outside if outside.any() else None

    def is_newest(self, ids: Ids) -> bool:
        """Return whether these are the newest ids, as `recognise` returns them, all waiting."""
        return ids is self._newest

    def told(self, ids: Ids, found: list[Found], rows: Array | Recipe | None, engine: Engine) -> "Ledger":
        """Return the ledger after rows were told: the epoch is closed, fingerprints stay known."""
        older, told_fingerprints = self._older, self._newest_fingerprints
        if not (self.is_newest(ids) and found[0][0].waiting == len(ids)):
            self.settle()
            told_fingerprints = self._fingerprints_of(ids, found, rows, engine)
            changed = {epoch.start: epoch.told_of(ids[where]) for epoch, where in found}
            known = [changed.get(epoch.start, epoch) for epoch in self.epochs()]
            older = [epoch for epoch in known if epoch.waiting][-self.memory :]
        next_id = self.next_id + self.next_id % 2  # antithetic pairs are rows 2k and 2k + 1
        last = [*self._told_fingerprints[1 - REMEMBERED :], told_fingerprints]
        return Ledger(self.memory, next_id, None, older, None, last)

    def _fingerprints_of(
        self, ids: Ids, found: list[Found], rows: Array | Recipe | None, engine: Engine
    ) -> Ids:
        """Return the fingerprints of told rows that are not foreign, 0 for unknown ones."""
        parts = [epoch.fingerprints[epoch.places(ids[where])] for epoch, where in found]
        result = np.concatenate([np.zeros(0, np.uint64), *parts])
        if rows is None or result.all():
            return result
        made: Ids = engine.host(engine.fingerprints(rows))
        known: Ids = made[ids != FOREIGN]
        return known


def _append(waiting: dict[int, list[int]], ids: Ids, fingerprints: Ids) -> None:
    for number, fingerprint in zip(ids.tolist(), fingerprints.tolist(), strict=True):
        waiting.setdefault(fingerprint, []).append(number)
