"""The executors of Python and of other packages: their workers, and how they pickle."""

import importlib
import pickle
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

from evoopt import threads
from evoopt.workers.remote import end_with_parent

TOGETHER = 2**20  # bytes of jobs that travel in one message


def slots_of(executor: Executor) -> int:
    """Return how many jobs an executor does at once, as far as it tells."""
    if (client := _dask_client(executor)) is not None:  # its workers come and go
        nthreads: dict[str, int] = client.nthreads()
        return max(1, sum(nthreads.values()))
    for name in ("_max_workers", "num_workers"):  # of Python and loky, of mpi4py
        number = getattr(executor, name, None)
        if isinstance(number, int) and number > 0:
            return number
    return threads.get_num_threads()


def _dask_client(executor: Executor) -> Any:
    """Return the client behind an executor of dask.distributed, None for other executors."""
    client: Any = getattr(executor, "_client", None)
    return client if hasattr(client, "nthreads") else None


def submit(executor: Executor, worker: str | None, *call: Any) -> Future[Any]:
    """Submit a call, a function and its arguments, if possible to the worker of this name."""
    if (client := _dask_client(executor)) is None:
        return executor.submit(*call)
    require_open(executor)
    place = {} if worker is None else {"workers": [worker], "allow_other_workers": True}
    with _quiet_about_sizes():
        return _followed(client, client.submit(*call, **_options(executor), **place))


def submit_all(
    executor: Executor, function: Callable[..., Any], calls: list[tuple[Any, ...]]
) -> Iterator[Future[Any]]:
    """Submit calls of a function, given the arguments of each; yield their futures.

    Dask gets small ones in one message: it sends a first message at once, but others up to 10 ms
    later.
    """
    client: Any = _dask_client(executor)
    if client is None or len(calls) == 1 or sum(bytes_of(call[-1]) for call in calls) > TOGETHER:
        for call in calls:
            yield submit(executor, None, function, *call)
        return
    require_open(executor)
    with _quiet_about_sizes():
        jobs = client.map(function, *zip(*calls, strict=True), **_options(executor))
    for job in jobs:
        yield _followed(client, job)


def bytes_of(args: tuple[Any, ...]) -> int:
    """Return the bytes of the arrays among the arguments of a job."""
    return sum(part.nbytes for part in args if isinstance(part, np.ndarray))


def _options(executor: Executor) -> dict[str, Any]:
    """Return the options of an executor of Dask, for example the workers that it may use.

    A job is named by a random key, because the digest of its arguments would take time.
    """
    return {"pure": False, **vars(executor).get("_kwargs", {})}


@contextmanager
def _quiet_about_sizes() -> Iterator[None]:
    """Let Dask say nothing of a large function: it is no fault, because it travels once."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sending large graph", UserWarning)
        yield


def _followed(client: Any, job: Any) -> Future[Any]:
    """Return a future of Python for a job of Dask, which is done whatever happens to the job.

    Futures of Dask's executor are never done if the scheduler is lost while a value is on its way.
    """
    found: Future[Any] = Future()

    async def follow() -> None:
        try:
            value, error = await client.gather(job, asynchronous=True), None
        except BaseException as caught:
            value, error = None, caught
        if found.set_running_or_notify_cancel():
            if error is None:
                found.set_result(value)
            else:
                found.set_exception(error)

    def cancel_job(future: Future[Any]) -> None:
        if future.cancelled() and job.status != "cancelled":
            job.cancel()

    found.add_done_callback(cancel_job)
    client.loop.add_callback(follow)
    return found


def gone(executor: Executor, workers: Collection[str]) -> list[str]:
    """Return the names of workers of Dask that have left; no name if the scheduler is away."""
    client = _dask_client(executor)
    if client is None or not workers:
        return []
    with suppress(OSError):
        present = client.nthreads()
        return [worker for worker in workers if worker not in present]
    return []


def cancel(executor: Executor, futures: Iterable[Future[Any]]) -> None:
    """Cancel jobs that have not begun; a client of Dask that is closed has none."""
    if not _is_closed(executor):
        for future in futures:
            future.cancel()


def require_open(executor: Executor) -> None:
    """Raise ConnectionError for a closed client of Dask, whose futures may never be done."""
    if _is_closed(executor):
        raise ConnectionError(
            "The client of Dask is closed, so the rows at its workers are lost. It closes itself if its "
            "scheduler is away for longer than distributed.comm.timeouts.connect, by default 30 seconds."
        )


def _is_closed(executor: Executor) -> bool:
    return getattr(_dask_client(executor), "status", "") in ("closing", "closed")


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
