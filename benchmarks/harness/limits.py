"""The limits of the machine, measured in the same run with the same threads as the contestants.

Each limit is the best of several candidates, so that no library's weakness lowers the bar: products
of large float32 matrices by numpy and torch; sums of an array that no cache holds by numpy, torch
and a compiled loop; activations by evoopt's own vectorized rules, in the cache.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import machine
from benchmarks.harness.outcome import Limit
from benchmarks.harness.race import Rate, Work, wait_for_idle_threads
from evoopt.compiling.jit import FASTMATH
from evoopt.rules import math

SGEMM_SIZES = (1024, 2048, 4096)
READ_BYTES = 2**29
CACHED = 4096  # elements; an array of this size fits into the first cache
REPEATS = 5  # the fewest of each candidate

Array = NDArray[Any]
Best = tuple[float, str]  # seconds for a unit of the work, and the name of the candidate


@dataclass(frozen=True)
class Demand:
    """The work that a call cannot avoid.

    Attributes
    ----------
    multiply_adds : int
        Multiply-adds of its matrix products and convolutions.
    activations : mapping
        Numbers of elements, by the names of `Limits.elements`.
    reads : int
        Bytes that must come from memory, since they are used once.
    """

    multiply_adds: int
    activations: Mapping[str, int] = field(default_factory=dict)
    reads: int = 0


@dataclass(frozen=True)
class Limits:
    """An outcome: the limits of the machine.

    Attributes
    ----------
    flops, read : float
        Floating point operations and bytes a second.
    elements : mapping
        Seconds for an element of each activation, all threads together.
    whose : mapping
        The names of the fastest candidates.
    """

    threads: int
    flops: float
    read: float
    elements: Mapping[str, float]
    whose: Mapping[str, str]
    agrees: bool = True  # nothing to disagree about

    def table(self) -> str:
        lines = [
            f"limits, {self.threads} {'thread' if self.threads == 1 else 'threads'}",
            f"  sgemm peak      {self.flops / 1e9:.3g} GFLOP/s ({self.whose['flops']})",
            f"  read bandwidth  {self.read / 1e9:.3g} GB/s ({self.whose['read']})",
            *(f"  {name:<14}  {1e9 * each:.2g} ns an element" for name, each in self.elements.items()),
        ]
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        return {"name": "limits"} | asdict(self)

    def floor(self, demand: Demand) -> float:
        """Return the seconds of the multiply-adds at the peak and of activations at their rate."""
        elements = sum(n * self.elements[name] for name, n in demand.activations.items())
        return 2 * demand.multiply_adds / self.flops + elements

    def of(self, demand: Demand) -> list[Limit]:
        """Return the limits of a call: reading data that is used once, or else arithmetic."""
        if demand.reads:
            return [Limit("read bandwidth", demand.reads / self.read)]
        peak = Limit("sgemm peak", 2 * demand.multiply_adds / self.flops)
        return [peak, Limit("floor", self.floor(demand))]


def rate(demand: Demand) -> Rate:
    """Return the rate that the limits of a demand bound."""
    if demand.reads:
        return Rate(1e-9 * demand.reads, "GB/s")
    return Rate(2e-9 * demand.multiply_adds, "GFLOP/s")


def measure(threads: int) -> Limits:
    """Measure all limits, which takes a few seconds."""
    if machine.installed("torch"):
        import torch  # it loads before the threads are set  # noqa: F401
    machine.set_threads(threads)
    flop, sgemm = min(_sgemm())
    byte, read = min(_reads(threads))
    elements = {name: _element(rule) / threads for name, rule in (("tanh", math.tanh), ("exp", math.exp))}
    return Limits(threads, 1 / flop, 1 / byte, elements, {"flops": sgemm, "read": read})


def _sgemm() -> Iterator[Best]:
    """Yield the seconds of an operation for each candidate."""
    rng = np.random.default_rng(0)
    for n in SGEMM_SIZES:
        a, b, out = (rng.standard_normal((n, n), np.float32) for _ in range(3))
        works: dict[str, Work] = {"numpy": lambda a=a, b=b, out=out: np.matmul(a, b, out=out)}
        if machine.installed("torch"):
            import torch

            x, y, z = map(torch.from_numpy, (a, b, out))
            works["torch"] = lambda x=x, y=y, z=z: torch.mm(x, y, out=z)
        for name, work in works.items():
            yield _fastest(work) / (2 * n**3), f"{name}, {n} x {n}"


def _reads(threads: int) -> Iterator[Best]:
    """Yield the seconds of a byte for each candidate."""
    numbers = np.ones(READ_BYTES // 4, np.float32)
    parts = np.array_split(numbers, threads)
    with ThreadPoolExecutor(threads) as pool:
        for name, add in (("numpy sum", np.sum), ("compiled loop", _sum)):
            yield _fastest(lambda add=add: list(pool.map(add, parts))) / numbers.nbytes, name
    if machine.installed("torch"):
        import torch

        tensor = torch.from_numpy(numbers)
        yield _fastest(tensor.sum) / numbers.nbytes, "torch sum"


def _element(rule: Callable[[Any], Any]) -> float:
    """Return the seconds of an element on one thread."""

    @numba.njit(error_model="numpy", fastmath=FASTMATH)
    def apply(x, out):
        for i in range(len(x)):
            out[i] = rule(x[i])

    x = np.linspace(-3, 3, CACHED, dtype=np.float32)
    out = np.empty_like(x)
    return _fastest(lambda: apply(x, out), calls=100) / len(x)


@numba.njit(nogil=True, fastmath={"reassoc", "nsz"})
def _sum(numbers: Array) -> Any:
    total = np.float32(0)
    for number in numbers:
        total += number
    return total


def _fastest(work: Work, calls: int = 1) -> float:
    """Return the seconds of a call in the fastest of some turns; the first call compiles."""
    work()
    wait_for_idle_threads()
    turns = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        for _ in range(calls):
            work()
        turns.append((time.perf_counter() - start) / calls)
    return min(turns)
