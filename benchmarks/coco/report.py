"""Areas under run-time ECDFs as tables, and as a dict for JSON."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.coco.recorder import PRECISIONS, areas, hit_times
from benchmarks.coco.suite import Problems, Runs, Settings
from benchmarks.harness import text

Array = NDArray[Any]

GROUPS = {
    "separable": range(1, 6),
    "moderate": range(6, 10),
    "ill-conditioned": range(10, 15),
    "multi-modal": range(15, 20),
    "weak structure": range(20, 25),
}
REFERENCE = "pycma IPOP"


@dataclass(frozen=True)
class Comparison:
    """The runs of all solvers on the same problems."""

    settings: Settings
    runs: dict[str, Runs]
    skipped: list[str]
    per_function: bool = False
    agrees: bool = True  # nothing to disagree about

    @property
    def reference(self) -> str | None:
        """The solver that others are compared with: pycma's IPOP, or else the first."""
        return REFERENCE if REFERENCE in self.runs else next(iter(self.runs), None)

    def areas(self, name: str, keep: Callable[[Problems], bool] = lambda problems: True) -> Array:
        """Return the areas of runs on some of the problems, in an order common to all solvers."""
        budget = self.settings.budget
        kept = [problems for problems in self.runs[name] if keep(problems)]
        found = [areas(hit_times(self.runs[name][p]), p.dim, budget * p.dim) for p in kept]
        return np.concatenate(found)

    def columns(self) -> dict[str, Callable[[Problems], bool]]:
        """Return the subsets of problems with a column: dimensions, all, groups of functions."""
        found: dict[str, Callable[[Problems], bool]] = {
            f"d={dim}": lambda p, dim=dim: p.dim == dim for dim in self.settings.dims
        }
        found["all"] = lambda p: True
        for name, group in GROUPS.items():
            if set(group) & set(self.settings.functions):
                found[name] = lambda p, group=group: p.function in group
        return found

    def all_runs(self, name: str) -> list[Any]:
        return [run for runs in self.runs[name].values() for run in runs]

    def solved(self, name: str) -> int:
        return sum(len(run.hits) == len(PRECISIONS) for run in self.all_runs(name))

    def difference(self, name: str, keep: Callable[[Problems], bool]) -> tuple[float, float]:
        """Return the mean difference of the areas to the reference's, and its standard error."""
        differences = self.areas(name, keep) - self.areas(self.reference or name, keep)
        error = differences.std(ddof=1) / np.sqrt(len(differences)) if len(differences) > 1 else 0.0
        return float(differences.mean()), float(error)

    # ---------------------------------------------------------------- to read

    def table(self) -> str:
        parts = [self._title(), self._areas(), self._differences(), self._costs()]
        if self.per_function:
            parts.append(self._functions())
        return "\n\n".join(part for part in [*parts, "\n".join([*self.skipped, *self._failures()])] if part)

    def _title(self) -> str:
        s = self.settings
        sizes = f"{len(s.functions)} functions x {len(s.instances)} instances x {len(s.dims)} dimensions"
        seeds = ", ".join(map(str, s.seeds))
        return f"{s.suite}: {sizes}, seed {seeds}, budget {s.budget:,} d; area under the run-time ECDF"

    def _areas(self) -> str:
        columns = self.columns()
        n_runs = len(self.settings.problems()) * len(self.settings.instances)
        rows = [["", *columns, f"solved of {n_runs:,}"]]
        for name in self.runs:
            cells = [_area(self.areas(name, keep).mean()) for keep in columns.values()]
            rows.append([name, *cells, str(self.solved(name))])
        return text.aligned(rows)

    def _differences(self) -> str:
        others = [name for name in self.runs if name != self.reference]
        if not others:
            return ""
        columns = self.columns()
        rows = [[f"difference to {self.reference} (its standard error)", *columns]]
        for name in others:
            pairs = [self.difference(name, keep) for keep in columns.values()]
            rows.append([name, *(f"{_area(mean, '+')} ({_area(error)[:4]})" for mean, error in pairs)])
        return text.aligned(rows)

    def _costs(self) -> str:
        rows = [["cost", "evaluations", "wall s", "CPU s", "CPU us an evaluation"]]
        for name in self.runs:
            runs = self.all_runs(name)
            evaluations = sum(run.evaluations for run in runs)
            wall, cpu = sum(run.wall for run in runs), sum(run.cpu for run in runs)
            each = f"{1e6 * cpu / max(evaluations, 1):.1f}"
            rows.append([name, f"{evaluations:,}", f"{wall:.1f}", f"{cpu:.1f}", each])
        return text.aligned(rows)

    def _functions(self) -> str:
        rows = [["area by function", *self.runs]]
        for f in self.settings.functions:
            found = [self.areas(name, lambda p, f=f: p.function == f).mean() for name in self.runs]
            rows.append([f"f{f}", *map(_area, found)])
        return text.aligned(rows)

    def _failures(self) -> Iterable[str]:
        for name in self.runs:
            failures = [run.failure for run in self.all_runs(name) if run.failure]
            if failures:
                yield f"{name} failed in {len(failures)} runs, first with {failures[0]}."

    # ---------------------------------------------------------------- for JSON

    def as_dict(self) -> dict[str, Any]:
        """Return areas, differences to the reference with standard errors, and costs."""
        return {
            "name": self._title(),
            "settings": vars(self.settings),
            "reference": self.reference,
            "solvers": [self._record(name) for name in self.runs],
            "skipped": self.skipped,
        }

    def _record(self, name: str) -> dict[str, Any]:
        runs = self.all_runs(name)
        columns = self.columns()
        return {
            "name": name,
            "areas": {column: float(self.areas(name, keep).mean()) for column, keep in columns.items()},
            "differences": {column: self.difference(name, keep) for column, keep in columns.items()},
            "areas_by_function": {
                f: float(self.areas(name, lambda p, f=f: p.function == f).mean())
                for f in self.settings.functions
            },
            "solved": self.solved(name),
            "runs": len(runs),
            "evaluations": sum(run.evaluations for run in runs),
            "wall": sum(run.wall for run in runs),
            "cpu": sum(run.cpu for run in runs),
            "failures": [run.failure for run in runs if run.failure],
        }


def _area(area: float, sign: str = "") -> str:
    """Format an area as the literature of BBOB does, for example .2607."""
    return f"{area:{sign}.4f}".replace("0.", ".", 1)
