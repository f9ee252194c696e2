"""Peak memory, compared with the arrays that an algorithm needs."""

import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Memory:
    """An outcome: bytes of arrays at the peak of some work, and the bytes that it needs."""

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
        """Return the outcome for JSON, in bytes."""
        return {"name": self.name, "peak": self.peak, "needed": self.needed, "ratio": self.ratio}


def peak(work: Callable[[], Any]) -> int:
    """Return the most bytes that Python and numpy held in addition during some work.

    Run the work once before, because compiling takes memory too.
    """
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
