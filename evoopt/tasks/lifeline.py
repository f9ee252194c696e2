"""Processes that end when their parent does, however it dies and whatever they do then.

The parent holds the writing end of a pipe to which nothing is ever written. When it dies, the kernel
closes the pipe.
"""

import ctypes
import os
import signal
import sys
import threading
import time
from multiprocessing.connection import Connection

GRACE = int(signal.SIGQUIT) if sys.platform != "win32" else 3  # seconds for an orderly end after the parent's


def end_with_parent(line: Connection) -> None:
    """End this process `GRACE` seconds after its parent's end of a pipe was closed, if it still runs then."""
    if sys.platform == "linux":
        _let_the_kernel_end_it(line)
    else:
        threading.Thread(target=_wait_and_end, args=(line,), daemon=True).start()


def _let_the_kernel_end_it(line: Connection) -> None:
    """Let the kernel send SIGQUIT when the pipe is closed; the handler sets an alarm, which ends the process.

    A thread would not do: it gets no turn while C code of an environment hangs with the GIL. So the handler
    is a function of C as well, `alarm`. A handler is called with the number of its signal, and `alarm` with a
    number of seconds: SIGQUIT, which is 3, calls alarm(3), and SIGALRM then ends the process.
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
