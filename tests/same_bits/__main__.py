"""``python -m tests.same_bits COMMIT [--only TEXT]``; exit code 1: a case differs or fails."""

import argparse
import sys
import tempfile
from pathlib import Path

from .comparison import compare
from .runner import ROOT, export, run_both


def main() -> int:
    """Run both sides, and print the differences."""
    parser = argparse.ArgumentParser(
        "python -m tests.same_bits",
        description="Compare the bits of a commit's results and the working tree's.",
    )
    parser.add_argument("commit", help="the commit to compare the working tree with")
    parser.add_argument("--only", default="", metavar="TEXT", help="cases whose name contains this text")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        export(given.commit, Path(folder))
        found = compare(*run_both(Path(folder), ROOT, given.only))
    print(*found.lines(), sep="\n")
    return 0 if found.same else 1


if __name__ == "__main__":
    sys.exit(main())
