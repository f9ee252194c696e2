"""Main processes of pools that are killed, or stopped by Ctrl-C: no process is left over.

A program with a pool of processes is killed at a random moment, and ten seconds later none of its
processes may run. After Ctrl-C it must print its result, and nothing on stderr.
"""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
MARK = "EVOOPT_STRESS_ORPHANS"  # the environment variable by which the processes are found
GRACE = 10.0  # seconds in which processes must end
LONGEST_LIFE = 1.5  # seconds after the pool was made
START = 120.0  # seconds in which a program must have begun

WORKERS = 3
PROGRAM = (
    f"WORKERS = {WORKERS}"
    + """
import multiprocessing, os, sys, time
from concurrent.futures import ProcessPoolExecutor
import numpy as np
import evoopt

def slow(x):
    open(f"{sys.argv[2]}.{os.getpid()}", "a").close()
    time.sleep(0.02)
    return float((x**2).sum())

if __name__ == "__main__":
    es = evoopt.SNES(np.ones(3), 0.5, popsize=8, seed=1, noisy=True)
    context = multiprocessing.get_context(sys.argv[1])
    with ProcessPoolExecutor(WORKERS, mp_context=context) as pool:
        open(sys.argv[3], "a").close()
        workers = evoopt.Workers(pool, rows=sys.argv[4])
        print(evoopt.evolve(es, evoopt.Objective(slow), executor=workers).stop[0][0])
"""
)


def run(count, seed):
    """End so many programs, each second one by Ctrl-C."""
    draw, counts = random.Random(seed), {"programs": 0, "left over": 0, "wrong": 0}
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder, "program.py")
        program.write_text(PROGRAM)
        for i in range(count):
            method, rows = ("fork", "spawn", "forkserver")[i % 3], ("values", "numbers")[i // 3 % 2]
            mark = f"{os.getpid()}-{i}"
            signs = [Path(folder, f"{sign}{i}-") for sign in ("row", "pool")]
            args = [sys.executable, program, method, *signs, rows]
            is_killed = i // 6 % 2 == 0
            end = killed if is_killed else interrupted
            fault = end(args, mark, draw.uniform(0, LONGEST_LIFE))
            left = left_over(mark)
            counts["programs"] += 1
            counts["left over"] += len(left)
            if left or fault:
                print(end.__name__, method, rows, left, fault, file=sys.stderr)
                counts["wrong"] += 1
            for process in left:
                os.kill(process, signal.SIGKILL)
    return counts


def started(args, mark, sign, number):
    """Start a program in a process group, and wait until it has made so many files `sign`*."""
    environment = {**os.environ, MARK: mark, "PYTHONPATH": str(ROOT)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(args, env=environment, start_new_session=True, **pipes)
    end = time.monotonic() + START
    while process.poll() is None and time.monotonic() < end:
        if len([*sign.parent.glob(f"{sign.name}*")]) >= number:
            break
        time.sleep(0.005)
    return process


def killed(args, mark, seconds):
    """Kill the main process some time after it has made its pool; return a fault or nothing."""
    process = started(args, mark, args[-2], 1)
    time.sleep(seconds)
    process.kill()
    process.wait()
    process.stdout.close()
    process.stderr.close()
    return ""


def interrupted(args, mark, seconds):
    """Send SIGINT to all processes, as a terminal does, some time after all workers have begun."""
    process = started(args, mark, args[-3], WORKERS)
    time.sleep(seconds)
    os.killpg(process.pid, signal.SIGINT)
    try:
        out, err = process.communicate(timeout=GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        return "the program hangs"
    return "" if (process.returncode, out, err) == (0, "interrupted\n", "") else f"{out}{err}"


def left_over(mark):
    """Return the processes with a mark that still run after the time of grace."""
    end = time.monotonic() + GRACE
    while (found := marked(mark)) and time.monotonic() < end:
        time.sleep(0.05)
    return found


def marked(mark):
    """Return the processes with a mark in their environment, without those that are dead."""
    sign, found = f"{MARK}={mark}\0".encode(), []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            is_ours = sign in Path(folder, "environ").read_bytes() + b"\0"
            if is_ours and Path(folder, "stat").read_text().rpartition(")")[2].split()[0] != "Z":
                found.append(int(folder.name))
        except OSError:  # it has ended
            continue
    return found
