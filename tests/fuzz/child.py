"""A process that runs programs and may die."""

import json
import os
import resource
import shutil
import sys
import time
from pathlib import Path
from typing import TextIO

import evoopt
from evoopt.strategies.contract.registry import REGISTRY

from .judge import run
from .names import NAMES
from .programs import make
from .state import fingerprint

ROOM = 6 << 30  # bytes of address space, beyond the size at the start


def work(seed: int, first: int, last: float, seconds: float, only: str | None, report: TextIO) -> None:
    """Run programs from `first` to `last` while there is time; report each before and after."""
    resource.setrlimit(resource.RLIMIT_AS, (_size() + ROOM,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    shared = {name: fingerprint(value) for name, value in NAMES.items()}
    known, end, index = dict(REGISTRY), time.monotonic() + seconds, first
    while index < last and time.monotonic() < end:
        print(json.dumps({"begins": index}), file=report, flush=True)
        evoopt.set_num_threads(2)
        folder = Path("files")
        folder.mkdir()
        program = make(seed, index, only)
        outcome, found = run(program, folder)
        REGISTRY.clear()
        REGISTRY.update(known)
        shutil.rmtree(folder)
        stray = os.listdir()
        for each in stray:
            shutil.rmtree(each) if os.path.isdir(each) else os.remove(each)
        entry = {
            "name": program.name,
            "outcome": outcome,
            "found": [vars(each) for each in found],
            "index": index,
        }
        print(json.dumps(entry), file=report, flush=True)
        index += 1
    changed = [name for name, value in NAMES.items() if fingerprint(value) != shared[name]]
    print(json.dumps({"ends": index, "changed": changed}), file=report, flush=True)


def _size() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def main() -> None:
    """Read the arguments that `runner` passes, and work in the current folder."""
    seed, first, last, seconds, only, path = sys.argv[1:]
    with open(path, "a", encoding="utf-8") as report:
        work(int(seed), int(first), float(last), float(seconds), only or None, report)


if __name__ == "__main__":
    main()
