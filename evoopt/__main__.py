"""``python -m evoopt``: print versions, and check in a few seconds that evoopt works here."""

import sys

from evoopt.compiling.cache import announced
from evoopt.selfcheck import run_checks
from evoopt.versions import show_versions


def main() -> str | None:
    """Print versions and one line for each check; return an error message if a check failed."""
    show_versions()
    print()
    failed = 0
    with announced(print):
        for what, fault in run_checks():
            print(f"ok      {what}" if fault is None else f"FAILED  {what}. {fault}")
            failed += fault is not None
    return f"evoopt does not work on this machine: {failed} of its checks failed." if failed else None


if __name__ == "__main__":
    sys.exit(main())
