"""The observer of a run, and the choice of its result."""

import math
from typing import Any

import numpy as np

from evoopt import arguments
from evoopt.evaluation import Evaluation, Task, learning_nothing
from evoopt.strategies.contract.base import Strategy
from evoopt.strategies.contract.told import better
from evoopt.types import Array, Vector


class Watch:
    """The observer of a run: it knows whether values differ, and the best judgement and its age.

    Parameters
    ----------
    strategy : Strategy
    validation : callable or None
    """

    def __init__(self, strategy: Strategy, validation: Task | None) -> None:
        self._strategy, self._task = strategy, validation
        self._judge = None if validation is None else Evaluation("validation", validation)
        self.best, self.waited = math.nan, 0
        self.x: Array | None = None  # which the validation judged best
        self._values: set[float] = set()  # finite fitness that was seen; two of it will do
        for name in ("best", "median", "best_so_far"):  # a resumed run has only the last one in full
            self._add(np.array(strategy.history[name]))

    @property
    def differed(self) -> bool:
        """Whether there were two different values, without which nothing can be learned."""
        return len(self._values) > 1

    @property
    def validation(self) -> float | None:
        """The best judgement of the validation, None where there is none."""
        return None if self._judge is None else self.best

    def compare(self, fitness: Any) -> None:
        """Look for different values in the fitness of a generation."""
        if not self.differed:  # usually decided after the first generation
            self._add(arguments.fitness_vector(self._strategy._engine.host(fitness), len(fitness)))

    def _add(self, values: Vector) -> None:
        self._values.update(np.unique(values[np.isfinite(values)])[:2].tolist())

    def look(self) -> None:
        """Judge the generation that was told last."""
        strategy = self._strategy
        if self._judge is None:
            judged = strategy.history["best"][-1]
        else:
            solution = strategy.solution
            with learning_nothing(self._task):
                judged = self._judge.of_one(solution, strategy.generation)
        if better(judged, self.best, strategy.maximize):
            self.best, self.waited = judged, 0
            if self._judge is not None:
                self.x = solution.copy()
        else:
            self.waited += 1


def choose(strategy: Strategy, evaluation: Evaluation | None, watch: Watch) -> tuple[Array, float, int]:
    """Return the resulting vector, its fitness, and the evaluations that the choice took."""
    x = strategy.solution if watch.x is None else watch.x
    best_x, best_fitness = strategy.best.x, strategy.best.fitness
    if best_x is not None and np.array_equal(x, best_x) and not strategy.noisy:  # noise: a lucky number
        return best_x, best_fitness, 0
    fun = math.nan if evaluation is None else evaluation.of_one(x, strategy.generation)
    extra = int(evaluation is not None)
    best_counts = watch.x is None and not strategy.noisy
    if best_x is not None and best_counts and better(best_fitness, fun, strategy.maximize):
        return best_x, best_fitness, extra
    return x, fun, extra
