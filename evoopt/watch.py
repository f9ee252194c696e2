"""The observer of a run, and the choice of its result."""

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from evoopt import arguments
from evoopt.evaluation import Evaluation, Task, learning_nothing
from evoopt.strategies.contract import fields
from evoopt.strategies.contract.base import Strategy
from evoopt.strategies.contract.fields import Fields, Scope
from evoopt.strategies.contract.registry import plain_data
from evoopt.strategies.contract.told import better
from evoopt.types import Array, Vector


def _stored_vector(value: Any, place: str, scope: Scope) -> None:
    """Check a vector from a file, of any dtype: a user's own solution may have another one."""
    fits = type(value) is np.ndarray and value.shape == (scope.owner.n_params,) and value.dtype.kind in "biuf"
    fields.require(fits, place, f"an array of {scope.owner.n_params} numbers", value)


@plain_data
@dataclass(frozen=True, eq=False)  # arrays have no truth value
class Judged:
    """The judgement of a run so far; a value, so that an interruption leaves a whole one.

    Attributes
    ----------
    best : float
        The best judgement: of the validation, or the best fitness where there is none.
    x : ndarray, shape (n_params,), or None
        The vector that the validation judged best.
    waited : int
        The generations since then.
    generation : int
        The generation that was judged last.
    values : tuple of float
        Finite fitness that was seen, up to two different values.
    """

    _stored: ClassVar[Fields] = {
        "best": fields.ANY_NUMBER,
        "x": fields.optional(_stored_vector),
        **dict.fromkeys(("waited", "generation"), fields.whole()),
        "values": fields.items(tuple, fields.number(), 2),
    }

    best: float = math.nan
    x: Array | None = None
    waited: int = 0
    generation: int = 0
    values: tuple[float, ...] = ()


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
        self.judged = Judged()

    def go_on(self, judged: Judged) -> None:
        """Begin with the judgement so far, and with the values of the history."""
        self.judged = judged
        for name in ("best", "median", "best_so_far"):
            self._add(np.array(self._strategy.history[name]))

    @property
    def differed(self) -> bool:
        """Whether there were two different values, without which nothing can be learned."""
        return len(self.judged.values) > 1

    @property
    def validation(self) -> float | None:
        """The best judgement of the validation, None where there is none."""
        return None if self._judge is None else self.judged.best

    def compare(self, fitness: Any) -> None:
        """Look for different values in the fitness of a generation."""
        if not self.differed:  # usually decided after the first generation
            self._add(arguments.fitness_vector(self._strategy._engine.host(fitness), len(fitness)))

    def _add(self, values: Vector) -> None:
        finite = np.unique(values[np.isfinite(values)])[:2].tolist()
        known = sorted({*self.judged.values, *finite})[:2]  # two will do
        self.judged = replace(self.judged, values=tuple(known))

    def look(self) -> None:
        """Judge the generation that was told last, unless it has been judged."""
        strategy, before = self._strategy, self.judged
        if strategy.generation == before.generation:
            return
        x = None
        if self._judge is None:
            best = strategy.history["best"][-1]
        else:
            x = strategy.solution.copy()
            with learning_nothing(self._task):
                best = self._judge.of_one(x, strategy.generation)
        waited = 0
        if not better(best, before.best, strategy.maximize):
            best, x, waited = before.best, before.x, before.waited + 1
        self.judged = Judged(best, x, waited, strategy.generation, before.values)


def choose(strategy: Strategy, evaluation: Evaluation | None, watch: Watch) -> tuple[Array, float, int]:
    """Return the resulting vector, its fitness, and the evaluations that the choice took."""
    judged = watch.judged.x
    x = strategy.solution if judged is None else judged
    best_x, best_fitness = strategy.best.x, strategy.best.fitness
    if best_x is not None and np.array_equal(x, best_x) and not strategy.noisy:  # noise: a lucky number
        return best_x, best_fitness, 0
    fun = math.nan if evaluation is None else evaluation.of_one(x, strategy.generation)
    extra = int(evaluation is not None)
    best_counts = judged is None and not strategy.noisy
    if best_x is not None and best_counts and better(best_fitness, fun, strategy.maximize):
        return best_x, best_fitness, extra
    return x, fun, extra
