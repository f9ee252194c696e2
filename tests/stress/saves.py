"""Saves at random moments, by a signal handler or another thread: each is a whole state."""

import random
import signal
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import evoopt

from .runs import KINDS, Reference, make, step

LONGEST_WAIT = 0.003  # seconds between two saves, time for some generations


def run(count, seed):
    draw = random.Random(seed)
    counts = {"saves": 0, "wrong": 0}
    ways = [(kind, way) for kind in KINDS for way in (by_signal, by_thread)]
    with tempfile.TemporaryDirectory() as folder:
        for i, (kind, way) in enumerate(ways):
            share = (count + i) // len(ways)
            paths = [Path(folder, f"{i}-{k}.npz") for k in range(share)]
            attack(make(kind), way, paths, draw)
            reference = Reference(kind)
            states = sorted((evoopt.load(path) for path in paths), key=lambda es: es.generation)
            counts["saves"] += len(states)
            counts["wrong"] += sum(not reference.has(es) for es in states)
    return counts


def attack(es, way, paths, draw):
    """Run a strategy until it is saved to all paths."""
    left = list(paths)
    step(es)  # compiles
    with way(lambda: es.save(left.pop()), left, draw):
        while left:
            step(es)


@contextmanager
def by_signal(save, left, draw):
    def handle(*_):
        if left:
            save()
            signal.setitimer(signal.ITIMER_REAL, draw.uniform(1e-6, LONGEST_WAIT))

    before = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, LONGEST_WAIT)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def by_thread(save, left, draw):
    def work():
        while left:
            time.sleep(draw.uniform(0, LONGEST_WAIT))
            save()

    thread = threading.Thread(target=work)
    thread.start()
    yield
    thread.join()
