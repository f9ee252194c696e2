"""Killed processes that save in a loop: the file is whole, the next save removes leftovers."""

import os
import random
import signal
import tempfile
import time
from pathlib import Path

import evoopt

from .runs import KINDS, Reference, make, step

LONGEST_LIFE = 0.06  # seconds after the first save, time for some saves


def run(count, seed):
    draw = random.Random(seed)
    evoopt.set_num_threads(1)  # a process must have no threads when it forks
    counts = {"kills": 0, "leftovers": 0, "wrong": 0}
    references = {}
    for i in range(count):
        kind = KINDS[i % len(KINDS)]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "run.npz")
            saved_until_killed(kind, path, draw.uniform(0, LONGEST_LIFE))
            counts["kills"] += 1
            counts["leftovers"] += len(os.listdir(folder)) - 1
            es = evoopt.load(path)
            if kind not in references or references[kind].generation > es.generation:
                references[kind] = Reference(kind)
            counts["wrong"] += not references[kind].has(es)
            es.save(path)
            counts["wrong"] += os.listdir(folder) != ["run.npz"]
    return counts


def saved_until_killed(kind, path, seconds):
    """Fork a process that saves each generation, and kill it some seconds after its first save."""
    es = make(kind)
    step(es)  # compiles
    child = os.fork()
    if not child:
        while True:
            step(es)
            es.save(path)
    while not path.exists():
        time.sleep(0.001)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
