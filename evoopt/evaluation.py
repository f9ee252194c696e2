"""Calls of a task, with the generation or without, that must return one number for each row."""

import inspect
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from evoopt import arguments, arrays
from evoopt.arrays import shown
from evoopt.compiling.jit import COMPILER_ERRORS
from evoopt.failures import known
from evoopt.loop import Gather, Populations
from evoopt.strategies.contract.base import Strategy
from evoopt.strategies.contract.saving import learns, state_of
from evoopt.tasks.gymnasium import GymnasiumTask
from evoopt.tasks.objective import Objective
from evoopt.tasks.rollout import Rollout
from evoopt.tasks.supervised import Supervised
from evoopt.types import Array, Vector
from evoopt.workers.crew import Crew
from evoopt.workers.numbers import ByNumbers
from evoopt.workers.remote import Each
from evoopt.workers.stream import Stream
from evoopt.workers.workers import Workers

Task = Callable[..., Sized]  # (population, generation) -> the fitness (popsize,), an array of any library
_ADVICE = "Make a function f of one vector a task by evoopt.Objective(f)."
_OF_POPULATION = "Row {} of the population raised this."
# errors that a function of one vector may raise when it gets a matrix
_MISUSE: tuple[type[Exception], ...] = (IndexError, TypeError, ValueError, *COMPILER_ERRORS)


class Evaluation:
    """A function ``evaluation(rows, generation, first) -> fitness`` that refuses any other shape.

    A function of one vector may well take a matrix, and where ``popsize == n_params`` even its
    shape looks right. So a task whose first population is square is called once more, with one row.

    Parameters
    ----------
    name : str
        The argument of `evolve`, for errors.
    task : callable
    workers : Workers, optional
        Evaluate the rows, one in each call of the task.
    """

    def __init__(self, name: str, task: Task, workers: Workers | None = None) -> None:
        if not callable(task):
            raise ValueError(f"{name} must be a function of a population, got {shown(task)}.")
        self._name, self._task = name, task
        self._with_generation = _way_of_the_generation(name, task)
        self._takes_populations = workers is not None or _takes_populations(task)  # True if this is known
        self._crew = None if workers is None else Crew(workers, name)
        self._numbers: ByNumbers | None = None  # if rows travel as numbers
        if self._crew is not None:
            self._crew.take(self._of_one_row)  # refuses what cannot go to processes

    def __call__(self, population: Array, generation: int, first: int = 0) -> Any:
        """Return the fitness (popsize,): the task's own result, or with an executor a new array.

        The population may be a part of a larger one, from the row `first` on.
        """
        if self._crew is not None:
            return self._by(self._crew, population, generation, first)
        call = self._with_generation(self._task, generation)
        if self._takes_populations:
            return self._one_for_each(call(population), population)
        with _advising(f"{self._name} was called with a population of shape {population.shape}. {_ADVICE}"):
            values = call(population)
        fitness = self._one_for_each(values, population)
        if len(population) > 1:
            self._try_one_row(call, population)
        return fitness

    def gatherer(self, strategy: Strategy, chunk_size: int | None) -> Gather:
        """Return the way in which generations of a strategy are evaluated."""
        crew = self._crew
        if crew is not None and crew.workers.asynchronous:
            stream = Stream(crew, self._of_one_row, self._read)
            return lambda strategy, limits: stream.gather(strategy, limits.left(strategy))
        if crew is not None and crew.workers.rows == "numbers":
            self._numbers = numbers = ByNumbers(crew, strategy, Each(self._of_one_row), self._read)
            return lambda strategy, limits: numbers.gather(strategy.ask_ids(limits.rows(strategy)))
        return Populations(self, chunk_size)

    def close(self) -> None:
        """Cancel the rows in flight at workers."""
        if self._crew is not None:
            self._crew.close()

    def _by(self, crew: Crew, population: Array, generation: int, first: int) -> Vector:
        if self._numbers is not None:
            values = self._numbers.map(population, generation)
        else:
            values = crew.map(self._of_one_row, population, generation)
        return self._read(values, population.shape[1], first)

    @property
    def _of_one_row(self) -> "_OneRow":
        return _OneRow(self._with_generation, self._task)

    def _read(self, values: Iterable[Any], n: int, first: int = 0, note: str = _OF_POPULATION) -> Vector:
        """Read the values of rows with `n` coordinates, or raise their `Failure`.

        Exceptions get the note with the number of their row, of which `first` is the smallest.
        """
        row, read = np.empty((1, n)), []
        for number, value in enumerate(values, first):
            with _noting(note.format(number)):
                read.append(self._read_one(value, row))
        return np.array(read)

    def _read_one(self, value: Any, row: Array) -> float:
        found = arrays.read("fitness", self._one_for_each(known(value), row))
        return float(arguments.fitness_vector(found, 1)[0])

    def of_one(self, x: Array, generation: int) -> float:
        """Return the fitness of one vector (n_params,)."""
        return float(arguments.fitness_vector(self(x[None], generation), 1)[0])

    def _try_one_row(self, call: Task, population: Array) -> None:
        """Raise ValueError if the task is a function of one vector, which a square matrix hides."""
        if len(population) == population.shape[1]:
            row = population[:1]
            try:
                with learning_nothing(self._task):
                    value = call(row.copy() if isinstance(row, np.ndarray) else row)
            except _MISUSE as error:
                raise ValueError(
                    f"{self._name} must take a population of any number of rows, but of shape {row.shape} it "
                    f"raised {type(error).__name__}: {error}. {_ADVICE}"
                ) from error
            self._one_for_each(value, row)
        self._takes_populations = True

    def _one_for_each(self, values: Any, rows: Array) -> Any:
        """Return one value for each row, in the shape (k,); a single row may have a bare number."""
        arrays.require_unmasked("fitness", values)
        try:
            shape = tuple(np.shape(values))
        except ValueError:  # lists of different lengths
            shape = None
        if shape == (len(rows),):
            return values
        if shape == () and len(rows) == 1 and np.asarray(values).dtype.kind in "biuf":
            return np.reshape(values, 1)
        got = f"shape {shape}" if shape else "lists of different lengths" if shape is None else repr(values)
        hint = " Is its return missing?" if values is None else " Return a vector." if shape else ""
        raise ValueError(
            f"{self._name} must return one number for each row, shape ({len(rows)},) for a population of "
            f"shape {rows.shape}, got {got}.{hint} {_ADVICE}"
        )


