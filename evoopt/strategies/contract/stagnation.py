"""The rule ``tolstagnation`` of pycma, https://github.com/CMA-ES/pycma: a search has stagnated."""

import numpy as np

from evoopt.strategies.contract.state import State
from evoopt.strategies.contract.told import LAST_KEPT

PERIOD = 5  # the rule sees one generation in so many
MOST = LAST_KEPT // PERIOD  # it counts at most so many of those, 20,000 as in pycma
LOOKS = 10  # how often it is checked while a window passes


def stagnates(
    history: dict[str, list[float]], generations: int, tolerance: float, maximize: bool
) -> bool | None:
    """Return whether the last generations are no better than those before; None if unknown.

    The rule compares two successive windows by the medians of their best and of their median
    fitness. A window has a tenth of the seen generations, or a tenth of `tolerance` if that is
    more; `history` has at least the last of all `generations`. The rule is checked so rarely that
    it reads a few numbers per generation, however many there are; between two checks the answer is
    unknown.
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
    """Return whether the search and its best row are old enough for stagnation to count."""
    least = max(strategy.n_params * (5 + 100 / strategy.popsize), 500)
    return strategy.generation > least and strategy.generation - strategy.best.generation > tolerance / 2


def _no_better(column: list[float], size: int, maximize: bool) -> bool:
    """Return whether the last `size` seen values have no better median than as many before."""
    values = np.asarray(column[PERIOD - 1 - 2 * size * PERIOD :: PERIOD])
    before, last = np.median(values[:size]), np.median(values[size:])
    return bool(last <= before if maximize else last >= before)
