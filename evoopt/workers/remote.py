"""The part of a job that a worker does: it finds the function, calls it, and measures the time.

A function travels once: jobs name it by a key, the digest of its pickle for example, and a worker
that does not have it, or an old one, answers `Missing`. Then the job comes again, with the pickle;
other jobs of this worker wait for it.
"""

import multiprocessing
import os
import pickle
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from multiprocessing.connection import wait
from typing import Any, NamedTuple

from evoopt import threads
from evoopt.failures import Failure, attempt

KEPT = 4  # functions that a worker keeps

Function = Callable[..., Any]
_functions: dict[str, Function] = {}  # by key, the one used last at the end
_lock = threading.Lock()  # a worker may have several threads


class Sent(NamedTuple):
    """A function for workers: its key, and its pickle where a worker may not have it."""

    key: str
    content: bytes | None


class Answer(NamedTuple):
    """The value of a call, or its `Failure`, and the seconds that it took.

    A function may return it itself, to leave out seconds that are not the job's own.
    """

    value: Any
    seconds: float


class Missing(NamedTuple):
    """The answer of a worker whose function is missing or too old, and the worker's name."""

    worker: str


class Refusal(NamedTuple):
    """The value of a call with which a worker asks for other arguments.

    It has the worker's name, and the generation of its copy of a strategy, unless it wants rows.
    """

    worker: str
    generation: int | None = None


class Each:
    """A function of rows: the list of the values that a function of one row has for each.

    The list ends with the first `Failure`.
    """

    def __init__(self, function: Function) -> None:
        self._function = function

    def __repr__(self) -> str:
        return repr(self._function)

    def __call__(self, rows: Any, *args: object) -> list[Any]:
        values: list[Any] = []
        for row in rows:
            values.append(attempt(self._function, row, *args))
            if isinstance(values[-1], Failure):
                break
        return values


def call(number: int, function: Function | Sent, args: tuple[Any, ...]) -> Answer | Missing:
    """Call a function, on one thread; Dask would take jobs of the same number for one."""
    end_with_parent()
    found = _find(function) if isinstance(function, Sent) else function
    if found is None:
        return Missing(worker_name())
    start = time.perf_counter()
    with threads.alone(), _interruptible():
        value = attempt(found, *args)
    return value if isinstance(value, Answer | Missing) else Answer(value, time.perf_counter() - start)


def worker_name() -> str:
    """Return the address of a worker of Dask, or else a name of this process among all machines."""
    distributed: Any = sys.modules.get("distributed")
    if distributed is not None:
        with suppress(ValueError):  # another process, which has imported it for its own ends
            return str(distributed.get_worker().address)
    return f"{socket.gethostname()}:{os.getpid()}"


def _find(sent: Sent) -> Function | None:
    """Return the function of a key, of its pickle or from the memory; None if neither has it."""
    with _lock:
        function: Function | None = _functions.pop(sent.key, None)
        if sent.content is not None:
            function = pickle.loads(sent.content)
        if function is not None:
            _functions[sent.key] = function
        while len(_functions) > KEPT:
            del _functions[next(iter(_functions))]
    return function


@cache
def end_with_parent() -> None:
    """End this process soon after its parent, even if that is killed; nothing in a main process.

    A process of a pool waits for jobs on a pipe whose other end it holds itself, so it would wait
    for ever. Its signals are the user's: a thread looks after the parent.
    """
    if (parent := multiprocessing.parent_process()) is not None:
        threading.Thread(target=_wait_and_end, args=(parent.sentinel, os.getppid()), daemon=True).start()


def _wait_and_end(sentinel: Any, parent: int) -> None:
    # processes that were forked later hold a sentinel's pipe open, but the parent's number changes
    while not wait([sentinel], 1.0) and os.getppid() == parent:
        pass
    os._exit(1)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let Ctrl-C end the call in a pool's process, which ignores it while it is idle."""
    if multiprocessing.parent_process() is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
