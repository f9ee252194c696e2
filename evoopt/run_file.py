"""The file of a run of `evolve`, written between two generations, from which the run is resumed."""

import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from evoopt import arguments
from evoopt.evaluation import Task
from evoopt.strategies.contract import fields, saving
from evoopt.strategies.contract.base import Strategy
from evoopt.strategies.contract.checkpoint import Checkpoint, give_state, read
from evoopt.strategies.contract.fields import Fields, Scope
from evoopt.strategies.contract.registry import plain_data
from evoopt.strategies.contract.run import twin_of
from evoopt.strategies.contract.saving import state_of
from evoopt.strategies.contract.settings import Settings, difference, settings_of
from evoopt.watch import Judged, Watch


def _stored_state(value: object, place: str, scope: Scope) -> None:
    fields.require(type(value) is dict, place, "the state of a task", value)


@plain_data
@dataclass(frozen=True, eq=False)
class Record:
    """The part of a run's file beside its strategy and the state of its task.

    Attributes
    ----------
    settings : dict
        The settings of the strategy when the run began.
    kinds : dict
        The names of the classes of "task" and, if there is one, of "validation".
    judged : Judged
    validation : dict or None
        The state of the validation, None if it learns nothing.
    """

    _stored: ClassVar[Fields] = {
        "settings": fields.table(fields.text),
        "kinds": fields.table(fields.text),
        "judged": fields.instance(Judged),
        "validation": fields.optional(_stored_state),
    }

    settings: Settings
    kinds: dict[str, str]
    judged: Judged
    validation: dict[str, Any] | None


class _Moment(NamedTuple):
    """The states at one moment between two generations."""

    counts: tuple[int, int]  # of generations and evaluations; old rows add to the second one alone
    strategy: dict[str, Any]  # its attributes
    task: dict[str, Any] | None
    validation: dict[str, Any] | None
    judged: Judged


class RunFile:
    """The file of a run; it does nothing if there is no path.

    Parameters
    ----------
    path : str, path or None
    every : float
        Seconds between two writes.
    strategy, task, validation
        See `evolve`.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None,
        every: float,
        strategy: Strategy,
        task: Task,
        validation: Task | None,
    ) -> None:
        self._path = None if path is None else arguments.path("checkpoint", path)
        self._every = arguments.within("every", every, 0, math.inf)
        self._strategy, self._task, self._validation = strategy, task, validation
        self._written: tuple[int, ...] | None = None  # the counts in the file, and the generation judged last
        self._kinds = {"task": type(task).__name__}
        if validation is not None:
            self._kinds["validation"] = type(validation).__name__

    def begin(self) -> Judged:
        """Resume the run in the file, or write the first file; return the judgement so far."""
        judged = Judged()
        if self._path is not None and os.path.isfile(self._path):
            found = read(self._path)
            self._require_same(found)
            self._give_states(found)
            self._strategy._take_over(found.strategy)
            self._settings, judged = found.record.settings, found.record.judged
            self._written = *_counts(self._strategy), judged.generation
        elif self._path is not None:
            self._settings = settings_of(self._strategy)
            self._write(self._moment(judged))
        self._written_at = time.monotonic()
        return judged

    @contextmanager
    def kept(self, watch: Watch) -> Iterator[Callable[[], None]]:
        """Write the file after the block, however it ends; yield the function for its loop."""
        if self._path is None:
            yield lambda: None
            return
        self._last = self._moment(watch.judged)

        def between() -> None:
            self._last = self._moment(watch.judged)
            if time.monotonic() - self._written_at >= self._every:
                self._write(self._last)

        try:
            yield between
        except BaseException as error:
            try:
                self._end(watch)
            except Exception as second:
                error.add_note(f'The checkpoint "{self._path}" is an older one, because of {second!r}.')
            raise
        self._end(watch)

    # ---------------------------------------------------------------- writing

    def _moment(self, judged: Judged) -> _Moment:
        """Return the present moment, which must be between two generations.

        The attributes stay as they are: updates assign new objects, and the direction vectors of
        LMMAES, which an `ask` changes in place, may be changed once more without effect.
        """
        states = state_of(self._task), state_of(self._validation)
        return _Moment(_counts(self._strategy), vars(self._strategy).copy(), *states, judged)

    def _end(self, watch: Watch) -> None:
        """Write the last moment between two generations, and let the strategy be as it was then."""
        if _counts(self._strategy) == self._last.counts:
            self._strategy.__dict__ = self._last.strategy.copy()  # its last rows were not told
        else:
            self._last = self._moment(watch.judged)
        self._write(self._last)

    def _write(self, moment: _Moment) -> None:
        """Write a moment, unless it is in the file."""
        written = *moment.counts, moment.judged.generation
        if written == self._written:
            return
        strategy = twin_of(self._strategy)
        strategy.__dict__ = moment.strategy.copy()
        record = Record(self._settings, self._kinds, moment.judged, moment.validation)
        saving.save(str(self._path), strategy, moment.task, record)
        self._written, self._written_at = written, time.monotonic()

    # ---------------------------------------------------------------- resuming

    def _require_same(self, found: Checkpoint) -> None:
        """Raise ValueError unless a file is of this run."""
        record = found.record
        if not isinstance(record, Record):
            raise self._refused("no run, but a strategy alone")
        fault = difference(self._strategy, record.settings)
        if fault is not None and settings_of(self._strategy) != settings_of(found.strategy):
            raise self._refused(fault)
        for name in ("task", "validation"):
            there, here = (kinds.get(name, "nothing") for kinds in (record.kinds, self._kinds))
            if there != here:
                raise self._refused(f"{there} as {name}, not {here}")

    def _refused(self, fault: str) -> ValueError:
        return ValueError(
            f'checkpoint must be a file of this run, but "{self._path}" has {fault}; take another path, or '
            "remove the file."
        )

    def _give_states(self, found: Checkpoint) -> None:
        """Give task and validation their states, both or none."""
        before = state_of(self._task)
        give_state(self._task, found.state, str(self._path))
        try:
            give_state(self._validation, found.record.validation, str(self._path))
        except ValueError:
            give_state(self._task, before, str(self._path))
            raise


def _counts(strategy: Strategy) -> tuple[int, int]:
    return strategy.generation, strategy.evaluations
