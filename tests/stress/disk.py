"""A disk that is full while files are written: OSError, the old file is whole, and nothing is left.

The disk is a small file system in memory, where this process may mount one. Elsewhere no file may
grow beyond a size.
"""

import os
import random
import resource
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import numpy as np

import evoopt

from .runs import step

DISK = 8 << 20  # bytes
NUMBERS = 50_000  # in a file
LINES = 400  # of a log, in a write
FILLER = "filler"


def run(count, seed):
    """Write so often to a disk with little room, by each of `WRITERS` in turn."""
    draw, counts = random.Random(seed), {"writes": 0, "full": 0, "wrong": 0}
    with tempfile.TemporaryDirectory() as folder, small_disk(folder) as room:
        files = []
        for name, writer in WRITERS.items():
            path = Path(folder, name)
            files.append((path, *writer(path)))
            files[-1][1](1)
        written = [1] * len(files)
        for i in range(count):
            place = i % len(files)
            path, write, read = files[place]
            old, number = path.read_bytes(), i // len(files) + 2
            with room(draw.randrange(len(old) * 5 // 4)):
                try:
                    write(number)
                    written[place] = number
                except OSError:
                    counts["full"] += 1
                    counts["wrong"] += path.read_bytes() != old
            counts["writes"] += 1
            counts["wrong"] += read() != written[place] or {*os.listdir(folder)} != {*WRITERS}
    return counts


# ---------------------------------------------------------------- disks


@contextmanager
def small_disk(folder):
    """Make a folder a small disk; yield a context in which it has room for so many bytes."""
    if shutil.which("mount") and not _mount(folder):
        try:
            yield lambda free: _filled(folder, free)
        finally:
            subprocess.run(["umount", folder], check=True)
    else:
        yield _limited


def _mount(folder):
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", folder]
    return subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode


@contextmanager
def _filled(folder, free):
    disk, filler = os.statvfs(folder), Path(folder, FILLER)
    filler.write_bytes(bytes(max(disk.f_bavail * disk.f_frsize - free, 0)))
    try:
        yield
    finally:
        filler.unlink()


@contextmanager
def _limited(size):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


# ---------------------------------------------------------------- writers


def strategies(path):
    es = evoopt.SNES(np.zeros(NUMBERS), 0.5, popsize=4, seed=1)

    def write(number):
        while es.generation < number:
            step(es)
        es.save(path)

    return write, lambda: evoopt.load(path).generation


def logs(path):
    es, log = evoopt.SNES([1.0, 2.0], 0.5, popsize=4, seed=1, noisy=True), evoopt.CSVLogger(path)

    def write(number):
        while es.generation < number * LINES:
            step(es)
        log(es)

    def read():
        rows = np.loadtxt(path, delimiter=",", skiprows=1)
        expected = np.array([*es.history.values()]).T[: len(rows)]
        return len(rows) / LINES if np.array_equal(rows, expected, equal_nan=True) else None

    return write, read


def parameters(path):
    def write(number):
        evoopt.save_params(path, {"kernel": np.full(NUMBERS, float(number))})

    return write, lambda: the_one(evoopt.load_params(path))


def tensors(path):
    def write(number):
        evoopt.save_safetensors(path, {"kernel": np.full(NUMBERS, float(number))})

    return write, lambda: the_one(evoopt.load_safetensors(path)[0])


def the_one(tree):
    """Return the number that a whole file is full of."""
    (number,) = {*tree["kernel"].tolist()}
    return number


# By name, functions of a path that return two: `write(number)` writes a file that holds a number in
# some way, and `read()` returns it.
WRITERS = {
    "Strategy.save": strategies,
    "CSVLogger": logs,
    "save_params": parameters,
    **({"save_safetensors": tensors} if find_spec("safetensors") else {}),
}
