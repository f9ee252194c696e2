"""Processes that run programs one after the other; if one dies or hangs, another goes on."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .programs import Program, make

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0  # seconds for one program, compilation included


@dataclass
class Report:
    """The results of many programs: a count of the calls of each name, and each finding once."""

    calls: Counter[tuple[str, str]] = field(default_factory=Counter)
    findings: dict[str, str] = field(default_factory=dict)
    times: Counter[str] = field(default_factory=Counter)

    def add(self, program: Program, kind: str, place: str, text: str, lines: int) -> None:
        """Count a finding; keep its script if it is new."""
        key = f"{kind} at {place}"
        self.times[key] += 1
        shown = Program(program.name, program.lines[: lines + 1], program.writes)
        self.findings.setdefault(key, f"# {program.name}: {kind} at {place}\n# {text}\n{shown.script()}")


def fuzz(seed: int, seconds: float, only: str | None = None, last: float = float("inf")) -> Report:
    """Run programs for some seconds, or up to number `last`."""
    report, index, end = Report(), 0, time.monotonic() + seconds
    while index < last and time.monotonic() < end:
        with tempfile.TemporaryDirectory() as folder:
            index = _one_process(report, seed, index, last, end, only, Path(folder))
    return report


def _one_process(
    report: Report, seed: int, index: int, last: float, end: float, only: str | None, folder: Path
) -> int:
    """Run one process to its end; return the number of the next program."""
    (folder / "work").mkdir()
    path = folder / "report"
    path.touch()
    left = str(max(end - time.monotonic(), 0.1))
    command = [
        sys.executable,
        "-m",
        "tests.fuzz.child",
        str(seed),
        str(index),
        str(last),
        left,
        only or "",
        str(path),
    ]
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    with (folder / "output").open("wb") as output, path.open(encoding="utf-8") as lines:
        process = subprocess.Popen(
            command, cwd=folder / "work", stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            env={**os.environ, "PYTHONPATH": paths, "MPLBACKEND": "agg"}, start_new_session=True,
        )  # fmt: skip
        running, ended = index, False
        for entry in _entries(process, lines):
            running = entry.get("begins", running)
            ended = ended or "ends" in entry
            if "outcome" in entry:
                _note(report, make(seed, running, only), entry)
            elif entry.get("changed"):
                report.add(make(seed, running, only), "shared", "names", str(entry["changed"]), 0)
    if ended:
        return running + 1
    text = (folder / "output").read_text(errors="replace")[-2000:]
    kind = "hang" if process.returncode == -9 else "crash"
    program = make(seed, running, only)
    report.add(program, kind, program.name, f"exit code {process.returncode}: {text}", len(program.lines))
    return running + 1


def _note(report: Report, program: Program, entry: dict[str, Any]) -> None:
    report.calls[entry["name"], entry["outcome"]] += 1
    for found in entry["found"]:
        report.add(program, found["kind"], found["place"], found["text"], found["lines"])


def _entries(process: "subprocess.Popen[bytes]", lines: Any) -> Iterator[dict[str, Any]]:
    """Yield the entries that a process reports; kill it if it is silent for too long."""
    seen = time.monotonic()
    while True:
        is_over = process.poll() is not None
        line = lines.readline()
        while line:
            while not line.endswith("\n"):
                line += lines.readline()
            seen = time.monotonic()
            yield json.loads(line)
            line = lines.readline()
        if is_over:
            return
        if time.monotonic() - seen > PATIENCE:
            process.kill()
            process.wait()
        time.sleep(0.05)
