"""``python -m tests.fuzz [--seconds 600] [--seed 1] [--only NAME] [--calls N]``; 1: findings."""

import argparse
import sys
from collections import Counter

from .runner import Report, fuzz


def main() -> int:
    """Run programs; print the counts, and last, where a log is read first, findings as scripts."""
    parser = argparse.ArgumentParser(prog="tests.fuzz", description="Generated calls over every public name.")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", help="public names that contain this text")
    parser.add_argument("--calls", type=float, default=float("inf"), help="the largest number of programs")
    given = parser.parse_args()
    report = fuzz(given.seed, given.seconds, given.only, given.calls)
    _print_counts(report)
    for key, script in report.findings.items():
        print(f"{'-' * 100}\n{script}# {report.times[key]} times")
    return 1 if report.findings else 0


def _print_counts(report: Report) -> None:
    names = sorted({name for name, _ in report.calls})
    for name in names:
        print(
            f"{name:28}", *(f"{report.calls[name, outcome]:7} {outcome}" for outcome in ("worked", "refused"))
        )
    totals = Counter[str]()
    for (_, outcome), count in report.calls.items():
        totals[outcome] += count
    listed = ", ".join(f"{count} {outcome}" for outcome, count in totals.items())
    print(
        f"{sum(totals.values())} programs over {len(names)} names: {listed}; {len(report.findings)} findings."
    )


if __name__ == "__main__":
    sys.exit(main())
