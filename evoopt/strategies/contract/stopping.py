"""Reasons to stop that strategies share; if pycma has a rule, its name and defaults are pycma's."""

import math
import time
from typing import Any

import numpy as np

from evoopt.devices.choose import HOST
from evoopt.devices.interface.population import Engine
from evoopt.strategies.contract.state import State
from evoopt.strategies.contract.told import FIRST_KEPT, LAST_KEPT, Told
from evoopt.types import Vector

Reason = tuple[str, str]
BARREN = 10  # generations in a row without a finite best fitness
LEAST_ROWS = 2  # that a strategy learns from


def limits(
    strategy: State,
    target: float | None,
    max_evaluations: float | None,
    max_generations: int | None,
    least_rows: int = 1,
) -> list[Reason]:
    """Return the limits reached, if the next generation has at least `least_rows` rows."""
    reasons: list[Reason] = []
    best = strategy.best.fitness
    if target is not None and (best >= target if strategy.maximize else best <= target):
        reasons.append(at_target(best, target))
    if max_evaluations is not None and strategy.evaluations + least_rows > max_evaluations:
        reasons.append(at_evaluations(max_evaluations, strategy.evaluations))
    if max_generations is not None and strategy.generation >= max_generations:
        verb = _reached(max_generations, strategy.generation)
        reasons.append(("max_generations", f"the limit of {max_generations} generations {verb}"))
    return reasons


def at_target(fitness: float, target: float) -> Reason:
    """Return the reason to stop at a target."""
    return "target", f"fitness {fitness:g} has reached the target {target:g}"


def at_evaluations(limit: float, spent: int) -> Reason:
    """Return the reason to stop at a limit of evaluations, or before a generation exceeds it."""
    verb = _reached(limit, spent) if spent >= limit else "leaves no further generation"
    return "max_evaluations", f"the limit of {limit} evaluations {verb}"


def _reached(limit: float, spent: int) -> str:
    """Return the words for a limit; a search that goes on may have passed a new, smaller one."""
    return "is passed" if spent > limit else "is reached"


class Deadline:
    """A time limit in seconds, which begin now."""

    def __init__(self, seconds: float | None) -> None:
        self._seconds = math.inf if seconds is None else seconds
        self._start = time.perf_counter()

    def reached(self) -> list[Reason]:
        """Return the reason to stop once the seconds have passed, or none."""
        if time.perf_counter() - self._start < self._seconds:
            return []
        return [("time_limit", f"{self._seconds:g} seconds have passed")]


def without_fitness(strategy: State) -> list[Reason]:
    """Return the reason to stop if many generations in a row had no finite best fitness."""
    if strategy._barren < BARREN:
        return []
    return [("nofitness", f"the best fitness of the last {strategy._barren} generations was NaN or infinite")]


def fitness_range(told: Told) -> float:
    """Return the range of the fitness of one generation; NaN if any fitness is NaN."""
    value, order = told.fitness.item, told.order
    return value(order[-1]) - value(order[0])


def first_range(strategy: State) -> float:
    """Return the first range of the fitness: from best to median, the most of ten generations.

    It is 0 if the fitness did not vary. The worst rows do not count, because they may have had a
    penalty.
    """
    history = strategy.history
    pairs = zip(history["best"][:FIRST_KEPT], history["median"][:FIRST_KEPT], strict=True)
    ranges = (abs(median - best) for best, median in pairs)
    return max((value for value in ranges if value < np.inf), default=0.0)


def least_range(strategy: State, tolerance: float) -> float:
    """Return the range below which the fitness counts as flat: `tolerance` times the first range.

    A first range of 0 or above 1 counts as 1. So a search goes on if the fitness has a small unit.
    """
    return tolerance * min(1.0, first_range(strategy) or 1.0)


def least_step(strategy: Any, first: float | None = None) -> float:
    """Return the step size that counts as none: `tolx` times the first one, at most `tolx`.

    Where only some coordinates count, `first` is their first step size.
    """
    known = strategy.history["sigma"][:1] if first is None else [first]
    least: float = strategy.tolx * min(1.0, *known)
    return least


def latest(strategy: State) -> list[float]:
    """Return the best fitness of recent generations, see `window`."""
    return strategy.history["best"][-window(strategy) :]


def window(strategy: State) -> int:
    """Return how many last generations are recent: 10 + 30 neighbours / popsize.

    Of real numbers the neighbours are n_params, see `State._neighbours`.
    """
    return min(int(10 + 30 * strategy._neighbours / strategy.popsize), LAST_KEPT)


def flat_fitness(
    strategy: State, last_range: float, tolfun: float, tolfunhist: float = 0.0, *, at_once: bool = False
) -> list[Reason]:
    """Return reasons to stop if the last generation, and the best of recent ones, are all alike.

    Recent are the generations of a `window`, or with `at_once` fewer if there are fewer. Both
    tolerances are for a first range of 1 or more, see `least_range`. With ``noisy=True`` there is
    no such reason, because values that are alike by luck say nothing about the search.
    """
    if strategy.noisy:
        return []
    recent = latest(strategy)
    if not (last_range < tolfun or abs(recent[-1] - recent[0]) < tolfunhist):
        return []
    reasons: list[Reason] = []
    span = max(recent) - min(recent)
    least, least_of_best = least_range(strategy, tolfun), least_range(strategy, tolfunhist)
    is_enough = at_once or len(recent) == window(strategy)
    if last_range < least and span < least and is_enough:
        reasons.append(("tolfun", f"the fitness ranges over less than {least:g}"))
    if len(recent) > 9 and span < least_of_best and is_enough:
        reasons.append(("tolfunhist", f"the best of {len(recent)} generations range over {span:g}"))
    return reasons


def is_stuck(strategy: State, least: float) -> bool:
    """Return whether the best fitness of all moved by less than `least` in recent generations.

    With ``noisy=True`` that says nothing, and the answer is False.
    """
    generations = window(strategy)
    recent = strategy.history["best_so_far"][-generations:]
    return not strategy.noisy and len(recent) == generations and max(recent) - min(recent) < least


def small_steps(
    strategy: State, mean: Vector, steps: Vector, engine: Engine = HOST, first: float | None = None
) -> list[Reason]:
    """Return reasons to stop if all `steps` are below `least_step`, or too small for the mean."""
    reasons: list[Reason] = []
    least = least_step(strategy, first)
    if engine.range_of(steps).most < least:
        reasons.append(("tolx", f"step sizes are smaller than {least:g}"))
    if engine.without_effect(mean, steps, strategy.dtype):
        reasons.append(("noeffect", "step sizes are too small to change the mean"))
    return reasons
