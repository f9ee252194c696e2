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
    """A thread that waits for its turn, and ends it at a barrier and at its end."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.turn = threading.Semaphore(0)
        self.over = False

    def run(self) -> None:
        self.turn.acquire()
        super().run()  # exceptions are stored
        self.over = True
        self._manager.back.release()

    def syncthreads(self) -> None:
        self._manager.back.release()
        self.turn.acquire()
        if self.abort:
            raise RuntimeError("another thread has failed")


def run(self: Any, grid_point: tuple[int, ...], *args: Any) -> None:
    """Run a block, as a replacement of `BlockManager.run`."""
    self.back = threading.Semaphore(0)
    points = np.ndindex(*self._block_dim)
    threads = [Thread(lambda: self._f(*args), self, grid_point, point, self._debug) for point in points]
    for thread in threads:
        thread.start()
    while threads:
        for thread in threads:
            thread.turn.release()
            self.back.acquire()
        failed = next((thread.exception for thread in threads if thread.exception), None)
        threads = [thread for thread in reversed(threads) if not thread.over]
        if failed:
            for thread in threads:
                thread.abort = True
                thread.turn.release()
            raise failed[0].with_traceback(failed[1])


def take_turns() -> None:
    """Make threads take turns on one core, because another core would have to wake up first."""
    kernel.BlockManager.run = run
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
        os.sched_setaffinity(0, {cores[worker % len(cores)]})
