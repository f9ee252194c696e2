"""Pictures of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from evoopt.calls import called
from evoopt.history import history_of, length_of
from evoopt.types import Vector

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDE = 30.0  # positive numbers with a larger ratio are shown on a logarithmic axis
LARGEST = 1e150  # number drawn; margins of axes go further
MEASURES = {
    "sigma": "sigma, the step size",
    "condition": "condition of the covariance",
    "diversity": "diversity, the spread of the best parents",
}


@called
def plot_history(run: object, figure: object = None) -> Any:
    """Plot the fitness and sigma of a run, and its condition and diversity if it has them.

    Parameters
    ----------
    run : Strategy, result of `evolve` or `minimize`, or history
        The run to plot.
    figure : matplotlib Figure or SubFigure, optional
        Where to, a new one of pyplot by default.

    Returns
    -------
    figure
        With a panel for each; ``figure.savefig("run.png")`` writes it. Its axes are in
        ``figure.axes``.

    Raises
    ------
    ValueError
        If there is no history, or no generation in it, or if `figure` is something else.
    ImportError
        Without the package matplotlib.

    Examples
    --------
    >>> import evoopt
    >>> from matplotlib.figure import Figure
    >>> es = evoopt.CMAES([3.0, -2.0], sigma=1.0, seed=1)
    >>> task = evoopt.Objective(lambda x: (x**2).sum())
    >>> result = evoopt.evolve(es, task, max_generations=20)
    >>> figure = evoopt.plot_history(result, Figure())
    >>> len(figure.axes)  # fitness, sigma, condition
    3
    """
    history = _read_history(run)
    shown = [name for name in MEASURES if np.isfinite(history.get(name, np.empty(0))).any()]
    if figure is None:
        try:
            from matplotlib import pyplot  # noqa: PLC0415  (an optional extra)
        except ImportError as error:
            raise ImportError(
                "plot_history needs the package matplotlib, which is not installed: pip install evoopt[plot]"
            ) from error
        figure = pyplot.figure(figsize=(4.2 * (1 + len(shown)), 3.6), layout="constrained")
    elif not hasattr(figure, "subplots"):
        raise ValueError(
            f"figure must be a Figure of matplotlib, got {figure!r}; a picture is written by "
            'plot_history(run).savefig("run.png").'
        )
    panels = figure.subplots(1, 1 + len(shown), squeeze=False, sharex=True)[0]
    _plot_fitness(panels[0], history)
    for axes, name in zip(panels[1:], shown, strict=True):
        _plot(axes, history, name, color="C0")
        axes.set_title(MEASURES[name])
        if not _scale(axes, [history[name]]):
            axes.set_ylim(bottom=0)
    for axes in panels:
        axes.set_xlabel("evaluations")
        axes.grid(alpha=0.3)
    return figure


def _plot_fitness(axes: Axes, history: dict[str, Vector]) -> None:
    best, so_far = history["best"], history["best_so_far"]
    columns = [best]
    if np.isfinite(history.get("median", np.empty(0))).any():  # a descent knows none
        columns.insert(0, history["median"])
        _plot(axes, history, "median", color="C1", label="median of the generation", linewidth=1)
    _plot(axes, history, "best", color="C0", label="best of the generation", linewidth=1)
    if not np.array_equal(so_far, best, equal_nan=True):  # noisy fitness has none
        _plot(axes, history, "best_so_far", color="black", label="best so far", linestyle="--", linewidth=1)
    axes.set_title("fitness")
    axes.legend(fontsize="small")
    _scale(axes, columns)


def _plot(axes: Axes, history: dict[str, Vector], name: str, **style: Any) -> None:
    column = history[name]
    axes.plot(history["evaluations"], column, marker="." if len(column) == 1 else None, **style)


def _scale(axes: Axes, columns: list[Vector]) -> bool:
    """Take a logarithmic axis for positive numbers that differ much; return whether it fits."""
    values = np.concatenate(columns)
    values = values[np.isfinite(values)]
    logarithmic = bool(len(values)) and values.min() > 0 and values.max() > WIDE * values.min()
    if logarithmic:
        axes.set_yscale("log")
    return bool(logarithmic)


def _read_history(run: object) -> dict[str, Vector]:
    history = history_of(run)
    if not length_of(history):
        raise ValueError("run must have at least one generation, got an empty history.")
    return {name: _drawable(np.asarray(column, np.float64)) for name, column in history.items()}


def _drawable(column: Vector) -> Vector:
    """Return numbers that fit on axes: NaN, which is a gap, for infinite and enormous ones."""
    column = np.where(np.isfinite(column), np.clip(column, -LARGEST, LARGEST), np.nan)
    return np.where((column > 0) & (column < 1 / LARGEST), 1 / LARGEST, column)
