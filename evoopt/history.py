"""The history of whatever has one."""

from collections.abc import Mapping
from typing import Any

from evoopt.strategies.contract.base import Strategy


def history_of(run: object) -> dict[str, list[Any]]:
    """Return the history of a strategy or a result, or a history itself.

    Raises
    ------
    ValueError
        If there is no history.
    """
    if isinstance(run, Strategy):
        return run.history
    found = run.get("history", run) if isinstance(run, Mapping) else run
    if not isinstance(found, Mapping) or "best_so_far" not in found:
        raise ValueError(
            "A run must be a strategy, a result of evolve or minimize, or a history, got a "
            f"{type(run).__name__}."
        )
    return dict(found)


def length_of(history: Mapping[str, list[Any]]) -> int:
    """Return the number of generations, or of iterations of a search that has none."""
    return len(history["best_so_far"])
