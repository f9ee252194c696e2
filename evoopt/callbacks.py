"""Callbacks for `evolve`."""

import csv
import io
import os
from pathlib import Path
from typing import Any

from evoopt.strategies.base import Strategy


class CSVLogger:
    """Write the history into a CSV file, one line for each generation, as soon as it is told.

    Parameters
    ----------
    path : str or path
        The file. If there is one, it must be of the same run: a run that is resumed goes on in it, and lines
        of generations after the one that it was resumed from are cut off.

    Raises
    ------
    ValueError
        When called, if the file holds something else.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import evoopt
    >>> es = evoopt.SNES([1.0, 2.0], sigma=0.5, seed=1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "run.csv")
    ...     log = evoopt.CSVLogger(path)
    ...     result = evoopt.evolve(es, lambda p: (p**2).sum(axis=1), max_generations=3, callback=log)
    ...     print(path.read_text().splitlines()[0])
    generation,evaluations,best,median,best_so_far,sigma,condition
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = path
        self._written: int | None = None  # generations in the file; None as long as it was not looked at

    def __call__(self, strategy: Strategy) -> None:
        """Write the generations that are not in the file yet."""
        if self._written is None:
            self._open(strategy)
        else:
            self._append(_lines(strategy.history, self._written))
        self._written = strategy.generation

    def _append(self, text: str) -> None:
        with open(self.path, "a", encoding="utf-8", newline="") as file:  # closed, so that it can be read
            file.write(text)

    def _open(self, strategy: Strategy) -> None:
        """Make the file, or cut off what was not told, and write what it lacks of the history."""
        header = ",".join(strategy.history) + "\n"
        expected = (header + _lines(strategy.history, 0)).encode()
        # What was told before this generation must be there, or a beginning of it. This one may have had
        # another fitness where it was not deterministic; but of a first generation nothing else is known.
        before = b"".join(expected.splitlines(keepends=True)[: max(strategy.generation, 2)])
        found = Path(self.path).read_bytes() if os.path.exists(self.path) else b""
        if not (found.startswith(before) or before.startswith(found)):
            raise ValueError(
                f'A CSV file of this run was expected at "{self.path}", but what it holds is not the history '
                "of the strategy; take another path, or remove the file."
            )
        kept = min(len(found), len(before))
        if found:
            os.truncate(self.path, kept)
        self._append(expected[kept:].decode())


def _lines(history: dict[str, list[Any]], start: int) -> str:
    """Give the lines of the generations from `start` on."""
    text = io.StringIO()
    columns = [column[start:] for column in history.values()]
    csv.writer(text, lineterminator="\n").writerows(zip(*columns, strict=True))
    return text.getvalue()
