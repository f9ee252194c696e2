"""`Workers`: an executor, and how it evaluates rows."""

from concurrent.futures import Executor
from typing import Literal

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
    rows : "values" or "numbers"
        What travels: the rows, or with "numbers" their numbers. Then the workers hold a copy of the
        strategy, learn what it learns, and make the rows themselves: a generation costs
        popsize numbers on the way instead of popsize x n_params. The results are the same bits. A
        worker whose rows differ, because its processor rounds otherwise, is reported in the log
        "evoopt", and gets rows.
    asynchronous : bool
        Whether all workers are busy all the time: each gets a new row when it has finished one, and
        the strategy learns from each `popsize` finished rows. Some of them are late: the strategy
        has learned since they were asked for. The result then depends on the order in which rows
        are finished. A row that is too old to learn from counts as an evaluation, and may be the
        best.
    chunk : int, optional
        Rows in a job. By default each worker gets one job a generation, or up to four (two of row
        numbers) in the first one and where rows differ by more than a fifth and several jobs took
        less time.
    timeout : float, optional
        Seconds that a row may take. A job that takes longer is sent again, behind the others, and
        the answer that comes first counts; after so many `retries` it is a TimeoutError. Jobs are
        taken to begin in the order in which they were sent, when a worker is free that does not
        hang. A pool of Python cannot stop a job, so one that hangs keeps its worker.
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
        rows: Literal["values", "numbers"] = "values",
        asynchronous: bool = False,
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
        self.rows = arguments.one_of("rows", rows, ("values", "numbers"))
        self.asynchronous = arguments.flag("asynchronous", asynchronous)
        if self.asynchronous and rows == "numbers":
            raise ValueError(
                'rows must be "values" with asynchronous=True, got "numbers": copies of the strategy learn '
                "from whole generations; leave one of the two out."
            )
        self.chunk = arguments.optional_whole("chunk", chunk, 1)
        self.timeout = None if timeout is None else arguments.number("timeout", timeout, positive=True)
        self.retries = arguments.whole("retries", retries, 0)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({type(self.executor).__name__})"


def read_workers(workers: Workers | Executor) -> Workers:
    """Return the workers of an argument: an executor means ``Workers(executor)``."""
    return workers if isinstance(workers, Workers) else Workers(workers)