@contextmanager
def _noting(note: str) -> Iterator[None]:
    """Add a note to whatever is raised in the block."""
    try:
        yield
    except BaseException as error:
        error.add_note(note)
        raise


@contextmanager
def _advising(note: str) -> Iterator[None]:
    """Add a note to the errors that a function of one vector may raise in the block."""
    try:
        yield
    except _MISUSE as error:
        notes = getattr(error, "__notes__", ())  # numba raises one object again
        if not any(each.endswith(_ADVICE) for each in notes):
            error.add_note(note)
        raise


def _takes_populations(task: Task) -> bool:
    """Whether the task is known to be one of populations."""
    if isinstance(task, Objective):
        return not task.vectorized
    return isinstance(task, Supervised | Rollout | GymnasiumTask)


@dataclass(frozen=True)
class _Second:
    """A task that gets the generation as its second argument, and that can be pickled."""

    task: Task
    generation: int

    def __call__(self, population: Array) -> Any:
        return self.task(population, self.generation)


@dataclass(frozen=True)
class _OneRow:
    """A task as a function of one row and the generation, for workers."""

    with_generation: Callable[[Task, int], Task]
    task: Task

    def __call__(self, row: Array, generation: int) -> Any:
        return self.with_generation(self.task, generation)(row[None])


def _second(task: Task, generation: int) -> Task:
    return _Second(task, generation)


def _by_name(task: Task, generation: int) -> Task:
    return partial(task, generation=generation)


def _without(task: Task, generation: int) -> Task:
    return task


def _way_of_the_generation(name: str, task: Task) -> Callable[[Task, int], Task]:
    """Return how the task takes the generation: by its name, as a second argument, or not at all.

    A parameter "generation" gets it, also one with a default; else a second parameter without a
    default.
    """
    try:
        parameters = list(inspect.signature(task).parameters.values())
    except (TypeError, ValueError):  # some builtins tell nothing of their parameters
        return _without
    chosen = task.keywords if isinstance(task, partial) else {}
    kinds = inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD
    by_name = [p for p in parameters if p.name == "generation" and p.kind in (kinds[1], p.KEYWORD_ONLY)]
    needed = [p for p in parameters if p.default is p.empty and p not in by_name]
    places = [p for p in needed if p.kind in kinds]
    surplus = [p for p in needed if p.kind == p.KEYWORD_ONLY] + places[1 if by_name else 2 :]
    if surplus or not any(p.kind in (*kinds, p.VAR_POSITIONAL) for p in parameters):
        raise ValueError(
            f"{name} must be a function of a population, or of population and generation, got {shown(task)} "
            f"with the parameters {inspect.signature(task)}; give others by functools.partial, or make a "
            "function f of one vector and further arguments a task by evoopt.Objective(f, args)."
        )
    if by_name and "generation" not in chosen:
        return _by_name
    return _second if len(places) == 2 else _without


def check(strategy: Strategy, task: Task, validation: Task | None, workers: Workers | None) -> None:
    """Raise ValueError where strategy, task and executor do not go together."""
    for judge in (task, validation):
        _check_direction(strategy, judge)
    if getattr(task, "noisy", False) and not strategy.noisy:
        raise ValueError(
            "The fitness of the task changes from generation to generation, but the strategy was made with "
            "noisy=False and would keep the luckiest row; make it with noisy=True."
        )
    if workers is not None and strategy.device != "cpu":
        raise ValueError(
            "An executor evaluates rows of the CPU's memory, but the strategy was made with "
            f'device="{strategy.device}"; make it with device="cpu", or leave executor out.'
        )
    if workers is not None and learns(task):
        raise ValueError(
            "An executor evaluates rows by copies of the task, but this one has a state: what copies learn "
            "of their rows would be lost. Leave executor out, or take a task that learns nothing: one "
            "without load_state(), or with learns = False."
        )


def _check_direction(strategy: Strategy, task: Task | None) -> None:
    if getattr(task, "maximize", strategy.maximize) != strategy.maximize:
        words = {True: "maximized", False: "minimized"}
        raise ValueError(
            f"The task is to be {words[not strategy.maximize]}, but the strategy was made with "
            f"maximize={strategy.maximize}; make it with maximize={not strategy.maximize}."
        )


@contextmanager
def learning_nothing(task: Any) -> Iterator[None]:
    """Restore a task's state after the block, whose evaluations are no part of a generation."""
    state = state_of(task)
    try:
        yield
    finally:
        if state is not None:
            task.load_state(state)
