"""Threads that run `evolve` while their process forks and starts others that do: the same bits.

Nothing may hang: whatever has not ended after a while is a finding.
"""

import hashlib
import multiprocessing
import os
import random
import select
import signal
import sys
import threading
import warnings
from concurrent.futures import ProcessPoolExecutor

import numpy as np

import evoopt

KINDS = ("SNES", "CMAES", "LMMAES", "DeepGA")
THREADS = 3
WORKERS = 2
LONGEST = 120.0  # seconds


def digest(kind):
    """Return the digest of a run: many parameters, for which kernels use several threads."""
    n = 20 if kind == "CMAES" else 40_000
    es = getattr(evoopt, kind)(np.ones(n), 0.5, popsize=16, seed=1)
    evoopt.evolve(es, lambda population: (population**2).sum(axis=1), max_generations=4)
    return hashlib.blake2b(es.mean.tobytes() + es.ask().tobytes()).digest()


def run(count, seed):
    """Start so many processes, by each of `WAYS` in turn, while threads run."""
    draw, counts = random.Random(seed), {"processes": 0, "runs of threads": 0, "hangs": 0, "wrong": 0}
    evoopt.set_num_threads(2)
    expected, is_over, results = {kind: digest(kind) for kind in KINDS}, threading.Event(), []

    def work(number):
        while not is_over.is_set():
            kind = KINDS[(number + len(results)) % len(KINDS)]
            results.append(digest(kind) == expected[kind])

    threads = [threading.Thread(target=work, args=(i,), daemon=True) for i in range(THREADS)]
    for thread in threads:
        thread.start()
    for i in range(count):
        way, kind = WAYS[i % len(WAYS)], draw.choice(KINDS)
        try:
            found = way(kind)
        except TimeoutError:
            counts["hangs"] += 1
            found = []
        counts["processes"] += 1
        if not found or set(found) != {expected[kind]}:
            print(way.__name__, kind, len(found), file=sys.stderr)
            counts["wrong"] += 1
    is_over.set()
    for thread in threads:
        thread.join(LONGEST)
    counts["hangs"] += sum(thread.is_alive() for thread in threads)
    counts["runs of threads"] = len(results)
    counts["wrong"] += results.count(False) + sum(thread.is_alive() for thread in threads)
    return counts


def by_fork(kind):
    """Return the digest of a run in a forked process."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python warns of threads
        child = os.fork()
    if not child:
        os.write(writing, digest(kind))
        os._exit(0)
    os.close(writing)
    ready, _, _ = select.select([reading], [], [], LONGEST)
    found = [os.read(reading, 64)] if ready else []
    os.close(reading)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    if not ready:
        raise TimeoutError
    return found


def by_pool(method, kind):
    """Return the digests of runs in the processes of a pool."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with ProcessPoolExecutor(WORKERS, mp_context=multiprocessing.get_context(method)) as pool:
            futures = [pool.submit(digest, kind) for _ in range(WORKERS)]
            processes = [*pool._processes.values()]
            try:
                return [future.result(LONGEST) for future in futures]
            except TimeoutError:
                for process in processes:
                    process.kill()
                raise


def by_forked_pool(kind):
    return by_pool("fork", kind)


def by_server(kind):
    return by_pool("forkserver", kind)


def by_spawned_pool(kind):
    return by_pool("spawn", kind)


WAYS = (by_fork, by_forked_pool, by_fork, by_server, by_fork, by_forked_pool, by_fork, by_spawned_pool)
