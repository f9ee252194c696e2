"""A CUDA simulator whose threads take turns: between two barriers, one thread runs alone.

The simulator of numba-cuda polls for threads at a barrier, which delays these threads. With turns
it is several times as fast, and the same in each run. Every other time the last thread runs first,
so that results that depend on the order, because a barrier is missing, are seen.
"""

import os
import threading
from typing import Any

import numpy as np
from numba.cuda.simulator import kernel


class Thread(kernel.BlockThread):
    """A thread that starts in its first turn; a turn ends at a barrier and at the thread's end."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.turn = closed_lock()
        self.over = False

    def take_turn(self) -> None:
        """Let the thread run alone; return at the end of its turn."""
        if self.ident is None:
            self.start()
        else:
            self.turn.release()
        self._manager.back.acquire()

    def run(self) -> None:
        super().run()  # exceptions are stored
        self.over = True
        self._manager.back.release()

    def syncthreads(self) -> None:
        self._manager.back.release()
        self.turn.acquire()
        if self.abort:
            raise RuntimeError("another thread has failed")


def closed_lock() -> Any:
    """Return a lock that the release of another thread opens, cheaper than a semaphore."""
    lock = threading.Lock()
    lock.acquire()
    return lock


def run(self: Any, grid_point: tuple[int, ...], *args: Any) -> None:
    """Run a block, as a replacement of `BlockManager.run`."""
    self.back = closed_lock()
    points = np.ndindex(*self._block_dim)
    threads = [Thread(lambda: self._f(*args), self, grid_point, point, self._debug) for point in points]
    while threads:
        for thread in threads:
            thread.take_turn()
        failed = next((thread.exception for thread in threads if thread.exception), None)
        threads = [thread for thread in reversed(threads) if not thread.over]
        if failed:
            for thread in threads:
                thread.abort = True
                thread.take_turn()
            raise failed[0].with_traceback(failed[1])


def take_turns() -> None:
    """Make threads take turns on one core, because another core would have to wake up first."""
    kernel.BlockManager.run = run
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
        os.sched_setaffinity(0, {cores[worker % len(cores)]})
