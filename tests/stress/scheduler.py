"""A scheduler of Dask that is killed in mid-run; in two runs of three it is started again.

Workers are started again when they end, as systemd or a batch system does. Where the scheduler
comes back, the run must end in the same bits. Where it stays away, the run must end in one of the
errors of ``docs/guide/many_machines.md``, and never hang.
"""

import pickle
import random
import socket
import subprocess
import time
from collections import Counter

from .clusters import GENERATIONS, kill, program, scheduler, supervised, undisturbed

LIMIT = 300.0  # seconds after which a run hangs
AWAY = 8.0  # seconds for which the scheduler is away at most; clients wait 30 for it
ERRORS = ("CancelledError", "ConnectionError")


def run(count, seed):
    draw, counts = random.Random(seed), Counter(restarts=0, losses=0, same=0, errors=0, hangs=0, wrong=0)
    expected = pickle.dumps(undisturbed(GENERATIONS)).hex()
    for i in range(count):
        comes_back = i % 3 < 2
        start = time.perf_counter()
        end = attack(("values", "numbers")[i % 2], comes_back, draw)
        counts["restarts" if comes_back else "losses"] += 1
        found = judged(end, expected)
        counts[found] += 1
        counts["wrong"] += found != ("same" if comes_back else "errors")
        if found != "same":
            seconds = time.perf_counter() - start
            print(f"run {i} of seed {seed} ended after {seconds:.0f} s: {end[:300]}", flush=True)
    return counts


def judged(end, expected):
    """Return the count that an end belongs to."""
    if end == expected:
        return "same"
    if end == "hangs":
        return "hangs"
    return "errors" if end.partition(":")[0] in ERRORS else "other"


def attack(rows, comes_back, draw):
    """Return the last line of a run whose scheduler is killed at a random moment."""
    address = f"tcp://127.0.0.1:{free_port()}"
    with (
        supervised(address, 2),
        program(*("-m", f"{__package__}.dask_run", address, rows), log=subprocess.PIPE) as main,
    ):
        with scheduler(address) as first:
            for _ in range(draw.randrange(1, GENERATIONS - 2)):
                main.stdout.readline()
            time.sleep(draw.uniform(0, 0.3))
            kill(first)
        if not comes_back:
            return last_line(main)
        time.sleep(draw.uniform(0, AWAY))
        with scheduler(address):
            return last_line(main)


def last_line(main):
    """Return the last line of a program, or "hangs"."""
    try:
        output, _ = main.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        return "hangs"
    return (output.decode().splitlines() or ["no output"])[-1]


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]
