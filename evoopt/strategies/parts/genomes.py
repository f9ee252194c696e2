"""Individuals as short lists of row numbers, and a cache of the weights that they stand for."""

from collections import Counter
from collections.abc import Sequence
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

# A genome is an array of these, oldest first: the number of the row that a mutation was drawn for, and the
# share of the first sigma that it had.
ENTRY = np.dtype([("row", np.uint64), ("share", np.float64)])
FOUNDER = np.empty(0, ENTRY)  # the mean itself

Genome = NDArray[np.void]
STORED_GENOME = array(None, dtype=ENTRY)


def stored_offspring(value: Any, place: str, scope: Scope) -> None:
    """Take a genome of at least one mutation, see `fields`."""
    STORED_GENOME(value, place, scope.inner())
    require(len(value) > 0, place, "a genome with a mutation", value)


def child(parent: Genome, row: int, share: float) -> Genome:
    """Return the genome of a parent and one mutation more."""
    return np.append(parent, np.array([(row, share)], ENTRY))


def name(genome: Genome) -> int:
    """Return what no other genome but this one ends with: its youngest row; not for the founder."""
    return int(genome["row"][-1])


@plain_data
@dataclass(frozen=True, eq=False)
class Origin:
    """What a genome is decoded with: the key of the noise, and mean and sigma (n,) in the rows' dtype."""

    _stored: ClassVar[Fields] = {
        "key": scalar(np.uint64),
        "mean": ROW_COORDINATES,
        "sigma": ROW_STEPS,
    }

    key: np.uint64
    mean: Array
    sigma: Array

    def _require_fit(self, place: str, scope: Scope) -> None:
        require(self.key == scope.owner._key, f"{place}.key", "that of its strategy", self.key)

    def decode(self, genome: Genome, out: Array, ancestor: Array | None = None) -> None:
        """Write the weights of a genome into `out` (n,): one mutation after the other, in the dtype.

        `ancestor`, another array than `out`, has the weights to begin with instead of the mean.
        """
        weights = self.mean if ancestor is None else ancestor
        if not len(genome):
            out[:] = weights
        left = len(genome)
        other = np.empty_like(out) if left > 1 else out
        for row, share in genome.tolist():
            left -= 1
            target = other if left % 2 else out  # by turns, so that `out` is the last one
            mutate_one(self.key, np.uint64(row), weights, share, self.sigma, target)
            weights = target


@plain_data
class Weights:
    """The weights of up to `size` genomes, each made of the closest ancestor that is there.

    A cache: copies, pickles and checkpoints are without it, as genomes alone say what belongs into it.
    """

    _stored: ClassVar[Fields] = {"size": whole(1), "rows": array(0, 0), "_places": choice({})}

    def __init__(self, size: int) -> None:
        self.size = size
        self.rows = np.empty((0, 0))  # (size + 1, n) once there are any; one is spare
        self._places: dict[int, int] = {}  # of names, in `rows`; only what is whole

    def __getstate__(self) -> dict[str, Any]:
        return vars(Weights(self.size))

    def places(self, genomes: Sequence[Genome], origin: Origin) -> NDArray[np.intp]:
        """Return where in `rows` genomes stand, after making those that are missing; others are forgotten."""
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
        """Return how much of a genome is the closest ancestor that is there."""
        rows = genome["row"].tolist()
        return next((i for i in range(len(rows), 0, -1) if rows[i - 1] in self._places), 0)

    def _exchange(self, wanted: dict[int, Genome], origin: Origin) -> None:
        """Replace what is there by the `wanted` genomes.

        Children of one ancestor are made one after the other, then its row is free. So with one spare row
        there is always room for the next: each ancestor that is to go leaves behind at least one child.
        """
        if not len(self.rows):
            self.rows = np.empty((self.size + 1, len(origin.mean)), origin.mean.dtype)
        if not self._places:
            self._make(common(list(wanted.values())), origin)
        known = {each: self._known(genome) for each, genome in wanted.items()}
        ancestors = {each: name(wanted[each][: known[each]]) for each in wanted if known[each]}
        left = Counter(ancestors.values())  # a genome that is there is its own ancestor, and stays
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
    """Return what genomes, at least one, have in common: that of their last common ancestor."""
    length = min(len(genome) for genome in genomes)
    rows = np.array([genome["row"][:length] for genome in genomes])
    differs = (rows != rows[0]).any(axis=0)
    return genomes[0][: int(differs.argmax()) if differs.any() else length]
