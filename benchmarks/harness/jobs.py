"""Independent tasks over processes of one thread each."""

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any

from benchmarks.harness import machine

BLAS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def done(function: Callable[..., Any], tasks: Sequence[tuple[Any, ...]], n: int) -> Iterator[tuple[int, Any]]:
    """Call ``function(*task)`` for each task in `n` processes; yield results as they end.

    A result is yielded as (number of the task, result). A single process is this one.
    """
    if n == 1:
        machine.set_threads(1)
        yield from ((i, function(*task)) for i, task in enumerate(tasks))
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(n, context, _begin) as pool:
        futures = {pool.submit(function, *task): i for i, task in enumerate(tasks)}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _begin() -> None:
    """Limit the threads of a new process by variables, which libraries read when they load."""
    os.environ.update(dict.fromkeys(BLAS, "1"))
    machine.set_threads(1)
