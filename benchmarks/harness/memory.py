"""Peak memory against the arrays that an algorithm cannot do without."""

import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Memory:
    """An outcome: bytes of arrays at the peak of a work, and those needed."""

    name: str
    peak: int
    needed: int
    agrees: bool = True

    @property
    def ratio(self) -> float:
        return self.peak / self.needed

    def table(self) -> str:
        megabytes = f"peak {self.peak / 1e6:.1f} MB, needed {self.needed / 1e6:.1f} MB"
        return f"{self.name}\n  {megabytes}: {self.ratio:.2f} times"

    def as_dict(self) -> dict[str, Any]:
        """Give the same for JSON, in bytes."""
        return {"name": self.name, "peak": self.peak, "needed": self.needed, "ratio": self.ratio}


def peak(work: Callable[[], Any]) -> int:
    """Give the most bytes that Python and numpy held during a work, beyond what they held before.

    Let the work have run once before: compiling takes memory too.
    """
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
