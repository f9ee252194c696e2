"""Attack, and print how often and what was found; the exit code is 1 if there are findings.

``python -m tests.stress`` makes all attacks, ``python -m tests.stress --short`` each of them for
some seconds, and ``python -m tests.stress saves --count 500`` one of them.
"""

import argparse
import importlib
import sys
import time
from importlib.util import find_spec
from typing import NamedTuple


class Attack(NamedTuple):
    """How often a module of this folder attacks, in the full form and in the short one."""

    full: int
    short: int
    package: str | None = None  # that it needs


ATTACKS = {
    "flips": Attack(full=50_000, short=500),
    "kills": Attack(full=500, short=30),
    "saves": Attack(full=2_000, short=60),
    "threads": Attack(full=50_000, short=3_000),
    "mixed": Attack(full=200, short=8),
    "long": Attack(full=1_000_000, short=20_000),
    "disk": Attack(full=2_000, short=80),
    "resumes": Attack(full=200, short=12),
    "replays": Attack(full=200, short=12),
    "workers": Attack(full=50, short=3, package="distributed"),
    "scheduler": Attack(full=10, short=1, package="distributed"),
    "partition": Attack(full=10, short=1, package="distributed"),
    "orphans": Attack(full=240, short=6),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.stress", description=__doc__.partition("\n")[0])
    parser.add_argument("attack", nargs="?", choices=ATTACKS, help="one of them (all)")
    parser.add_argument("--short", action="store_true", help="less often, for some minutes in all")
    parser.add_argument("--count", type=int, help="how often, for one attack")
    parser.add_argument("--seed", type=int, default=0, help="of the random moments and places (0)")
    chosen = parser.parse_args()
    if chosen.count is not None and chosen.attack is None:
        parser.error("--count must come with the name of an attack")
    names = [chosen.attack] if chosen.attack else [*ATTACKS]
    results = {}
    for name in names:
        start = time.perf_counter()
        results[name] = attack(name, chosen.count, chosen.seed, short=chosen.short)
        if len(names) > 1:
            print(f"({name}: {time.perf_counter() - start:.0f} s)\n", flush=True)
    if len(names) > 1:
        print("| attack | count | wrong |\n|---|---|---|")
        for name, counts in results.items():
            print(f"| {name} | {next(iter(counts.values()), 0):,} | {counts.get('wrong', 'left out')} |")
    return int(any(counts.get("wrong", 0) for counts in results.values()))


def attack(name: str, count: int | None, seed: int, *, short: bool) -> dict[str, int]:
    """Attack, and print and return the counts; none if a package is missing."""
    known = ATTACKS[name]
    if known.package and not find_spec(known.package):
        print(f"{name}: left out, because it needs {known.package}")
        return {}
    module = importlib.import_module(f"{__package__}.{name}")
    counts: dict[str, int] = module.run(count or (known.short if short else known.full), seed)
    print(*(f"{what}: {number}" for what, number in counts.items()), sep="\n", flush=True)
    return counts


if __name__ == "__main__":
    sys.exit(main())
