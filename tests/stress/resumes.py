"""Runs of `evolve` that are killed again and again: the last resumed one has the whole run's bits.

The process group is killed, because the workers of a killed process would wait for ever.
"""

import hashlib
import itertools
import math
import multiprocessing
import os
import pickle
import random
import signal
import tempfile
import time
import traceback
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext, suppress
from pathlib import Path

import evoopt

from .runs import KINDS, fitness, make

GENERATIONS = 30
LONGEST_LIFE = {"alone": 0.2, "pool": 0.5}  # seconds, time for some generations


def run(count, seed):
    draw = random.Random(seed)
    evoopt.set_num_threads(1)  # a process must have no threads when it forks
    counts = {"kills": 0, "resumed": 0, "runs": 0, "wrong": 0}
    ways = itertools.cycle((kind, way) for kind in KINDS for way in LONGEST_LIFE)
    expected = {}
    while counts["kills"] < count:
        kind, way = next(ways)
        if kind not in expected:
            expected[kind] = digest(evolved(kind, "alone"))
        with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as results:
            paths = Path(folder, "run.npz"), Path(results, "result")
            found = killed_until_done(kind, way, *paths, draw, counts, count)
            counts["runs"] += 1
            counts["wrong"] += found != expected[kind] or os.listdir(folder) != ["run.npz"]
    return counts


def killed_until_done(kind, way, path, result, draw, counts, count):
    """Run in forked processes, killed at random moments up to a count; return the digest."""
    while not result.exists():
        child = os.fork()
        if not child:
            _live(kind, way, path, result)
        counts["resumed"] += path.exists() and evoopt.load(path).generation > 0
        life = draw.uniform(0, LONGEST_LIFE[way]) if counts["kills"] < count else math.inf
        if not _ended(child, life):
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            counts["kills"] += 1
    return result.read_text()


def _live(kind, way, path, result):
    """Be a process, with a group of its own, that evolves and writes down its result."""
    try:
        os.setpgid(0, 0)
        text = digest(evolved(kind, way, path))
        result.with_suffix(".new").write_text(text)
        result.with_suffix(".new").rename(result)
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def _ended(child, seconds):
    """Wait for a process; return whether it ended by itself."""
    with suppress(ProcessLookupError, PermissionError):
        os.setpgid(child, child)  # it may not have come so far
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found, status = os.waitpid(child, os.WNOHANG)
        if status:
            raise RuntimeError("A resumed run failed, see above.")
        if found:
            return True
        time.sleep(0.001)
    return False


def evolved(kind, way, path=None):
    es = make(kind)
    options = {"checkpoint": path, "every": 0.0, "max_generations": GENERATIONS}
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(2, context) if way == "pool" else nullcontext() as executor:
        return evoopt.evolve(es, fitness, executor=executor, **options)


def digest(result):
    """Return a digest of all that must not depend on interruptions."""
    content = (
        *(result.x.tobytes(), result.fun, result.nit, result.nfev, result.status, result.message),
        repr(result.history),
    )
    return hashlib.blake2b(pickle.dumps(content)).hexdigest()
