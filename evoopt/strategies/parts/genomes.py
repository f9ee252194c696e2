"""Genomes, which are individuals as short lists of row ids, and a cache of their weights."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from evoopt.devices.cpu.genetic import mutate_one
from evoopt.strategies.contract.fields import (
    ROW_COORDINATES,
    ROW_STEPS,
    Fields,
    Scope,
    array,
    choice,
    require,
    scalar,
    whole,
)
from evoopt.strategies.contract.registry import plain_data
from evoopt.types import Array

# A genome is an array of mutations, oldest first: the id of the row that a mutation was drawn for,
# and its sigma as a share of the first one.
ENTRY = np.dtype([("row", np.uint64), ("share", np.float64)])
FOUNDER = np.empty(0, ENTRY)  # the mean itself

Genome = NDArray[np.void]
STORED_GENOME = array(None, dtype=ENTRY)


def stored_offspring(value: Any, place: str, scope: Scope) -> None:
    """Check a genome of at least one mutation, see `fields`."""
    STORED_GENOME(value, place, scope.inner())
    require(len(value) > 0, place, "a genome with a mutation", value)


def child(parent: Genome, row: int, share: float) -> Genome:
    """Return the genome of a parent with one more mutation."""
    return np.append(parent, np.array([(row, share)], ENTRY))


def name(genome: Genome) -> int:
    """Return the name of a genome, the founder excepted: its last row id, which is unique."""
    return int(genome["row"][-1])


@plain_data
@dataclass(frozen=True, eq=False)
class Origin:
    """The origin of all genomes: the key of the noise, mean and sigma (n,) in the rows' dtype."""

    _stored: ClassVar[Fields] = {
        "key": scalar(np.uint64),
        "mean": ROW_COORDINATES,
        "sigma": ROW_STEPS,
    }

    key: np.uint64
    mean: Array
    sigma: Array

    def _require_fit(self, place: str, scope: Scope) -> None:
        require(self.key == scope.owner._key, f"{place}.key", "the key of its strategy", self.key)

    def decode(self, genome: Genome, out: Array, ancestor: Array | None = None) -> None:
        """Write the weights of a genome into `out` (n,), mutation by mutation, in its dtype.

        The sum begins with `ancestor`, an array other than `out`, instead of the mean.
        """
        weights = self.mean if ancestor is None else ancestor
        if not len(genome):
            out[:] = weights
        left = len(genome)
        other = np.empty_like(out) if left > 1 else out
        for row, share in genome.tolist():
            left -= 1
            target = other if left % 2 else out  # they take turns, so that `out` is the last one
            mutate_one(self.key, np.uint64(row), weights, share, self.sigma, target)
            weights = target


@plain_data
class Weights:
    """A cache of the weights of up to `size` genomes, each made from its closest cached ancestor.

    Copies, pickles and checkpoints leave it empty, because the weights can be made again from the
    genomes.
    """

    _stored: ClassVar[Fields] = {"size": whole(1), "rows": array(0, 0), "_places": choice({})}

    def __init__(self, size: int) -> None:
        self.size = size
        self.rows = np.empty((0, 0))  # (size + 1, n) once there are any; one is spare
        self._places: dict[int, int] = {}  # the row of each name, once it is complete

    def __getstate__(self) -> dict[str, Any]:
        return vars(Weights(self.size))

    @contextmanager
    def for_one(self) -> Iterator["Weights"]:
        """Yield this cache, or an empty one while a thread or interrupted code uses this one."""
        user = object()
        try:
            yield self if vars(self).setdefault("_user", user) is user else Weights(self.size)
        finally:
            if vars(self).get("_user") is user:
                del vars(self)["_user"]

    def places(self, genomes: Sequence[Genome], origin: Origin) -> NDArray[np.intp]:
        """Return the places of genomes in `rows`; make missing ones and forget all others."""
        names = [name(genome) for genome in genomes]
        if self._places.keys() != set(names):
            self._exchange(dict(zip(names, genomes, strict=True)), origin)
        return np.array([self._places[each] for each in names])

    def decode(self, genome: Genome, origin: Origin, out: Array) -> None:
        """Write the weights of any genome into `out` (n,)."""
        length = self._known(genome)
        ancestor = self.rows[self._places[name(genome[:length])]] if length else None
        origin.decode(genome[length:], out, ancestor)

    def _known(self, genome: Genome) -> int:
        """Return the length of the closest cached ancestor of a genome."""
        rows = genome["row"].tolist()
        return next((i for i in range(len(rows), 0, -1) if rows[i - 1] in self._places), 0)

    def _exchange(self, wanted: dict[int, Genome], origin: Origin) -> None:
        """Replace the cached genomes by the `wanted` ones.

        Children of one ancestor are made one after the other, then its row is free. Each ancestor
        that goes leaves at least one child, so one spare row is enough.
        """
        if not len(self.rows):
            self.rows = np.empty((self.size + 1, len(origin.mean)), origin.mean.dtype)
        if not self._places:
            self._make(common(list(wanted.values())), origin)
        known = {each: self._known(genome) for each, genome in wanted.items()}
        ancestors = {each: name(wanted[each][: known[each]]) for each in wanted if known[each]}
        left = Counter(ancestors.values())  # a cached genome is its own ancestor, and stays
        self._places = {each: place for each, place in self._places.items() if each in left}
        for each in sorted(wanted.keys() - self._places.keys(), key=lambda each: ancestors.get(each, -1)):
            self._make(wanted[each], origin)
            if each in ancestors:
                left[ancestors[each]] -= 1
                if not left[ancestors[each]]:
                    del self._places[ancestors[each]]

    def _make(self, genome: Genome, origin: Origin) -> None:
        if len(genome):
            free = min(set(range(len(self.rows))) - set(self._places.values()))
            self.decode(genome, origin, self.rows[free])
            self._places[name(genome)] = free


def common(genomes: Sequence[Genome]) -> Genome:
    """Return the genome of the last common ancestor of genomes, of which there is at least one."""
    length = min(len(genome) for genome in genomes)
    rows = np.array([genome["row"][:length] for genome in genomes])
    differs = (rows != rows[0]).any(axis=0)
    return genomes[0][: int(differs.argmax()) if differs.any() else length]
