"""Whether a solver is worse than a peer, paired over problems and seeds."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from benchmarks.coco.recorder import Run
from benchmarks.coco.report import Comparison
from benchmarks.harness import text
from benchmarks.harness.paired import Paired


class Verdict(NamedTuple):
    """A difference or ratio between a solver and a peer, with a 95% interval.

    `p` is of the test that the solver is not worse: a small one says that it is.
    """

    measure: str
    pair: str
    value: float
    low: float
    high: float
    p: float

    def cells(self) -> list[str]:
        interval = f"{self.value:.4f} ({self.low:.4f} to {self.high:.4f})"
        return [self.measure, self.pair, interval, f"{self.p:.2g}"]


@dataclass(frozen=True)
class Verdicts:
    """An outcome: all verdicts on some problems."""

    name: str
    verdicts: Sequence[Verdict]
    agrees: bool = True  # a worse solver is not wrong

    def rows(self) -> list[list[str]]:
        head = ["paired over problems and seeds", "", "95% interval", "p of not worse"]
        return [head, *(verdict.cells() for verdict in self.verdicts)]

    def table(self) -> str:
        return f"{self.name}\n{text.aligned(self.rows())}"

    def markdown(self) -> str:
        return text.markdown(self.rows())

    def as_dict(self) -> dict[str, Any]:
        return {"name": self.name, "verdicts": [verdict._asdict() for verdict in self.verdicts]}


def on_runs(solver: str, peer: str, pairs: Iterable[tuple[Run, Run]]) -> list[Verdict]:
    """Compare shares of solved runs, and evaluations where both solved the problem."""
    runs = list(pairs)
    logs = [np.log(one.hits[0] / other.hits[0]) for one, other in runs if one.hits and other.hits]
    fewer = Paired.of([float(bool(other.hits)) - float(bool(one.hits)) for one, other in runs])
    found = [_difference("solved", solver, peer, fewer)]
    if logs:
        *ratio, p = Paired.of(logs)
        found.append(Verdict("evaluations", f"{solver} / {peer}", *np.exp(ratio).tolist(), p))
    return found


def on_areas(solver: str, peer: str, comparison: Comparison) -> Verdict:
    """Compare areas under run-time ECDFs."""
    smaller = Paired.of(comparison.areas(peer) - comparison.areas(solver))
    return _difference("area", solver, peer, smaller)


def _difference(measure: str, solver: str, peer: str, worse: Paired) -> Verdict:
    """Return the verdict on a measure that is larger for better solvers."""
    return Verdict(
        measure, f"{solver} - {peer}", 0.0 - worse.mean, 0.0 - worse.high, 0.0 - worse.low, worse.p
    )
