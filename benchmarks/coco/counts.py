"""Evaluations to a target: means, and ratios with bootstrap intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.coco.recorder import Run
from benchmarks.harness import text

Array = NDArray[Any]
REFERENCE = "pycma"
RESAMPLES = 10_000


@dataclass(frozen=True)
class Ratio:
    """The ratio of evaluations to the reference, with a 95% interval."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, value: Array, resampled: Array) -> "Ratio":
        """Make a ratio from the logarithms of its value and of its resamples."""
        return cls(*np.exp([value, *np.percentile(resampled, [2.5, 97.5])]).tolist())

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


@dataclass(frozen=True)
class Counts:
    """The runs of all solvers for each function and dimension."""

    solvers: Sequence[str]
    runs: Mapping[tuple[str, int], Mapping[str, list[Run]]]
    skipped: list[str]
    reference: str = REFERENCE
    target: str = "1e-8"
    size: str = "d"  # the head of the second column
    agrees: bool = True  # nothing to disagree about

    @property
    def compared(self) -> list[str]:
        """The solvers that have a ratio to the reference."""
        others = [name for name in self.solvers if name != self.reference]
        return others if len(others) < len(self.solvers) else []

    @property
    def _name(self) -> str:
        return f"evaluations to {self.target}"

    def ratio(self, name: str, cases: Sequence[tuple[str, int]]) -> Ratio | None:
        """Return the geometric mean, over cases, of ratios of mean evaluations, or None."""
        logs = [self._log_means(solver, cases) for solver in (name, self.reference)]
        valid = np.isfinite(logs[0] + logs[1]).all(axis=1)
        if not valid.any():
            return None
        mean = (logs[0] - logs[1])[valid].mean(axis=0)
        return Ratio.of(mean[0], mean[1:])

    def _log_means(self, name: str, cases: Sequence[tuple[str, int]]) -> Array:
        """Return log mean evaluations of runs, then of resamples: (cases, 1 + RESAMPLES)."""
        found = np.full((len(cases), 1 + RESAMPLES), np.nan)
        # seeded by name, so that solvers are independent and calls agree
        rng = np.random.default_rng([self.solvers.index(name), RESAMPLES])
        for row, case in zip(found, cases, strict=True):
            evaluations = _successful(self.runs[case][name])
            if evaluations:
                samples = rng.choice(evaluations, (RESAMPLES, len(evaluations)))
                row[:] = np.log([np.mean(evaluations), *samples.mean(axis=1)])
        return found

    # ---------------------------------------------------------------- to read

    def table(self) -> str:
        title = f"{self._name}, means of the runs that reach it; ratios with 95% bootstrap intervals"
        return "\n".join([title, text.aligned(self._rows()), *self.skipped])

    def markdown(self) -> str:
        return text.markdown(self._rows())

    def _rows(self) -> list[list[str]]:
        ratios = [f"{name} / {self.reference}" for name in self.compared]
        rows = [["function", self.size, *self.solvers, *ratios, "reached by"]]
        for case, runs in self.runs.items():
            means = [_mean(runs[name]) for name in self.solvers]
            found = [str(self.ratio(name, [case]) or "") for name in self.compared]
            reached = " ".join(str(len(_successful(runs[name]))) for name in self.solvers)
            n_runs = len(runs[self.solvers[0]])
            rows.append([case[0].replace("_", " "), str(case[1]), *means, *found, f"{reached} of {n_runs}"])
        overall = [str(self.ratio(name, list(self.runs)) or "") for name in self.compared]
        rows.append(["geometric mean", "", *[""] * len(self.solvers), *overall, ""])
        return rows

    # ---------------------------------------------------------------- for JSON

    def as_dict(self) -> dict[str, Any]:
        """Return the evaluations of each successful run, and ratios with their intervals."""
        return {
            "name": self._name,
            "cases": [self._record(case) for case in self.runs],
            "geometric_mean": self._ratios(list(self.runs)),
            "skipped": self.skipped,
        }

    def _record(self, case: tuple[str, int]) -> dict[str, Any]:
        return {
            "function": case[0],
            "dim": case[1],
            "evaluations": {name: _successful(self.runs[case][name]) for name in self.solvers},
            "runs": len(self.runs[case][self.solvers[0]]),
            "ratios": self._ratios([case]),
        }

    def _ratios(self, cases: Sequence[tuple[str, int]]) -> dict[str, dict[str, float]]:
        ratios = {name: self.ratio(name, cases) for name in self.compared}
        return {name: vars(ratio) for name, ratio in ratios.items() if ratio}


def _successful(runs: list[Run]) -> list[int]:
    """Return evaluations to the target, for the runs that reached it."""
    return [run.hits[0] for run in runs if run.hits]


def _mean(runs: list[Run]) -> str:
    evaluations = _successful(runs)
    return f"{np.mean(evaluations):,.0f}" if evaluations else ""
