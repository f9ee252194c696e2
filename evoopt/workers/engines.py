"""The executors of Python and of other packages: their workers, and how they pickle."""

import importlib
import pickle
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np

from evoopt import threads
from evoopt.workers import dask
from evoopt.workers.remote import end_with_parent

TOGETHER = 2**20  # bytes of jobs that travel in one message


def slots_of(executor: Executor) -> int:
    """Return how many jobs an executor does at once, as far as it tells."""
    if dask.client_of(executor) is not None:
        return max(1, dask.threads_of(executor))
    for name in ("_max_workers", "num_workers"):  # of Python and loky, of mpi4py
        number = getattr(executor, name, None)
        if isinstance(number, int) and number > 0:
            return number
    return threads.get_num_threads()


def submit(executor: Executor, worker: str | None, *call: Any) -> Future[Any]:
    """Submit a call, a function and its arguments, if possible to the worker of this name."""
    require_open(executor)
    if dask.client_of(executor) is None:
        return executor.submit(*call)
    return dask.submit(executor, worker, *call)


def submit_all(
    executor: Executor, function: Callable[..., Any], calls: list[tuple[Any, ...]]
) -> Iterator[Future[Any]]:
    """Submit calls of a function, given the arguments of each; yield their futures.

    Dask gets small ones in one message.
    """
    small = len(calls) > 1 and sum(bytes_of(call[-1]) for call in calls) <= TOGETHER
    if small and dask.client_of(executor) is not None:
        require_open(executor)
        yield from dask.submit_all(executor, function, calls)
        return
    for call in calls:
        yield submit(executor, None, function, *call)


def bytes_of(args: tuple[Any, ...]) -> int:
    """Return the bytes of the arrays among the arguments of a job."""
    return sum(part.nbytes for part in args if isinstance(part, np.ndarray))


def gone(executor: Executor, workers: Collection[str]) -> list[str]:
    """Return the names of workers of Dask that have left; no name if the scheduler is away."""
    known = dask.client_of(executor) is not None
    return dask.gone(executor, workers) if known and workers else []


def cancel(executor: Executor, futures: Iterable[Future[Any]]) -> None:
    """Cancel jobs that have not begun; a client of Dask that is closed has none."""
    if not dask.is_closed(executor):
        for future in futures:
            future.cancel()


def withdraw(executor: Executor, future: Future[Any]) -> bool:
    """Cancel a job, and return whether it had not begun; of its jobs Dask does not tell that."""
    return dask.client_of(executor) is None and future.cancel()


def require_open(executor: Executor) -> None:
    """Raise ConnectionError for a closed client of Dask, whose futures may never be done."""
    if dask.is_closed(executor):
        raise ConnectionError(
            "The client of Dask is closed, so the rows at its workers are lost. It closes itself if its "
            "scheduler is away for longer than distributed.comm.timeouts.connect, by default 30 seconds."
        )


def shares_memory(executor: Executor) -> bool:
    """Return whether the workers are threads of this process, which need no pickles."""
    return isinstance(executor, ThreadPoolExecutor)


def pickled(name: str, function: Callable[..., Any], executor: Executor) -> bytes:
    """Return a function as bytes for the workers of an executor, or raise ValueError."""
    try:
        return _pickler(executor)(function)
    except Exception as error:
        copies = 'rows="numbers"' if shares_memory(executor) else "an executor of processes"
        instead = 'rows="values"' if shares_memory(executor) else "threads"
        raise ValueError(
            f"{name} must be picklable for {copies}, got {function!r}: {error}; define it by def at the top "
            f"of a module, not as a lambda or inside another function, or take {instead}."
        ) from error


def _pickler(executor: Executor) -> Callable[[Any], bytes]:
    """Return cloudpickle, if installed, where workers do not import the main script."""
    if isinstance(executor, ProcessPoolExecutor):
        return pickle.dumps
    try:
        cloudpickle: Any = importlib.import_module("cloudpickle")
    except ImportError:
        return pickle.dumps
    dumps: Callable[[Any], bytes] = cloudpickle.dumps
    return dumps


def end_with_this_process(executor: Executor) -> None:
    """Let processes of a pool end with this one, even if it is killed before their first job."""
    if isinstance(executor, ProcessPoolExecutor) and executor._initializer is None:
        executor._initializer = end_with_parent  # processes that run already see to it in their jobs


@contextmanager
def explaining_broken_pools() -> Iterator[None]:
    """Add a note with advice to the error of a pool that lost a process in the block."""
    try:
        yield
    except BrokenExecutor as error:
        error.add_note(
            'A script that starts processes must do so under if __name__ == "__main__", and what a process '
            "wrote to stderr before it ended tells more."
        )
        raise
