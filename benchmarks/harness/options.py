"""Options of the command line that several benchmarks have."""

import argparse
import math
from collections.abc import Callable
from pathlib import Path

from benchmarks.harness import cache


def add_cache_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--jobs", type=int, help="processes of one thread each; default as --threads")
    parser.add_argument(
        "--cache",
        type=Path,
        default=cache.default_folder(),
        metavar="DIR",
        help="folder of results; default in the user's cache folder",
    )


def numbers(low: int, high: float = math.inf) -> Callable[[str], list[int]]:
    """Return a reader of numbers and ranges such as "1,3-5"."""

    def read(text: str) -> list[int]:
        found: list[int] = []
        for part in text.split(","):
            first, dash, last = part.partition("-")
            if not (first.isdecimal() and (last.isdecimal() or not dash)):
                raise argparse.ArgumentTypeError(f"must be numbers such as 1,3-5, got {text!r}")
            found += range(int(first), int(last or first) + 1)
        if not found or min(found) < low or max(found) > high:
            raise argparse.ArgumentTypeError(f"must be numbers from {low} to {high}, got {text!r}")
        return sorted(set(found))

    return read


def count(text: str) -> int:
    """Read a whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, got {text!r}")
    return int(text)
