"""Processes that evaluate the rows."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import closing, contextmanager
from typing import Any

import numpy as np

from evoopt import threads
from evoopt.arrays import shown
from evoopt.failures import Failure, RowValues
from evoopt.portfolio.budget import Evaluate
from evoopt.types import Array
from evoopt.workers.crew import Crew
from evoopt.workers.workers import Workers, read_workers


@contextmanager
def evaluator(
    workers: Any, function: Callable[..., Any], each: Callable[..., RowValues]
) -> Iterator[Evaluate]:
    """Yield the evaluation of rows for a `Budget`.

    Parameters
    ----------
    workers
        See `minimize`.
    function : callable
        The function of a row.
    each : callable
        ``each(rows, map_rows)`` evaluates the rows by a function like `map`.
    """
    if isinstance(workers, Workers | Executor):
        with closing(_crew(workers, function)) as crew:
            yield _by(crew, each)
    elif callable(workers):
        yield lambda rows, places: each(rows, workers)
    elif (processes := _processes(workers)) == 1:
        yield lambda rows, places: each(rows)
    else:
        pool = ProcessPoolExecutor(processes)
        try:
            with closing(_crew(pool, function)) as crew:
                yield _by(crew, each)
        finally:
            pool.shutdown(cancel_futures=True)


def _by(crew: Crew, each: Callable[..., RowValues]) -> Evaluate:
    """Return the evaluation by a crew; an exception gets a note of its row."""

    def evaluate(rows: Array, places: Sequence[int]) -> RowValues:
        with closing(each(rows, crew.map)) as outcomes:
            for outcome in outcomes:
                for i, value in outcome:
                    if isinstance(value, Failure):
                        value.error.add_note(f"Row {places[i]} of the population raised this.")
                yield outcome

    return evaluate


def _crew(workers: Workers | Executor, function: Callable[..., Any]) -> Crew:
    """Return a crew; refuse workers that cannot get the function, or with options of `evolve`."""
    read = read_workers(workers)
    if read.asynchronous or read.rows != "values":
        option = "asynchronous=True" if read.asynchronous else f'rows="{read.rows}"'
        raise ValueError(f"workers of minimize must be without {option}, which evolve has; leave it out.")
    crew = Crew(read, "fun")
    crew.take(function)
    return crew


def _processes(workers: Any) -> int:
    is_whole = isinstance(workers, int | np.integer) and not isinstance(workers, bool)
    if not is_whole or workers == 0 or workers < -1:
        raise ValueError(
            "workers must be a number of processes, -1 for all cores, an executor, Workers, or a function "
            f"like map, got {shown(workers)}; take 1 for none."
        )
    return threads.get_num_threads() if workers == -1 else int(workers)
