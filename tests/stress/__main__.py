"""Run an attack and print its counts; the exit code is 1 if there are findings.

For example ``python -m tests.stress saves --count 500``.
"""

import argparse
import importlib
import sys

ATTACKS = ("flips", "kills", "replays", "resumes", "saves", "scheduler", "partition", "workers")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.stress", description=__doc__.partition("\n")[0])
    parser.add_argument("attack", choices=ATTACKS)
    parser.add_argument("--count", type=int, default=200, help="how often (200)")
    parser.add_argument("--seed", type=int, default=0, help="of the random moments and places (0)")
    chosen = parser.parse_args()
    counts = importlib.import_module(f"{__package__}.{chosen.attack}").run(chosen.count, chosen.seed)
    print(*(f"{name}: {number}" for name, number in counts.items()), sep="\n")
    return int(counts["wrong"] > 0)


if __name__ == "__main__":
    sys.exit(main())
