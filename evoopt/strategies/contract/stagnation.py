"""Whether a search improves no more: the rule ``tolstagnation`` of pycma, https://github.com/CMA-ES/pycma."""

import numpy as np

from evoopt.strategies.contract.state import State
from evoopt.strategies.contract.told import LAST_KEPT

PERIOD = 5  # generations, of which the rule sees one
MOST = LAST_KEPT // PERIOD  # of those seen that it counts, 20,000 as in pycma
LOOKS = 10  # how often it looks while one of its windows passes


def stagnates(
    history: dict[str, list[float]], generations: int, tolerance: float, maximize: bool
) -> bool | None:
    """Whether neither best nor median of the last generations are better than those before; None if unknown.

    It compares the medians of two windows, one after the other, each of a tenth of `tolerance` or of the
    `generations` so far, of which the history has at least the last ones. It looks so seldom that it reads a
    few numbers a generation, however many there are; between two looks the answer is unknown.
    """
    seen, rest = divmod(generations, PERIOD)
    if rest:
        return None
    window = max(min(max(tolerance, min(seen, MOST)) / 10, MOST / 2), 1)
    if 2 * window >= seen:
        return False
    size = int(window)
    if seen % max(size // LOOKS, 1):
        return None
    return all(_no_better(history[name], size, maximize) for name in ("best", "median"))


def counts(strategy: State, tolerance: float) -> bool:
    """Whether the search is old enough, and its best row, for stagnation to count."""
    least = max(strategy.n_params * (5 + 100 / strategy.popsize), 500)
    return strategy.generation > least and strategy.generation - strategy.best.generation > tolerance / 2


def _no_better(column: list[float], size: int, maximize: bool) -> bool:
    """Whether the last `size` values that are seen have no better median than as many before them."""
    values = np.asarray(column[PERIOD - 1 - 2 * size * PERIOD :: PERIOD])
    before, last = np.median(values[:size]), np.median(values[size:])
    return bool(last <= before if maximize else last >= before)
