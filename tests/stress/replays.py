"""Killed processes that run `minimize` with a checkpoint, until one of them comes to the end.

Its result must be that of a process that was never killed, bit for bit, and a CSV file beside it
must have each evaluation once.
"""

import os
import random
import signal
import tempfile
import time
from pathlib import Path

import numpy as np
from scipy.optimize import rosen

import evoopt

LONGEST_LIFE = 0.4  # seconds, time for a part of a search
SPACE = evoopt.Space(
    rate=evoopt.Real(1e-4, 1, log=True), size=evoopt.Integer(1, 50), kind=evoopt.Choice("a", "b")
)
PAUSE = 5e-4  # seconds of an evaluation


def vector(x):
    time.sleep(PAUSE)
    return rosen(x)


def rows(population):
    time.sleep(PAUSE)
    return rosen(population.T)


def values(of):
    time.sleep(PAUSE)
    return abs(np.log10(of["rate"]) + 2) + abs(of["size"] - 14) + (of["kind"] == "a")


RUNS = [
    {"fun": vector, "method": "auto"},
    {"fun": vector, "method": "auto", "options": {"noisy": True}},
    {"fun": vector, "method": "cmaes"},
    {"fun": vector, "method": "auto", "log": True},
    {"fun": rows, "method": "ipop", "vectorized": True, "options": {"popsize": 2000}},
    {"fun": values, "x0": None, "bounds": SPACE},
]


def run(count, seed):
    """Kill so many processes; return how many, how many runs had an end, and the wrong ones."""
    draw = random.Random(seed)
    evoopt.set_num_threads(1)  # a process must have no threads when it forks
    counts = {"kills": 0, "ends": 0, "wrong": 0}
    references = [bits(search(Path(os.devnull), each, None)) for each in RUNS]
    while counts["kills"] < count:
        each = counts["ends"] % len(RUNS)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "run.log")
            while not Path(folder, "end").exists():
                counts["kills"] += killed(Path(folder), RUNS[each], draw.uniform(0, LONGEST_LIFE))
            counts["ends"] += 1
            counts["wrong"] += Path(folder, "end").read_text() != references[each]
            counts["wrong"] += Path(folder, "log.csv").exists() and not has_each_evaluation(folder, path)
    return counts


def search(folder, given, checkpoint):
    """Run a search of the table."""
    arguments = {"x0": [-1.2, 1.0, 1.0, 1.0], **given}
    options = {"seed": 3, "maxfun": 20_000 if "vectorized" in given else 300, **arguments.pop("options", {})}
    if arguments.pop("log", False) and checkpoint is not None:
        options["log"] = folder / "log.csv"
    return evoopt.minimize(**arguments, options=options, checkpoint=checkpoint)


def bits(result):
    """Return all of a result as text."""
    return repr({name: value.tobytes() if name == "x" else value for name, value in result.items()})


def killed(folder, given, seconds):
    """Fork a process that goes on with a search; kill it after some seconds, if it has no end."""
    child = os.fork()
    if not child:
        found = bits(search(folder, given, folder / "run.log"))
        Path(folder, "part").write_text(found)
        os.replace(folder / "part", folder / "end")
        os._exit(0)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and not Path(folder, "end").exists():
        raise RuntimeError("A search ended with an exception.")
    return int(os.WIFSIGNALED(status))


def has_each_evaluation(folder, path):
    """Whether the CSV file has as many evaluations as the checkpoint."""
    lines = Path(folder, "log.csv").read_bytes().count(b"\n") - 1
    header = b"\n".join(path.read_bytes().split(b"\n", 2)[:2])
    return lines == (path.stat().st_size - len(header) - 1) // (8 * 4 + 20)
