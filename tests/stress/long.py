"""A run of very many generations: neither its memory nor the time of a generation grows.

`history` has all generations, by design, so its size is subtracted.
"""

import gc
import resource
import sys
import time
from pathlib import Path

import numpy as np

import evoopt

BLOCKS = 20  # parts of the run, each of which is measured; the first one fills caches
SLACK = 4 << 20  # bytes that a process may take and return without a leak
BYTES = 4  # of a generation, which would be a leak in the long run
SLOWER = 1.5  # times the first blocks, on a machine with other work
GRAIN = 16  # bytes: Python takes memory for a number in multiples of it


def run(count, seed):
    """Run a CMAES of two parameters on noise for so many generations."""
    rng = np.random.default_rng(seed)
    es = evoopt.CMAES([1.0, 2.0], 0.5, popsize=4, noisy=True, seed=seed)
    measured = []

    def task(population):
        return (population**2).sum(axis=1) + rng.normal(size=len(population))

    def look(es):
        if es.generation % (count // BLOCKS) == 0:
            measured.append((time.process_time(), *sizes(es)))

    evoopt.evolve(es, task, max_generations=count, callback=look)
    times, memory, blocks, objects = np.array(measured).T
    seconds, half = np.diff(times), BLOCKS // 2
    first, last = seconds[: half - 1].min(), seconds[half:].min()
    most = SLACK + BYTES * count
    faults = [
        memory[-1] - memory[0] > most,
        blocks[-1] - blocks[0] > 1000,
        objects[-1] - objects[0] > 100,
        last > SLOWER * first,
    ]
    return {
        "generations": es.generation,
        "microseconds of a generation, first": round(first / count * BLOCKS * 1e6),
        "microseconds of a generation, last": round(last / count * BLOCKS * 1e6),
        "kB of history": size_of(es.history) // 1000,
        "kB grown besides": int(memory[-1] - memory[0]) // 1000,
        "blocks of Python's memory grown besides": int(blocks[-1] - blocks[0]),
        "wrong": int(sum(faults)),
    }


def sizes(es):
    """Return bytes in use, blocks of Python's allocator and objects, all without the history."""
    gc.collect()
    used = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    blocks = sys.getallocatedblocks() - sum(len(row) for row in rows_of(es.history))
    return used - size_of(es.history), blocks, len(gc.get_objects())


def size_of(history):
    """Return the bytes of a history: its lists, and the numbers that they hold."""
    numbers = sum(sum(row.values()) for row in rows_of(history))
    return sum(map(sys.getsizeof, history.values())) + numbers


def rows_of(history):
    """Yield the bytes of the numbers of each generation, each once."""
    for row in zip(*history.values(), strict=True):
        yield {id(value): -(-sys.getsizeof(value) // GRAIN) * GRAIN for value in row}
