"""Workers of Dask on this machine, and what they and this process took of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PACKAGE = "distributed"


@contextmanager
def dask(workers: int) -> Iterator[Any]:
    """Yield a client of so many worker processes of one thread, which end with the block."""
    from distributed import Client, LocalCluster

    options = {"n_workers": workers, "threads_per_worker": 1, "dashboard_address": ":0"}
    with LocalCluster(**options) as cluster, Client(cluster) as client:
        client.wait_for_workers(workers)
        yield client


def peak_memory() -> int:
    """Return the most bytes of memory that this process had."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


def loopback_bytes() -> int:
    """Return the bytes sent so far on this namespace's loopback device, headers included."""
    lines = Path("/proc/net/dev").read_text().splitlines()
    (counts,) = [line.partition(":")[2] for line in lines if line.strip().startswith("lo:")]
    return int(counts.split()[0])
