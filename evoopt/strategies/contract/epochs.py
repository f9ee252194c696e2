"""Epochs: the rows asked for between two updates, drawn from one snapshot of the distribution."""

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from evoopt.devices.interface.population import Engine
from evoopt.strategies.contract.fields import Fields, Scope, array, require, whole
from evoopt.strategies.contract.registry import plain_data
from evoopt.types import Array, Ids

Where = NDArray[np.intp] | slice  # places in a vector of ids
ALL = slice(None)
Drawn = tuple[tuple[Any, ...], Where]
CHUNK = 250_000  # numbers copied at once if rows are not side by side
_NOT_TOLD, _NOT_MADE = np.zeros(0, np.bool_), np.zeros(0, np.uint64)


def _snapshot(value: object, place: str, scope: Scope) -> None:
    scope.owner._snapshot_kind()(value, place, scope)


@plain_data
class Epoch:
    """The rows asked for between two updates, drawn from one snapshot of the search distribution.

    An epoch is a value: `asked` and `told_of` return a new one, so whoever reads the state of a
    strategy at any moment reads a whole epoch. Only fingerprints are written in place, because they
    can be computed again from the rows.
    """

    _stored: ClassVar[Fields] = {
        "snapshot": _snapshot,
        "start": whole(),
        "stop": whole(),
        "waiting": whole(),
        "_told": array("room", dtype=np.bool_),
        "_fingerprints": array("room", dtype=np.uint64),
    }

    def __init__(
        self,
        snapshot: tuple[Any, ...],
        start: int,
        stop: int,
        waiting: int,
        told: NDArray[np.bool_] = _NOT_TOLD,
        fingerprints: Ids = _NOT_MADE,
    ) -> None:
        self.snapshot = snapshot
        self.start, self.stop = start, stop  # the first id, and one past the last
        self.waiting = waiting  # ids not told yet
        # indexed by id - start, with room to grow; a plain loop of ask and tell never fills them
        self._told, self._fingerprints = told, fingerprints

    def asked(self, n: int) -> "Epoch":
        """Return the epoch with `n` more ids."""
        waiting = self.waiting + n
        return Epoch(self.snapshot, self.start, self.stop + n, waiting, self._told, self._fingerprints)

    def told_of(self, ids: Ids) -> "Epoch":
        """Return the epoch after some of its ids were told."""
        told = self.told.copy()
        told[self.places(ids)] = True
        waiting = self.waiting - len(ids)
        return Epoch(self.snapshot, self.start, self.stop, waiting, told, self._fingerprints)

    @property
    def told(self) -> NDArray[np.bool_]:
        """For each id, whether it was told."""
        self.make_room()
        return self._told

    @property
    def fingerprints(self) -> Ids:
        """The fingerprint of each row, 0 for a row that was not made."""
        self.make_room()
        return self._fingerprints

    def make_room(self) -> None:
        """Make room for all ids."""
        size = self.stop - self.start
        self._told, self._fingerprints = _with_room(self._told, size), _with_room(self._fingerprints, size)

    def places(self, ids: Ids) -> NDArray[np.intp]:
        """Return the places of ids in the arrays of this epoch."""
        return (ids - np.uint64(self.start)).astype(np.intp)

    def _require_fit(self, place: str, scope: Scope) -> None:
        size = self.stop - self.start
        require(0 < size <= len(self._told), place, f"of the ids of {len(self._told)} rows", size)
        waiting = size - int(self._told[:size].sum())
        require(self.waiting == waiting, f"{place}.waiting", str(waiting), self.waiting)

    def waiting_rows(self) -> tuple[Ids, Ids]:
        """Return the ids not told yet, and their fingerprints."""
        places = np.flatnonzero(~self.told[: self.stop - self.start])
        return places.astype(np.uint64) + np.uint64(self.start), self.fingerprints[places]


def _with_room(array: NDArray[Any], size: int) -> NDArray[Any]:
    """Return the array if it has `size` elements, or else a copy at least twice as long."""
    room = len(array)
    if size <= room:
        return array
    return np.concatenate([array, np.zeros(max(size, 2 * room) - room, array.dtype)])


Found = tuple[Epoch, Where]


def remake(ids: Ids, found: list[Found], make: Callable[..., None], out: Array, engine: Engine) -> None:
    """Make the rows of several epochs by `make(snapshot, ids, out)`, into `out` (k, n_params)."""
    for epoch, where in found:
        if isinstance(where, slice):
            make(epoch.snapshot, ids, out)
            continue
        for places in chunks(where, out.shape[1]):
            part = engine.empty((len(places), out.shape[1]), out.dtype)
            make(epoch.snapshot, ids[places], part)
            engine.put(out, places, part)


def chunks(places: NDArray[np.intp], n: int) -> Iterator[NDArray[np.intp]]:
    """Cut the places of rows (n,) into chunks, so that copies of rows take little memory."""
    size = CHUNK // n + 1
    return (places[start : start + size] for start in range(0, len(places), size))
