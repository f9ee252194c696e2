"""Processes that end with their parent, even if it is killed or they hang.

The parent holds the writing end of a pipe and never writes to it. When the parent dies, the
operating system closes the pipe.
"""

import ctypes
import os
import signal
import sys
import threading
import time
from multiprocessing.connection import Connection

GRACE = int(signal.SIGQUIT) if sys.platform != "win32" else 3  # seconds after the parent's end


def end_with_parent(line: Connection) -> None:
    """End this process at most `GRACE` seconds after its parent's end of the pipe closes."""
    if sys.platform == "linux":
        _let_the_kernel_end_it(line)
    else:
        threading.Thread(target=_wait_and_end, args=(line,), daemon=True).start()


def _let_the_kernel_end_it(line: Connection) -> None:
    """Let Linux send SIGQUIT when the pipe closes; its handler then sets an alarm for the end.

    A thread would not do, because it never runs while C code of an environment hangs and holds the
    GIL. So the handler is a C function, `alarm`. A handler is called with the number of its signal,
    and `alarm` takes a number of seconds: SIGQUIT, which is 3, calls alarm(3), and SIGALRM then
    ends the process.
    """
    import fcntl  # noqa: PLC0415  (not on every system)

    libc = ctypes.CDLL(None)
    libc.signal(signal.SIGQUIT, libc.alarm)
    fcntl.fcntl(line, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(line, fcntl.F_SETSIG, signal.SIGQUIT)
    fcntl.fcntl(line, fcntl.F_SETFL, os.O_ASYNC)


def _wait_and_end(line: Connection) -> None:
    line.poll(None)
    time.sleep(GRACE)
    os._exit(1)
