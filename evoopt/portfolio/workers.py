"""Processes that evaluate the rows."""

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import closing, contextmanager
from typing import Any

import numpy as np

from evoopt import threads
from evoopt.arrays import shown
from evoopt.workers.crew import Crew
from evoopt.workers.workers import Workers, read_workers


@contextmanager
def mapper(workers: Any, function: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """Yield a function like `map`, which evaluates rows by a function."""
    if isinstance(workers, Workers | Executor):
        with closing(_crew(workers, function)) as crew:
            yield crew.map
    elif callable(workers):
        yield workers
    elif (processes := _processes(workers)) == 1:
        yield map
    else:
        pool = ProcessPoolExecutor(processes)
        try:
            with closing(_crew(pool, function)) as crew:
                yield crew.map
        finally:
            pool.shutdown(cancel_futures=True)


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
