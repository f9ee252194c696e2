"""A network partition between a scheduler of Dask and one of its workers, in mid-run.

The worker lives in a network namespace of its own, and its link goes down for good or for some
seconds. Two namespaces are made and removed, which takes root and ``ip`` of the package iproute2.
Dask learns of the partition after `SILENCE`; then the jobs go to the other worker.
"""

import os
import pickle
import random
import shutil
import subprocess
import time
from collections import Counter
from contextlib import ExitStack, contextmanager

from .clusters import GENERATIONS, program, scheduler, undisturbed, worker
from .scheduler import judged, last_line

SILENCE = "12s"  # after which Dask takes a worker, or a connection, for dead
SETTINGS = {
    "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": SILENCE,
    "DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP": SILENCE,
}
SHORT = 3.0  # seconds of a partition that Dask need not notice
ADDRESS = "tcp://10.111.0.1:8786"


def run(count, seed):
    if reason := why_not():
        print(f"No partition was made: {reason}.")
        return {"partitions": 0, "wrong": 0}
    draw, counts = random.Random(seed), Counter(partitions=0, same=0, errors=0, hangs=0, wrong=0)
    expected = pickle.dumps(undisturbed(GENERATIONS)).hex()
    for i in range(count):
        end = attack(("values", "numbers")[i % 2], i % 4 < 2, draw)
        counts["partitions"] += 1
        counts[judged(end, expected)] += 1
        if end != expected:
            print(f"run {i} of seed {seed}: {end[:300]}", flush=True)
    counts["wrong"] = count - counts["same"]
    return counts


def why_not():
    """Return why no network namespace can be made here; None if it can."""
    if shutil.which("ip") is None:
        return "the command ip is missing, which the package iproute2 has"
    name = f"evoopt-{os.getpid()}-try"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if made.returncode:
        return f"network namespaces are not permitted ({made.stderr.strip()})"
    ip("netns", "delete", name)
    return None


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def attack(rows, for_good, draw):
    """Return the last line of a run in which a worker's link goes down at a random moment."""
    with ExitStack() as stack:
        here, there = stack.enter_context(namespaces())
        stack.enter_context(scheduler(ADDRESS, prefix=here, **SETTINGS))
        for place in here, there:
            stack.enter_context(worker(ADDRESS, prefix=place, **SETTINGS))
        command = "-m", f"{__package__}.dask_run", ADDRESS, rows
        main = stack.enter_context(program(*command, prefix=here, log=subprocess.PIPE, **SETTINGS))
        for _ in range(draw.randrange(1, GENERATIONS - 5)):
            main.stdout.readline()
        time.sleep(draw.uniform(0, 0.3))
        subprocess.run([*here, "ip", "link", "set", "evoopt0", "down"], check=True)
        if not for_good:
            time.sleep(draw.uniform(0, SHORT))
            subprocess.run([*here, "ip", "link", "set", "evoopt0", "up"], check=True)
        return last_line(main)


@contextmanager
def namespaces():
    """Make two namespaces with a cable between them; yield how a command runs in each."""
    names = [f"evoopt-{os.getpid()}-{side}" for side in "ab"]
    with ExitStack() as stack:
        for name in names:
            ip("netns", "add", name)
            stack.callback(ip, "netns", "delete", name)
        sides = [["ip", "netns", "exec", name] for name in names]
        ip(
            "-n",
            names[0],
            "link",
            "add",
            "evoopt0",
            "type",
            "veth",
            "peer",
            "name",
            "evoopt1",
            "netns",
            names[1],
        )
        for i, name in enumerate(names):
            ip("-n", name, "address", "add", f"10.111.0.{i + 1}/24", "dev", f"evoopt{i}")
            for device in "lo", f"evoopt{i}":
                ip("-n", name, "link", "set", device, "up")
        yield sides
