"""Run-time ECDFs as a picture: a panel for each dimension and one for all."""

import math
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from benchmarks.coco.recorder import hit_times
from benchmarks.coco.report import Comparison

SIZE = (4.6, 3.9)  # inches, a panel


def draw(comparison: Comparison, path: Path) -> None:
    """Write a PNG; solvers of evoopt have full lines, peers dashed ones."""
    dims = comparison.settings.dims
    panels = [[dim] for dim in dims] + ([dims] if len(dims) > 1 else [])
    n_cells = len(panels) + 1  # the last one has the legend
    n_columns = math.ceil(math.sqrt(n_cells))
    n_rows = math.ceil(n_cells / n_columns)
    figure = Figure((SIZE[0] * n_columns, SIZE[1] * n_rows + 0.6), layout="constrained")
    cells = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
    for cell in cells[len(panels) :]:
        cell.axis("off")
    for cell, panel in zip(cells, panels, strict=False):
        _draw_panel(cell, comparison, panel)
    lines, labels = cells[0].get_legend_handles_labels()
    cells[len(panels)].legend(lines, labels, loc="center left", frameon=False, title="area, all dimensions")
    figure.suptitle(_title(comparison))
    figure.savefig(path, dpi=130)


def _title(comparison: Comparison) -> str:
    s = comparison.settings
    sizes = f"{len(s.functions)} functions x {len(s.instances)} instances"
    return (
        "Share of the targets reached on the BBOB suite\n"
        f"({sizes} in each dimension; 51 targets from 10² to 10⁻⁸ above the minimum)"
    )


def _draw_panel(axes: Any, comparison: Comparison, dims: list[int]) -> None:
    budget = comparison.settings.budget
    colors = mpl.colormaps["tab10"].colors
    for i, name in enumerate(_by_area(comparison)):
        evaluations = _scaled_hit_times(comparison, name, dims)
        reached = np.sort(evaluations[np.isfinite(evaluations)])
        share = np.arange(1, len(reached) + 1) / evaluations.size
        end = share[-1] if len(share) else 0.0
        axes.step(
            np.concatenate([reached, [budget]]),
            np.concatenate([share, [end]]),
            where="post",
            color=colors[i % len(colors)],
            linestyle="-" if name.startswith("evoopt") else "--",
            linewidth=1.8 if name.startswith("evoopt") else 1.3,
            label=f"{name}  {comparison.areas(name).mean():.4f}",
        )
    axes.set(
        xscale="log",
        xlim=(1, budget),
        ylim=(0, 1),
        title=f"dimension {dims[0]}" if len(dims) == 1 else "all dimensions",
        xlabel="evaluations / dimension",
        ylabel="share of (problem, target) pairs reached",
    )
    axes.grid(alpha=0.3)


def _by_area(comparison: Comparison) -> list[str]:
    return sorted(comparison.runs, key=lambda name: -comparison.areas(name).mean())


def _scaled_hit_times(comparison: Comparison, name: str, dims: list[int]) -> Any:
    """Return evaluations for each coordinate to each target of each run, flat."""
    found = [hit_times(runs) / p.dim for p, runs in comparison.runs[name].items() if p.dim in dims]
    return np.concatenate(found).ravel()
