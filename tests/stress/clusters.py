"""Schedulers and workers of Dask as programs of their own, and the run that is attacked."""

import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress

import numpy as np

import evoopt

POPSIZE, GENERATIONS = 12, 20
QUIET = {"PYTHONWARNINGS": "ignore", "DASK_LOGGING__DISTRIBUTED": "critical"}


def make():
    return evoopt.SNES(np.linspace(1.0, 2.0, 5), 0.5, popsize=POPSIZE, seed=7)


def record(es):
    """Return the history, and the bits of the next rows."""
    return repr(es.history), es.evaluations, es.ask().tobytes()


def undisturbed(generations):
    """Return the record of a run without an attack."""
    es = make()
    evoopt.evolve(es, evoopt.Objective(lambda x: float((x**2).sum())), max_generations=generations)
    return record(es)


@contextmanager
def program(*arguments, prefix=(), log=None, **environment):
    """Run a Python program in a process group of its own, until the block ends."""
    process = subprocess.Popen(
        [*prefix, sys.executable, *map(str, arguments)],
        stdout=log or subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
        env={**os.environ, **QUIET, **environment},
        start_new_session=True,
    )
    try:
        yield process
    finally:
        kill(process)


def kill(process):
    """Kill a process and its children."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def scheduler(address, **options):
    """Start a scheduler at ``tcp://host:port``."""
    host, port = address.removeprefix("tcp://").split(":")
    place = "--host", host, "--port", port, "--dashboard-address", ":0"
    return program("-m", "distributed.cli.dask_scheduler", *place, "--no-show", **options)


def worker(address, *arguments, **options):
    """Start a worker of one thread, with the nanny that starts it again when it is killed."""
    return program(
        *("-m", "distributed.cli.dask_worker", address, "--nthreads", 1, "--no-dashboard", *arguments),
        **options,
    )


@contextmanager
def supervised(address, number, **options):
    """Start workers again when they end, as systemd or a batch system does."""
    over = threading.Event()

    def supervise():
        while not over.is_set():
            with worker(address, **options) as process:
                while process.poll() is None and not over.wait(0.1):
                    pass

    threads = [threading.Thread(target=supervise) for _ in range(number)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()
