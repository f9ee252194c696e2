"""The machine: its description, and the same number of threads for every contestant."""

import importlib.util
import os
import platform
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol, TypeVar

INSTALL = "pip install evoopt[benchmarks]"


class Named(Protocol):
    """A contestant that needs packages."""

    name: str
    packages: tuple[str, ...]


class Participants:
    """The participants of benchmarks: evoopt and its `peers`, or with ``--own`` evoopt alone."""

    peers = True


PARTICIPANTS = Participants()
Someone = TypeVar("Someone", bound=Named)


def installed(package: str) -> bool:
    """Return whether a package can be imported, without importing it."""
    return importlib.util.find_spec(package) is not None


def takes_part(package: str) -> bool:
    """Return whether a peer's package is installed, and peers take part."""
    return PARTICIPANTS.peers and installed(package)


def present(everyone: Iterable[Someone]) -> tuple[list[Someone], list[str]]:
    """Return the contestants with their packages installed, and sentences about the others."""
    here, skipped = [], []
    for one in everyone:
        if one.packages and not PARTICIPANTS.peers:
            continue
        missing = [package for package in one.packages if not installed(package)]
        if missing:
            packages = " and ".join(missing)
            skipped.append(f"{one.name} is skipped: no {packages} here ({INSTALL}).")
        else:
            here.append(one)
    return here, skipped


def usable_cores() -> int:
    """Count the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def limit_cores(n: int, device: str = "cpu") -> list[str]:
    """Bind the process to `n` cores, before numpy and the peers load; return notes of failures.

    Libraries take the size of their thread pools from the cores that they find when they load. XLA
    has no other limit.
    """
    os.environ.setdefault("JAX_PLATFORMS", device)
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # others need memory of the device too
    if n == usable_cores():
        return []
    if not hasattr(os, "sched_setaffinity"):
        return [f"This platform cannot bind a process to {n} cores: jax uses all of them."]
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:n])
    return []


def set_threads(n: int) -> None:
    """Set the number of threads of evoopt, torch and numpy's BLAS, as far as they are loaded."""
    from evoopt import threads

    threads.set_num_threads(n)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(n)
    if installed("threadpoolctl"):
        import threadpoolctl

        threadpoolctl.threadpool_limits(n)


def describe(threads: int) -> dict[str, str | float]:
    """Describe the machine; versions of the peers stand with their results."""
    import numba
    import numpy as np

    import evoopt

    return {
        "cpu": _cpu(),
        "cores": os.cpu_count() or 1,
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else "unknown",
        "threads": threads,
        "platform": platform.platform(terse=True),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "blas": _blas(),
        "numba": numba.__version__,
        "evoopt": evoopt.__version__,
    }


def _blas() -> str:
    """Return the names of BLAS's kernels, which OPENBLAS_CORETYPE and the like change."""
    if not installed("threadpoolctl"):
        return "unknown"
    import threadpoolctl

    found = [library for library in threadpoolctl.threadpool_info() if library["user_api"] == "blas"]
    names = {f"{blas['internal_api']} {blas['version']} {blas.get('architecture', '')}" for blas in found}
    return " and ".join(sorted(names)) or "unknown"


def _cpu() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()
