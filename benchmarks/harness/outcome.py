"""The outcome of a race, as a table to read, and as a dict for JSON."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np


class Limit(NamedTuple):
    """A limit of the machine, and the seconds that a call would take at it."""

    name: str
    seconds: float


@dataclass(frozen=True)
class Timing:
    """One contestant: its error, its seconds a call in each turn, and its rate."""

    name: str
    versions: dict[str, str]
    floor: bool
    error: float
    agrees: bool
    times: list[float]
    rate: float | None

    @property
    def quartiles(self) -> tuple[float, float, float]:
        low, median, high = np.percentile(self.times, [25, 50, 75])
        return float(low), float(median), float(high)

    @property
    def median(self) -> float:
        return self.quartiles[1]


@dataclass(frozen=True)
class Outcome:
    """All contestants of a case, evoopt first."""

    name: str
    tolerance: float
    unit: str | None
    timings: list[Timing]
    skipped: list[str]
    limits: Sequence[Limit] = ()

    @property
    def agrees(self) -> bool:
        return all(timing.agrees for timing in self.timings)

    @property
    def fastest_peer(self) -> Timing | None:
        """The fastest peer with right results."""
        others = (timing for timing in self.timings if not timing.name.startswith("evoopt"))
        peers = [timing for timing in others if timing.agrees and not timing.floor]
        return min(peers, key=lambda timing: timing.median, default=None)

    def ratio(self, timing: Timing) -> float:
        """Return how many times as fast as this contestant evoopt is."""
        return timing.median / self.timings[0].median

    def table(self) -> str:
        """Return a title, a line for each contestant, skipped contestants, and the fastest one.

        Look at the fastest turn if other processes take the cores.
        """
        shares = [f"of {limit.name}" for limit in self.limits]
        head = ["", "median", "IQR", "fastest", self.unit or "", *shares, "evoopt is", "error", ""]
        rows = [head, *map(self._cells, self.timings)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join(
            [self.name, *(_aligned(row, widths) for row in rows), *self.skipped, self._summary()]
        )

    def _cells(self, timing: Timing) -> list[str]:
        low, median, high = timing.quartiles
        versions = ", ".join(f"{package} {version}" for package, version in timing.versions.items())
        return [
            timing.name,
            _time(median),
            f"{(high - low) / median:.0%}",
            _time(min(timing.times)),
            f"{timing.rate:.3g}" if timing.rate else "",
            *(f"{limit.seconds / median:.0%}" for limit in self.limits),
            f"{_ratio(self.ratio(timing))} x",
            f"{timing.error:.2g}",
            versions if timing.agrees else f"WRONG, {self.tolerance:.2g} is allowed",
        ]

    def _summary(self) -> str:
        peer = self.fastest_peer
        if peer is None:
            return "There is no peer to compare with."
        return f"evoopt is {_ratio(self.ratio(peer))} x as fast as the fastest peer, {peer.name}."

    def as_dict(self) -> dict[str, Any]:
        """Return the outcome for JSON.

        Times are seconds a call, and `fastest` is the time of the fastest turn. `ratio` is how many
        times as fast evoopt is, `rate` is in `unit`, and `shares` are the reached shares of the
        limits. An error that is not finite is None. In the case, `ratio` compares evoopt with the
        fastest peer, and `limits` are the seconds of a call at each limit.
        """
        peer = self.fastest_peer
        return {
            "name": self.name,
            "tolerance": self.tolerance,
            "unit": self.unit,
            "limits": dict(self.limits),
            "contestants": [self._record(timing) for timing in self.timings],
            "skipped": self.skipped,
            "fastest_peer": peer and peer.name,
            "ratio": peer and self.ratio(peer),
        }

    def _record(self, timing: Timing) -> dict[str, Any]:
        low, median, high = timing.quartiles
        return {
            "name": timing.name,
            "versions": timing.versions,
            "floor": timing.floor,
            "median": median,
            "quartiles": [low, high],
            "fastest": min(timing.times),
            "repeats": len(timing.times),
            "rate": timing.rate,
            "shares": {limit.name: limit.seconds / median for limit in self.limits},
            "ratio": self.ratio(timing),
            "error": timing.error if math.isfinite(timing.error) else None,
            "agrees": timing.agrees,
        }


def _aligned(row: list[str], widths: list[int]) -> str:
    """Align the first and the last column to the left, numbers to the right."""
    name, *numbers, remark = row
    cells = [f"{cell:>{width}}" for cell, width in zip(numbers, widths[1:-1], strict=True)]
    return "  ".join(["", name.ljust(widths[0]), *cells, remark]).rstrip()


def _time(seconds: float) -> str:
    for unit, scale in (("us", 1e6), ("ms", 1e3)):
        if seconds * scale < 999.5:
            return f"{seconds * scale:.3g} {unit}"
    return f"{seconds:.3g} s"


def _ratio(ratio: float) -> str:
    return f"{ratio:.2f}" if ratio < 100 else f"{ratio:,.0f}"
