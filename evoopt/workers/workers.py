"""`Workers`: an executor, and how it evaluates rows."""

from concurrent.futures import Executor

from evoopt import arguments
from evoopt.arrays import shown
from evoopt.calls import Called


class Workers(Called):
    """An executor that evaluates rows, and how: `evolve` and `minimize` take it.

    Parameters
    ----------
    executor : concurrent.futures.Executor
        Threads or processes of Python, or another package's workers: ``client.get_executor()`` of
        dask.distributed, loky, ``mpi4py.futures``. Kernels of evoopt use one thread in each worker,
        unless the worker has called `set_num_threads`.
    chunk : int, optional
        Rows in a job. By default each worker gets one job a generation where rows took equally long
        in the last one, or else four, but more rows where these took less than 10 milliseconds.
    timeout : float, optional
        Seconds that a row may take. A job that takes longer is sent again, and the answer that
        comes first counts; after so many `retries` it is a TimeoutError. Jobs are taken to begin in
        the order in which they were sent. A pool of Python cannot stop a job, so one that hangs
        keeps its worker.
    retries : int
        How often a job is sent again after its time limit, or where it was lost with its worker
        or scheduler. A pool of Python's processes breaks if one of them dies, and cannot go on.
        Exceptions of the objective are never retried.

    Raises
    ------
    ValueError
        If an argument is invalid.

    Examples
    --------
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> import evoopt
    >>> es = evoopt.CMAES([1.0, 2.0], 0.5, seed=1)
    >>> task = evoopt.Objective(lambda x: (x**2).sum())
    >>> with ThreadPoolExecutor(2) as executor:
    ...     workers = evoopt.Workers(executor, timeout=60)
    ...     result = evoopt.evolve(es, task, executor=workers, target=1e-6)
    >>> result.success
    True
    """

    def __init__(
        self,
        executor: Executor,
        *,
        chunk: int | None = None,
        timeout: float | None = None,
        retries: int = 1,
    ) -> None:
        if not isinstance(executor, Executor):
            raise ValueError(
                f"executor must be a concurrent.futures.Executor, got {shown(executor)}; take "
                "ProcessPoolExecutor(4) for four processes, for example."
            )
        self.executor = executor
        self.chunk = arguments.optional_whole("chunk", chunk, 1)
        self.timeout = None if timeout is None else arguments.number("timeout", timeout, positive=True)
        self.retries = arguments.whole("retries", retries, 0)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({type(self.executor).__name__})"


def read_workers(workers: Workers | Executor) -> Workers:
    """Return the workers of an argument: an executor means ``Workers(executor)``."""
    return workers if isinstance(workers, Workers) else Workers(workers)
