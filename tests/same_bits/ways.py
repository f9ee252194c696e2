"""Ways to tell rows, each for one generation of a search."""

import pickle
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import evoopt


class Search:
    """A strategy, the last rows that were told, and the state of ways to tell rows."""

    def __init__(self, es: Any) -> None:
        self.es = es
        self.rng = np.random.default_rng(7)
        self.rows: Any = None
        self.late: Any = np.empty(0, np.uint64)

    def judge(self, rows: Any) -> Any:
        """Return a quadratic fitness of coupled coordinates, with noise for noisy strategies."""
        x = rows.astype(float) - 0.1
        n = x.shape[1]
        fitness = (x**2 * 100 ** np.linspace(0, 1, n)).sum(axis=1) + (np.diff(x, axis=1) ** 2).sum(axis=1)
        if self.es.noisy:
            fitness = fitness * (1 + 0.1 * self.rng.normal(size=len(rows)))
        return -fitness if self.es.maximize else fitness


def plainly(run: Search) -> None:
    """Tell the rows of `ask`."""
    run.rows = run.es.ask()
    run.es.tell(run.rows, run.judge(run.rows))


def by_numbers(run: Search) -> None:
    """Tell rows by their ids."""
    ids = run.es.ask_ids()
    run.rows = run.es.rows(ids)
    run.es.tell(ids, run.judge(run.rows))


def late_and_in_parts(run: Search) -> None:
    """Tell half of the rows in their generation, and the others one generation later."""
    ids = run.rng.permutation(run.es.ask_ids(run.es.popsize + 4))
    half = len(ids) // 2
    told, run.late = np.concatenate([ids[:half], run.late]), ids[half:]
    run.rows = run.es.rows(told)
    run.es.tell(told, run.judge(run.rows))


def shuffled(run: Search) -> None:
    """Tell most of the rows, in another order, with NaN and infinity among the fitness."""
    rows = run.es.ask(out=np.empty((run.es.popsize, run.es.n_params), run.es.dtype))
    run.rows = rows[run.rng.permutation(len(rows))[: len(rows) - 1]]
    fitness = run.judge(run.rows)
    fitness[:2] = np.nan, np.inf
    run.es.tell(run.rows, fitness)


def repaired(run: Search) -> None:
    """Tell rows, some of them changed; where they are refused, the sentence is the result."""
    rows = run.es.ask()
    changed = rows.copy()
    changed[:2] = np.clip(changed[:2], 0.4, 0.6)
    try:
        run.es.tell(changed, run.judge(changed))
    except ValueError as error:
        run.es.tell(rows, run.judge(rows))
        changed = [rows, str(error)]
    run.rows = changed


def saved(run: Search) -> None:
    """Save and load, or pickle, the strategy every tenth generation."""
    if run.es.generation % 20 == 10:
        with tempfile.TemporaryDirectory() as folder:
            run.es.save(Path(folder) / "es.npz")
            run.es = evoopt.load(Path(folder) / "es.npz")
    elif run.es.generation % 20 == 0:
        run.es = pickle.loads(pickle.dumps(run.es))
    plainly(run)


WAYS = {
    "by numbers": by_numbers,
    "late and in parts": late_and_in_parts,
    "shuffled, with NaN": shuffled,
    "repaired": repaired,
    "saved and loaded": saved,
}
