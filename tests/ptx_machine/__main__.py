"""Run ``python -m tests.ptx_machine [OPTION ...] SCRIPT|-m MODULE|-c CODE [ARGUMENT ...]``.

The exit code is the program's, or 3 if there are findings.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from .build import why_no_kernels, why_not
from .environment import environment, make_folder
from .report import read

FOUND = 3


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the options; the rest of the arguments is the program."""
    parser = argparse.ArgumentParser(
        "python -m tests.ptx_machine", description="Run a program on the PTX machine."
    )
    add = parser.add_argument
    add("--eager", action="store_true", help="do queued work at once, not as late as possible")
    add("--no-races", action="store_true", help="ignore races in global memory")
    add("--ulps", type=int, default=2, help="the error of approximate instructions (default: 2 units)")
    add("--launches", action="store_true", help="log a line for each launch")
    add("--log", type=Path, help="the file for findings and counts")
    add("--why-not", action="store_true", help="print why the machine cannot run here, and end")
    for flag, what in (("-m", "module"), ("-c", "code")):
        add(flag, nargs=argparse.REMAINDER, help=f"{what} to run, and its arguments")
    add("script", nargs=argparse.REMAINDER, help="or a script, and its arguments")
    options = parser.parse_args(arguments)
    options.program = ["-m", *options.m] if options.m else ["-c", *options.c] if options.c else options.script
    if not options.program and not options.why_not:
        parser.error("a program is missing")
    return options


def run(options: argparse.Namespace, log: Path) -> int:
    """Run the program, and print the findings."""
    variables = {"PTX_ULPS": str(options.ulps)}
    variables |= {"PTX_EAGER": "1"} if options.eager else {}
    variables |= {"PTX_RACES": "0"} if options.no_races else {}
    variables |= {"PTX_LAUNCHES": "1"} if options.launches else {}
    command = [sys.executable, *options.program]
    done = subprocess.run(command, env=environment(make_folder(), log, **variables), check=False)
    report = read(log.read_text() if log.exists() else "")
    print(*report.lines(), sep="\n", file=sys.stderr)
    return done.returncode or (FOUND if report.findings else 0)


def main() -> int:
    options = parse()
    reason = why_not() or why_no_kernels()
    if options.why_not:
        print(reason or "", end="")
        return 0
    if reason:
        sys.exit(reason)
    if options.log:
        options.log.unlink(missing_ok=True)
        return run(options, options.log.resolve())
    with tempfile.TemporaryDirectory() as folder:
        return run(options, Path(folder) / "log")


if __name__ == "__main__":
    sys.exit(main())
