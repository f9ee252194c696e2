"""Whether matrices fit into the memory of this machine."""

import math
import os
from contextlib import suppress
from pathlib import Path

CONTAINER_LIMIT = Path("/sys/fs/cgroup/memory.max")  # of version 2; text if there is none


def require_memory(name: str, n: int, matrices: int) -> None:
    """Raise ValueError unless a strategy's `matrices` of (n, n) float64 fit into memory."""
    needed, memory = matrices * 8 * n * n, _memory()
    if needed > memory:
        raise ValueError(
            f"{name} needs {needed:,} bytes for the matrices of {n:,} parameters, but there are {memory:,} "
            "here; take LMMAES, SepCMAES or SNES, whose memory is linear in the number of parameters."
        )


def require_room(name: str, needed: int) -> None:
    """Raise ValueError unless arrays of so many bytes fit into memory."""
    if needed > (memory := _memory()):
        raise ValueError(f"{name} needs {needed:,} bytes, but there are {memory:,} here")


def _memory() -> float:
    """Return the bytes of memory that this process may have; infinite if unknown.

    They are those of the machine, of the container on it, or of the limit of the process.
    """
    limits = [math.inf]
    with suppress(AttributeError, ValueError, OSError):  # not on this system
        limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    with suppress(ValueError, OSError):
        limits.append(int(CONTAINER_LIMIT.read_text()))
    with suppress(ImportError):  # not on this system
        import resource  # noqa: PLC0415

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        limits.append(math.inf if limit == resource.RLIM_INFINITY else limit)
    return min(limits)
