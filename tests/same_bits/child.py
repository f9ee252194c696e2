"""A process that runs the cases with its `evoopt`: a line of JSON for each, flushed.

``python -P -m tests.same_bits.child FOLDER TEXT``: `evoopt` must be the one in FOLDER, TEXT chooses
cases.
"""

import json
import sys
from pathlib import Path

import evoopt

from .case import Case, digest
from .catalogue import cases
from .comparison import FAILED
from .strategies import BetterHalf


def run(case: Case) -> dict[str, str]:
    """Return the digests of a case's results by their labels; an exception is the last result."""
    found: dict[str, str] = {}
    try:
        for label, value in case.run():
            if label in found:
                raise KeyError(f"two results have the label {label}")
            found[label] = digest(value)
    except Exception as error:  # A case may raise any exception in another commit.
        found[FAILED] = f"raises {type(error).__name__}: {error}"
    return found


def main() -> None:
    """Run the cases that the arguments choose."""
    folder, text = sys.argv[1:]
    if not Path(evoopt.__file__).resolve().is_relative_to(folder):
        sys.exit(f"evoopt was to come from {folder}, but it is {evoopt.__file__}")
    evoopt.register(BetterHalf)
    for case in cases():
        if text in case.name:
            print(json.dumps([case.name, run(case)]), flush=True)


if __name__ == "__main__":
    main()
