"""Callbacks for `evolve` and `minimize`."""

import csv
import io
import os
from pathlib import Path
from typing import Any, BinaryIO

from evoopt import arguments
from evoopt.calls import Called
from evoopt.history import history_of, length_of
from evoopt.replacing import replace
from evoopt.strategies.contract.base import Strategy
from evoopt.strategies.contract.told import FIRST_KEPT

History = dict[str, list[Any]]


class CSVLogger(Called):
    """A CSV file of the history, one line for each generation, written as soon as it is told.

    A callback of `evolve` and of `minimize`; it can also be called with a result, at the end.

    Parameters
    ----------
    path : str or path
        The file. If there is one, it must be of the same run: a run of `evolve` that is resumed
        goes on in it, and lines of generations after the one that it was resumed from are cut off.
        A result, so `minimize` too, which cannot be resumed, cuts nothing off.

    Raises
    ------
    ValueError
        When called, if the file holds something else, or for a result without a history.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import evoopt
    >>> es = evoopt.SNES([1.0, 2.0], sigma=0.5, seed=1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "run.csv")
    ...     log = evoopt.CSVLogger(path)
    ...     task = evoopt.Objective(lambda x: (x**2).sum())
    ...     result = evoopt.evolve(es, task, max_generations=3, callback=log)
    ...     print(path.read_text().splitlines()[0])
    generation,evaluations,best,median,best_so_far,sigma,condition
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = arguments.path("path", path)
        self._columns: list[str] = []
        self._written, self._last = 0, ""  # generations in the file, and the line of the last one

    def __call__(self, intermediate_result: object) -> None:
        """Write the generations that are not in the file yet; refuse a file of another run.

        Parameters
        ----------
        intermediate_result : Strategy or result
            `evolve` calls with the strategy, `minimize` with the result so far; a result at the end
            will do.
        """
        history = history_of(intermediate_result)
        n = length_of(history)
        if not n:
            return
        if not self._knows(history):
            self._open(history, isinstance(intermediate_result, Strategy))
        elif list(history) == self._columns:
            self._append(_lines(history, self._written))
        else:  # this search knows more than the searches before it
            _replace(self.path, _header(history) + _lines(history, 0))
        self._columns, self._written, self._last = list(history), n, _lines(history, n - 1)

    def _knows(self, history: History) -> bool:
        """Whether the history continues the lines that were written last."""
        if not self._written or self._written > length_of(history) or not set(self._columns) <= set(history):
            return False
        known = {name: history[name] for name in self._columns}
        return _lines(known, self._written - 1, self._written) == self._last

    def _append(self, text: str) -> None:
        """Append lines, or none of them if the disk is full."""
        left = text.encode()
        with open(self.path, "ab", buffering=0) as file:  # closed, so that it can be read
            size = file.tell()
            try:
                while left:
                    left = left[file.write(left) :]
            except BaseException:
                file.truncate(size)
                raise

    def _open(self, history: History, may_cut: bool) -> None:
        """Make the file, or cut off generations that were not told, and write missing ones."""
        found = Path(self.path).read_bytes() if os.path.exists(self.path) else b""
        lines = (_header(history) + _lines(history, 0)).encode().splitlines(keepends=True)
        if may_cut:
            lines = _with_forgotten(lines, history, found)
        expected = b"".join(lines)
        # The file must hold the generations told before this one, or the first of them. This
        # generation may have had another fitness if the task is not deterministic; but nothing else
        # is known of a first generation.
        before = b"".join(lines[: max(len(lines) - 1, 2)]) if may_cut else expected
        if not (before.startswith(found) or (may_cut and found.startswith(before))):
            raise ValueError(
                f'"{self.path}" must be a CSV file of this run, but holds something else than its history; '
                "take another path, or remove the file."
            )
        kept = min(len(found), len(before))
        if found:
            os.truncate(self.path, kept)
        self._append(expected[kept:].decode())


def _replace(path: str, text: str) -> None:
    def write(file: BinaryIO) -> None:
        file.write(text.encode())

    replace(path, write)


def _with_forgotten(lines: list[bytes], history: History, found: bytes) -> list[bytes]:
    """Add the lines of generations that no checkpoint holds any more, as the file has them."""
    numbers, first = history["generation"], FIRST_KEPT + 1  # lines, with the header
    forgotten = numbers[FIRST_KEPT] - numbers[FIRST_KEPT - 1] - 1 if len(numbers) > FIRST_KEPT else 0
    there = found.splitlines(keepends=True)[first : first + forgotten]
    return [*lines[:first], *there, *lines[first:]]


def _header(history: History) -> str:
    return ",".join(history) + "\n"


def _lines(history: History, start: int, stop: int | None = None) -> str:
    """Return the lines of the generations from `start` on, up to `stop` or the last."""
    text = io.StringIO()
    columns = [column[start:stop] for column in history.values()]
    csv.writer(text, lineterminator="\n").writerows(zip(*columns, strict=True))
    return text.getvalue()
