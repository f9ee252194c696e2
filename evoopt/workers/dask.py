"""The executors of dask.distributed: their workers, their messages, and jobs that always end."""

import warnings
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager, suppress
from typing import Any


def client_of(executor: Executor) -> Any:
    """Return the client behind an executor, None for executors of others."""
    client: Any = getattr(executor, "_client", None)
    return client if hasattr(client, "nthreads") else None


def threads_of(executor: Executor) -> int:
    """Return how many jobs its workers do at once; they come and go.

    The executor's options may leave only some workers, or some of their threads, by the resources
    that a job takes.
    """
    client, options = client_of(executor), _options(executor)
    if client.asynchronous:
        raise ValueError(
            "executor must be of a client of Dask that waits for answers, got one with asynchronous=True; "
            "make it by Client(address)."
        )
    needs: dict[str, float] = options.get("resources") or {}
    chosen = options.get("workers")
    if not needs and chosen is None:
        nthreads: dict[str, int] = client.nthreads()
        return sum(nthreads.values())
    workers: dict[str, Any] = client.scheduler_info(n_workers=-1)["workers"]
    if chosen is not None and not options.get("allow_other_workers"):
        names = {chosen} if isinstance(chosen, str | int) else set(chosen)
        named = {address: each for address, each in workers.items() if names & _names(address, each)}
        workers = named or workers  # Dask alone knows the other names of a machine
    return sum(_jobs_at_once(each, needs) for each in workers.values())


def _names(address: str, worker: dict[str, Any]) -> set[Any]:
    return {address, address.partition("://")[2], worker["name"], worker["host"]}


def _jobs_at_once(worker: dict[str, Any], needs: dict[str, float]) -> int:
    has = worker["resources"]
    places = [int(has.get(name, 0) // need) for name, need in needs.items() if need > 0]
    nthreads: int = worker["nthreads"]
    return min([nthreads, *places])


def submit(executor: Executor, worker: str | None, *call: Any) -> Future[Any]:
    """Submit a call, a function and its arguments, if possible to the worker of this name."""
    client, options = client_of(executor), _options(executor)
    if worker is not None:  # which is one that the options allow
        others = options.get("allow_other_workers", "workers" not in options)
        options |= {"workers": [worker], "allow_other_workers": others}
    with _quiet_about_sizes():
        return _followed(client, client.submit(*call, **options))


def submit_all(
    executor: Executor, function: Callable[..., Any], calls: list[tuple[Any, ...]]
) -> Iterator[Future[Any]]:
    """Submit calls in one message, because others would leave up to 10 ms later."""
    client = client_of(executor)
    with _quiet_about_sizes():
        jobs = client.map(function, *zip(*calls, strict=True), **_options(executor))
    for job in jobs:
        yield _followed(client, job)


def _options(executor: Executor) -> dict[str, Any]:
    """Return the options of an executor, for example the workers that it may use.

    A job is named by a random key, because the digest of its arguments would take time.
    """
    options = {"pure": False, **vars(executor).get("_kwargs", {})}
    if options.get("workers") is None:
        options.pop("workers", None)
    elif isinstance(options["workers"], tuple):  # which some functions of Dask refuse
        options["workers"] = list(options["workers"])
    return options


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
    """Return the names of workers that have left; no name if the scheduler is away."""
    with suppress(OSError):
        present = client_of(executor).nthreads()
        return [worker for worker in workers if worker not in present]
    return []


def is_closed(executor: Executor) -> bool:
    """Return whether the client is closed, so that no future is done any more."""
    return getattr(client_of(executor), "status", "") in ("closing", "closed")
