"""Counts of the calls on the data's way: ``python -m tests.trace_calls [--calls NAME]``.

It prints a table of the calls of evoopt's Python functions in the third generation; a compiled
kernel is one call. Comprehensions, callbacks of other packages, and the functions that stand for
CUDA's driver in numba's simulator (simulated.py), in which the rows of the device run, are not
counted. A *return* is a call that enters, from another file, a file that the trace has already been
in: A -> B -> A has one, A -> A -> B none.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

import evoopt

Calls = list[tuple[str, str]]  # files and names of functions, in order
HOUSE = Path(evoopt.__file__).parent
COMPREHENSIONS = ("<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>")
OUTSIDE = {"caller": "caller", "ours": "other"}  # owners of frames outside evoopt, by the frame below
DEVICES: dict[str, dict[str, str]] = {
    "cpu": {},
    "cuda": {"NUMBA_ENABLE_CUDASIM": "1", "NUMBA_DISABLE_JIT": "1"},
}
POPSIZE = 6  # the most rows of one launch in the simulator; a GPU takes 2^31 rows


def trace(function: Callable[[], Any]) -> tuple[Calls, Any]:
    """Call a function; return the calls of evoopt's functions, and its result."""
    calls: Calls = []
    frames = ["caller"]  # the owner of each open frame: the caller, ours, or another package

    def note(frame: FrameType, event: str, argument: Any) -> None:
        if event == "return":
            frames.pop()
        elif event == "call":
            path = Path(frame.f_code.co_filename)
            ours = path.is_relative_to(HOUSE) and path.name != "simulated.py"
            frames.append("other" if frames[-1] == "other" else "ours" if ours else OUTSIDE[frames[-1]])
            if frames[-1] == "ours" and frame.f_code.co_name not in COMPREHENSIONS:
                calls.append((path.relative_to(HOUSE).as_posix(), frame.f_code.co_qualname))

    sys.setprofile(note)
    try:
        result = function()
    finally:
        sys.setprofile(None)
    return calls, result


def count(calls: Calls) -> tuple[int, int, int]:
    """Return the numbers of calls, of files, and of returns."""
    files = [file for file, _ in calls]
    entered = [after for before, after in pairwise([None, *files]) if after != before]
    return len(calls), len(set(files)), len(entered) - len(set(files))


def traces(device: Any) -> dict[str, Calls]:
    """Trace the calls of two strategies, and of three functions that judge their rows."""
    net = evoopt.Network([evoopt.Dense(4, "tanh"), evoopt.Dense(2)], (4,), device=device)
    inputs = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    judges: dict[str, Callable[..., Any]] = {
        "Supervised": evoopt.Supervised(net, inputs, np.arange(6) % 2),
        "Rollout": evoopt.Rollout(net, evoopt.envs.cartpole, max_steps=3),
        "Network.forward": lambda rows: net.forward(rows, inputs),
    }
    found: dict[str, Calls] = {}
    for name in ("SNES", "CMAES"):
        es = getattr(evoopt, name)(net.init(1), 0.1, popsize=POPSIZE, seed=1, device=device)
        for _ in range(3):
            calls, rows = trace(es.ask)
            found[f"{name}.ask"] = calls
            fitness = judges["Supervised"](rows)
            found[f"{name}.tell"], _ = trace(lambda es=es, rows=rows, fitness=fitness: es.tell(rows, fitness))
    for judge, call in judges.items():
        for _ in range(3):
            found[judge], _ = trace(lambda call=call: call(rows))
    return found


def run(device: str) -> dict[str, Calls]:
    """Trace on a device, in a process of its own; return the calls."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.trace_calls", "--device", device],
        env={**os.environ, **DEVICES[device]},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: dict[str, Calls] = json.loads(done.stdout)
    return found


def main() -> None:
    """Print a table, or the calls in one of its rows."""
    parser = argparse.ArgumentParser("python -m tests.trace_calls", description="Count calls and files.")
    parser.add_argument("--calls", metavar="NAME", help="list the calls of a row, for example Supervised")
    parser.add_argument("--device", choices=DEVICES, help="print JSON of one device, in this process")
    given = parser.parse_args()
    if given.device:
        if given.device == "cuda":
            from .cuda_simulator import take_turns

            take_turns()
        print(json.dumps(traces(given.device)))
        return
    found = {device: run(device) for device in DEVICES}
    if given.calls:
        for device, by_name in found.items():
            print(device, *(f"    {file:40} {name}" for file, name in by_name[given.calls]), sep="\n")
        return
    print(f"{'':24}{'calls':>7}{'files':>7}{'returns':>9}")
    for device, by_name in found.items():
        for name, calls in by_name.items():
            print(f"{device:5} {name:18}" + "{:7}{:7}{:9}".format(*count(calls)))


if __name__ == "__main__":
    main()
