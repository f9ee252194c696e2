"""Processes that evaluate the rows."""

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np

from evoopt import threads
from evoopt.arrays import shown
from evoopt.executors import explaining_broken_pools, require_picklable
from evoopt.types import Array


@contextmanager
def mapper(workers: Any, function: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """Yield a function like `map`, which evaluates rows by a function."""
    if callable(workers):
        yield workers
        return
    processes = _processes(workers)
    if processes == 1:
        yield map
        return
    pool = ProcessPoolExecutor(processes)
    require_picklable("fun", function, pool)

    def map_rows(fun: Callable[..., Any], rows: Array) -> Iterator[Any]:
        with explaining_broken_pools():
            yield from pool.map(fun, rows, chunksize=max(1, len(rows) // (4 * processes)))

    try:
        yield map_rows
    finally:
        pool.shutdown(cancel_futures=True)


def _processes(workers: Any) -> int:
    is_whole = isinstance(workers, int | np.integer) and not isinstance(workers, bool)
    if not is_whole or workers == 0 or workers < -1:
        raise ValueError(
            f"workers must be a number of processes, -1 for all cores, or a function like map, got "
            f"{shown(workers)}; take 1 for none."
        )
    return threads.get_num_threads() if workers == -1 else int(workers)
