"""Kernels over the threads: serial kernels on ranges [lo, hi), handed to a pool of Python threads.

Kernels release the GIL, so plain threads run them side by side. Against numba's own `prange` this
costs some tens of microseconds more a call (small work stays on the calling thread), and it has no
threading layer that dies after a fork, aborts when two Python threads enter it, or compiles each
driver a second time.
"""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path

from evoopt.arrays import shown
from evoopt.calls import called

# Ranges shrink to 1/40 of a thread's share, which bounds how long threads wait for the last one.
SMALLEST_SHARE = 40


def _usable_cores() -> int:
    """Return the cores that this process may use, at most a container's quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):  # no control group of the second version
        return cores
    return cores if quota == "max" else max(1, min(cores, -(-int(quota) // int(period))))


class _Pool:
    """The process's worker threads, started at the first parallel call and again after a fork."""

    def __init__(self) -> None:
        self.num_threads, self.told = _usable_cores(), False  # whether the user set the number
        self.reset()

    def reset(self) -> None:
        self.lock = threading.Lock()
        self.executor: ThreadPoolExecutor | None = None

    def submit(self, function: Callable[[], None]) -> Future[None]:
        with self.lock:
            if self.executor is None:
                self.executor = ThreadPoolExecutor(max(self.num_threads - 1, 1), "evoopt")
            return self.executor.submit(function)


_pool = _Pool()
_callers = threading.local()  # for each thread whether its kernels stay on it
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.reset)  # threads do not survive a fork


@called
def get_num_threads() -> int:
    """Return the number of threads that kernels use.

    Examples
    --------
    >>> import evoopt
    >>> evoopt.get_num_threads() >= 1
    True
    """
    return _pool.num_threads


@called
def set_num_threads(n: int) -> None:
    """Set the number of threads that kernels use; results are the same bits for any number.

    Parameters
    ----------
    n : int
        At least 1. The default is the number of cores that this process may use.

    Raises
    ------
    ValueError
        If `n` is not a whole number of at least 1.

    Examples
    --------
    >>> import evoopt
    >>> evoopt.set_num_threads(1)
    """
    if not isinstance(n, int) or isinstance(n, bool) or n < 1:
        raise ValueError(f"The number of threads must be a whole number of at least 1, got {shown(n)}.")
    with _pool.lock:
        _pool.num_threads, _pool.told = n, True
        executor, _pool.executor = _pool.executor, None
    if executor is not None:
        executor.shutdown(wait=False)  # running work finishes; the next call starts a pool of the new size


@contextmanager
def alone() -> Iterator[None]:
    """Keep kernels that the block calls on this thread, unless the user set a number."""
    before = getattr(_callers, "alone", False)
    _callers.alone = not _pool.told
    try:
        yield
    finally:
        _callers.alone = before


def _ranges(n: int, threads: int, grain: int) -> Iterator[tuple[int, int]]:
    """Cut [0, n) into shrinking ranges, so that threads end together even if one lost its core."""
    smallest = max(n // (threads * SMALLEST_SHARE), grain)
    lo = 0
    while lo < n:
        hi = min(lo + max((n - lo) // (2 * threads), smallest), n)
        yield lo, hi
        lo = hi


def run(kernel: Callable[..., None], n: int, *args: object, grain: int = 1) -> None:
    """Call ``kernel(*args, lo, hi)`` until the ranges [lo, hi) have covered [0, n).

    Parameters
    ----------
    kernel : callable
        A serial kernel without the GIL, whose output for an item depends on that item alone.
    n : int
        Number of items.
    grain : int
        The fewest items worth waking a thread for (some 100 microseconds of work).
    """
    if n < 2 * grain or _pool.num_threads == 1 or getattr(_callers, "alone", False):
        kernel(*args, 0, n)
        return
    threads = min(_pool.num_threads, n // grain)
    ranges = deque(_ranges(n, threads, grain))

    def drain() -> None:
        while True:
            try:
                lo, hi = ranges.popleft()
            except IndexError:
                return
            kernel(*args, lo, hi)

    futures: list[Future[None]] = []
    try:
        futures += [_pool.submit(drain) for _ in range(threads - 1)]
        drain()
    finally:
        ranges.clear()  # no thread starts another range after an error or Ctrl-C
        running = [future for future in futures if not future.cancel()]
        wait(running)  # they write into the arrays
    for future in running:
        future.result()
