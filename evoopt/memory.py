"""Checks that arrays fit into the memory of this machine."""

import functools
import math
import os
from contextlib import suppress
from pathlib import Path

CONTAINER_LIMIT = Path("/sys/fs/cgroup/memory.max")  # version 2 of control groups; text if there is none
SMALL = 1 << 24  # bytes that are there, whatever the machine: not worth a look


def require_memory(what: str, needed: float, purpose: str, advice: str) -> None:
    """Raise ValueError, in a sentence of these words, unless so many bytes fit into memory."""
    if needed > SMALL and needed > available():
        raise ValueError(
            f"{what} needs {needed:,} bytes for {purpose}, but there are {available():,} here; {advice}."
        )


@functools.cache
def available() -> float:
    """Return the bytes of memory that this process may have; infinite if unknown."""
    limits = [math.inf]
    with suppress(AttributeError, ValueError, OSError):  # not on this system
        limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    with suppress(ValueError, OSError):
        limits.append(int(CONTAINER_LIMIT.read_text()))
    with suppress(ImportError):  # a limit of this process, where there are such
        import resource  # noqa: PLC0415

        limits += [each for each in resource.getrlimit(resource.RLIMIT_AS) if each != resource.RLIM_INFINITY]
    return min(limits)
