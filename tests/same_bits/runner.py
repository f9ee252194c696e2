"""Processes that run the cases with the evoopt of a commit and of the working tree."""

import io
import json
import os
import subprocess
import sys
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .comparison import Digests

ROOT = Path(__file__).parents[2]


def export(commit: str, folder: Path) -> None:
    """Write the package of a commit into a folder."""
    done = subprocess.run(["git", "archive", commit, "evoopt"], cwd=ROOT, capture_output=True, check=False)
    if done.returncode:
        sys.exit(done.stderr.decode())
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="data")


def run_both(before: Path, after: Path, only: str) -> tuple[Digests, Digests]:
    """Run the cases with the packages in two folders, side by side; return the digests."""
    with ThreadPoolExecutor() as threads:
        first, second = threads.map(lambda folder: digests(folder, only), (before, after))
    return first, second


def digests(folder: Path, only: str) -> Digests:
    """Return the digests of the cases whose name contains a text, with the package in a folder."""
    # Both sides run the cases of the working tree; with -P Python searches no other folder.
    path = os.pathsep.join([str(folder), str(ROOT)])
    command = [sys.executable, "-P", "-m", "tests.same_bits.child", str(folder.resolve()), only]
    # Threads of BLAS that share cores spend their time in busy waiting.
    variables = {**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, env=variables, stdout=subprocess.PIPE, text=True, check=False)
    found: Digests = dict(json.loads(line) for line in done.stdout.splitlines())
    if done.returncode:
        last = next(reversed(found), "no case")
        raise ChildProcessError(f"The cases of {folder} ended with {done.returncode}, after {last!r}.")
    return found
