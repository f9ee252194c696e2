"""Evaluations in a file, from which `minimize` goes on after it was killed.

The searches of scipy cannot be saved half-way. Yet the same search asks for the same points, so it
is run again, and the values that the file has are not computed again.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager

import numpy as np

from evoopt.failures import Failure, RowValue, RowValues
from evoopt.portfolio.header import Header, versions
from evoopt.portfolio.records import Record, Records, open_file
from evoopt.types import Array, Vector


class Journal:
    """The evaluations of a search in a file; evaluations of earlier calls answer this one.

    Each record has the number of an evaluation, its row and its value. Numbers follow the order in
    which rows are asked for, records the moments at which values become known. The last point of a
    noisy search depends on the limits, which may change: in place of its number k the record has
    -k - 1, so that it is the answer to no other evaluation.

    Parameters
    ----------
    path : str
        Only read here; `opened` makes the file.

    Attributes
    ----------
    header : Header or None
        Of the file; None as long as there is none.
    replays : bool
        Whether all values so far came from earlier calls.

    Raises
    ------
    ValueError
        If the file is not one of `minimize`.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.header: Header | None = None
        if os.path.exists(path):
            with open_file(path) as file:
                self.header = Header.read(file, path)
        self.replays = self.header is not None

    @contextmanager
    def opened(self, header: Header) -> Iterator[None]:
        """Open the file, or make it; see `Records` for the errors."""
        with Records.opened(self.path, header) as self._records:
            self.header = self._records.header
            self._left, self._asked = iter(self._records), 0
            yield

    def sync(self) -> None:
        """Wait until the evaluations are on the disk."""
        self._records.sync()

    def each(
        self, evaluate: Callable[[Array, Sequence[int]], RowValues], rows: Array, judges: bool = False
    ) -> RowValues:
        """Yield the values of rows (k, n): first those of the file, then those of `evaluate`.

        Parameters
        ----------
        evaluate : callable
            As for `Budget`; called with the rows without a value, each of which gets a record.
        rows : ndarray, shape (k, n)
        judges : bool
            Whether this is the last point of a noisy search.

        Raises
        ------
        ValueError
            If the search has come to other points than in earlier calls.
        OSError
            If the file cannot be written.
        """
        first, points = self._asked, np.ascontiguousarray(rows, "<f8")
        self._asked += len(rows)
        known = self._judgement(first, points) if judges else self._known(first, points)
        self.replays = self.replays and not judges
        if known:
            yield list(known.items())
        missing = [place for place in range(len(rows)) if place not in known]
        if not missing:
            return
        with closing(evaluate(rows[missing] if known else rows, missing)) as outcomes:
            for outcome in outcomes:
                new: list[RowValue] = []
                for i, value in outcome:
                    if isinstance(value, Failure):
                        new.append((i, value))
                        continue
                    place = missing[i]
                    self._records.add(~first if judges else first + place, points[place], value)
                    new.append((place, value))
                self._records.write()
                self.replays = False
                yield new

    def _known(self, first: int, points: Vector) -> dict[int, float]:
        """Return the values of rows (k, n) in the file, by their places.

        Later rows are passed over: a call with a smaller limit ends amid rows of an earlier one.
        """
        known: dict[int, float] = {}
        while len(known) < len(points) and (record := next(self._left, None)):
            number, row, value = record
            if number < 0 or number >= first + len(points):
                continue
            place = number - first
            if place < 0 or place in known or row != points[place].tobytes():
                raise self._misfit(record, points[max(place, 0)])
            known[place] = value
        return known

    def _judgement(self, number: int, points: Vector) -> dict[int, float]:
        """Return the value of the last point (1, n) of a noisy search, if the file has it.

        It may be anywhere behind the rows: calls with larger limits may have come before.
        """
        sought = ~number, points.tobytes()
        return next(({0: record[2]} for record in self._left if record[:2] == sought), {})

    def _misfit(self, record: Record, point: Vector) -> ValueError:
        """Return the error for another point than in earlier calls."""
        assert self.header is not None
        number, row, _ = record
        was = np.frombuffer(row, "<f8")
        i = int(np.argmax(was.view(np.int64) != point.view(np.int64)))
        then = ", ".join(f"{name} {version}" for name, version in self.header.versions.items())
        now = ", ".join(f"{name} {version}" for name, version in versions().items())
        return ValueError(
            f'checkpoint must be the file of this search, but evaluation {number + 1} of "{self.path}" was '
            f"at x[{i}] = {was[i].item()!r}, got {point[i].item()!r}; the file was made with {then}, this is "
            f"{now}: go on with the same versions on the same kind of processor, or take another path."
        )
