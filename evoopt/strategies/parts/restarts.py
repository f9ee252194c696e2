"""Restarts around any strategy: the base of `ipop.IPOP` and `bipop.BIPOP`."""

import copy
import math
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self, cast

import numpy as np
from numpy.typing import ArrayLike

from evoopt import arguments, arrays
from evoopt.arrays import shown
from evoopt.spaces.space import PointLike
from evoopt.strategies.contract import fields, run, state_lock, stopping
from evoopt.strategies.contract.base import Strategy
from evoopt.strategies.contract.fields import Fields, Kind, Scope
from evoopt.strategies.contract.ledger import Ledger
from evoopt.strategies.contract.registry import REGISTRY, plain_data
from evoopt.strategies.contract.run import Run
from evoopt.strategies.contract.space_box import Kinds, SpaceBox
from evoopt.strategies.contract.stopping import Reason
from evoopt.strategies.contract.told import Told
from evoopt.strategies.parts.mixed import Mixed
from evoopt.types import Array, Ids, Vector

CAREFUL = 0.1  # the learning rate of integers and categories in restarts
PATIENCE = 30.0  # times the recent generations that a run may take to become the best
CONTRACTED = 0.1  # the share of the first step size below which a run has contracted
Start = Callable[[np.random.Generator], PointLike]


@plain_data
@dataclass(frozen=True)
class Plan:
    """The plan of the next run: its popsize, its share of `restart_sigma`, its most evaluations."""

    _stored: ClassVar[Fields] = {
        "popsize": fields.whole(2),
        "sigma_share": fields.number(0, 1),
        "max_evaluations": fields.number(0),
    }

    popsize: int
    sigma_share: float = 1.0
    max_evaluations: float = math.inf


def _stored_run(value: object, place: str, scope: Scope) -> None:
    """Check the run of a restarted strategy, see `fields`."""
    owner, cls = scope.owner, REGISTRY.get(scope.owner.name)
    known = cls is not None and not issubclass(cls, Restarts)
    fields.require(known, place, "of a registered class", owner.name)
    fields.require(type(value) is cls, place, f"a {owner.name}", value)
    shared = getattr(value, "_ledger", None) is owner._ledger  # the owner has checked it
    fields.check(value, place, Scope(value), **({"_ledger": fields.anything} if shared else {}))
    for name in ("n_params", "dtype", "_popsize_factor", "_injects", "_reflects"):
        expected, got = getattr(owner, name), getattr(value, name)
        fields.require(got == expected, f"{place}.{name}", repr(expected), got)


class Restarts(Strategy):
    """The base of `IPOP` and `BIPOP`: if a run has reasons to stop, the next `ask` begins another.

    A run is a strategy that shares the ledger of rows and searches the space without bounds. Rows
    of an older run may still be told, and may be the best, but no run learns from them.
    """

    _usage = "evoopt.CMAES(mean, sigma)"
    _stored: ClassVar[Fields] = {
        **dict.fromkeys(("_reflects", "_injects", "_own_start"), fields.flag),
        "_popsize_factor": fields.whole(1),
        "start": fields.choice(None),
        **fields.DISTRIBUTION,
        "_restart_sigma": fields.STEPS,
        "_first_mean": fields.COORDINATES,
        "_first_popsize": fields.whole(2),
        **dict.fromkeys(("restarts", "max_restarts"), fields.whole()),
        "name": fields.text,
        "ends": fields.items(list, fields.tupled(fields.ANY_NUMBER, fields.text)),
        "_limit": fields.number(0),
        "_plan": fields.optional(fields.instance(Plan)),
        "_options": fields.table(fields.anything),
        "_run": _stored_run,
    }

    def __new__(cls, *arguments: object, **options: object) -> Self:
        misplaced = sorted(options.keys() & run.SHARED)
        if misplaced or (arguments and isinstance(arguments[0], type)):
            what = f"the option {misplaced[0]}" if misplaced else "a class"
            raise TypeError(
                f"{cls.__name__} takes a strategy that was made with all its options, got {what}; write "
                f"{cls.__name__}(evoopt.CMAES(mean, sigma, popsize=..., seed=...), max_restarts=...)."
            )
        return super().__new__(cls, *arguments, **options)

    def __init__(
        self,
        strategy: Strategy,
        *,
        start: Start | None = None,
        restart_sigma: PointLike | None = None,
        max_restarts: int = 9,
    ) -> None:
        made_with = _made_with(type(self).__name__, strategy)
        self.name = type(strategy).__name__
        self.start = start
        self._reflects, self._injects = strategy._reflects, strategy._injects
        self._popsize_factor = strategy._popsize_factor
        options, sigma = run.shared_options(strategy), made_with.get("sigma")
        if strategy.space is None:
            given = arrays.read("mean", made_with["mean"])
            # GA may have a first population
            first = given if given.ndim == 1 else given.mean(axis=0, dtype=float)
            super().__init__(first, sigma, **options)
        else:
            options["x0"] = made_with.get("x0")
            super().__init__(strategy.space, sigma, **options)
            given = first = self._read_point(options["x0"])
            sigma = self._sigma
        self._restart_sigma = self._sigma if restart_sigma is None else self._read_steps(restart_sigma)
        self.max_restarts = arguments.whole("max_restarts", max_restarts, 0)
        self.restarts = 0
        self._own_start = start is not None
        self._first_mean, self._first_popsize = arguments.finite_vector(first), strategy.popsize
        self._options = run.own_options(strategy, made_with)
        self.ends: list[tuple[float, str]] = []
        self._limit = math.inf  # the most evaluations of this run
        self._plan: Plan | None = None  # the next run, once this one is over
        self._run: Run = self._first_run(strategy, given, sigma)
        self._begin()

    def _begin(self) -> None:
        """Set the attributes of a subclass before the first run."""

    def _first_run(self, strategy: Strategy, mean: Array, sigma: Any) -> Run:
        """Return the first run, made like `strategy`, with options that were set on it since."""
        try:
            if isinstance(self._box, SpaceBox):
                mean = self._mean
            elif self._box is not None:
                mean = self._unbounded_start(mean.astype(np.float64))
            first = self._new_run(mean, sigma, self.popsize)
            since = run.set_since(strategy, first)
            if since:
                self._options |= since
                first = self._new_run(mean, sigma, self.popsize)
        except TypeError as error:
            raise ValueError(
                f"A strategy that is made as {self.name}(mean, sigma, popsize=..., seed=..., dtype=...) was "
                f"expected, because restarts make others of its class, but {error}"
            ) from error
        self._ledger.memory = first._ledger.memory
        return self._join(first)

    def _new_run(self, mean: ArrayLike, sigma: ArrayLike, popsize: int) -> Strategy:
        """Return a new run."""
        cls: type[Strategy] = REGISTRY[self.name]
        options = {cls._renamed.get(name, name): value for name, value in self._options.items()}
        return cls(mean, sigma, popsize=popsize, **options)

    @property
    def start(self) -> Start | None:
        """The function that draws the start of a restart; it may be set at any time."""
        found: Start | None = vars(self)["start"]
        return found

    @start.setter
    def start(self, value: Start | None) -> None:
        if value is not None and not callable(value):
            raise ValueError(f"start must be a function of a numpy Generator, got {shown(value)}.")
        vars(self)["start"] = value

    def _require_fit(self, place: str, scope: Scope) -> None:
        super()._require_fit(place, scope)
        ends, least = len(self.ends), self._first_popsize
        fields.require(ends - self.restarts in (0, 1), f"{place}.restarts", f"of {ends} ends", self.restarts)
        fields.require(self._plan is None or ends > self.restarts, f"{place}._plan", "none yet", self._plan)
        popsize = self._run.popsize if self._plan is None else self._plan.popsize
        fields.require(self.popsize == popsize, f"{place}.popsize", str(popsize), self.popsize)
        fits = least % self._popsize_factor == 0 and least <= popsize
        fields.require(fits, f"{place}._first_popsize", f"at most {popsize}", least)
        try:
            self._new_run(self._unbounded_start(self._first_mean), self._restart_sigma, self._first_popsize)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{place}._options are not those of a {self.name}: {error}") from error

    def _snapshot_kind(self) -> Kind:
        of_run, number_of_run = self._run._snapshot_kind(), fields.whole(0, self.restarts)

        def kind(value: Any, place: str, scope: Scope) -> None:
            fields.require(type(value) is tuple and len(value) > 0, place, "a tuple", value)
            of_run(value[:-1], place, Scope(self._run))
            number_of_run(value[-1], place, scope)

        return kind

    @abstractmethod
    def _next_plan(self, generator: np.random.Generator) -> Plan | None:
        """Return the plan of the run after this one, which is over, or None to end."""

    def _join(self, run: Run) -> Run:
        run._widest = self._widest
        if isinstance(self._box, SpaceBox):
            run._search_in(self._box)
        return run

    def __getstate__(self) -> dict[str, Any]:
        with state_lock.LOCK:
            state = super().__getstate__()
            state["_run"] = copy.copy(state["_run"])  # a copy, because this run may change
        return state

    def _saved_state(self) -> dict[str, Any]:
        return super()._saved_state() | {"start": None}

    def _take_over(self, other: Self) -> None:
        vars(other)["start"] = self.start  # which no file holds
        super()._take_over(other)

    def _generator(self, purpose: int) -> np.random.Generator:
        """Return a random generator for a purpose, which depends on the seed and the restart."""
        return np.random.default_rng([self.seed, self.restarts, purpose])

    # ---------------------------------------------------------------- restarting

    def _asked(self, n: int) -> Ledger:
        if self._plan is None:
            return super()._asked(n)
        twin = run.twin_of(self)
        twin._restart(self._plan)
        twin._ledger = ledger = super(Restarts, twin)._asked(n)
        vars(self).update(vars(twin))  # all at once: the restart and the first rows of its run
        return ledger

    def _get_ready(self, ledger: Ledger) -> None:
        self._run._get_ready(ledger)

    def _restart(self, plan: Plan) -> None:
        if self._own_start and self.start is None:
            raise ValueError(
                "A checkpoint does not hold the function that draws the start of a restart; set it before "
                "this ask: es.start = function."
            )
        mean = self._draw_start()
        sigma = np.maximum(plan.sigma_share * self._restart_sigma, arguments.step_range(self.dtype)[0])
        self._run = self._join(self._new_run(mean, sigma, plan.popsize))
        if isinstance(self._run, Mixed):
            self._run._slow_down(CAREFUL)
        self._limit, self._plan = plan.max_evaluations, None
        self.restarts += 1

    def _draw_start(self) -> Vector:
        """Draw a mean uniformly: in the bounds, or within two sigma of the first for open sides."""
        generator, box = self._generator(0), self._box
        if self.start is not None:
            mean = self._read_point(self.start(generator))
            if len(mean) != self.n_params:
                raise ValueError(f"start must return {self.n_params} numbers, got {len(mean)}.")
            arguments.require_coordinates("mean", mean, self.dtype)
            return self._unbounded_start(mean)
        u = generator.random(self.n_params)
        mean = self._first_mean + (4 * u - 2) * self._sigma
        if isinstance(box, SpaceBox):
            limit = arguments.farthest(self.dtype)
            return np.clip(box.uniform_start(u), -limit, limit)
        return self._unbounded_start(mean if box is None else box.uniform(u, mean))

    def _unbounded_start(self, mean: Array) -> Array:
        """Return the start of a run in the space without bounds, as far out as a mean may be."""
        limit = arguments.farthest(self.dtype)
        return np.clip(mean if self._box is None else self._box.inverse(mean, "mean"), -limit, limit)

    # ---------------------------------------------------------------- what a strategy defines

    def _snapshot(self, first_id: int) -> tuple[Any, ...]:
        return *self._run._snapshot(first_id), self.restarts

    def _sample(self, snapshot: tuple[Any, ...], ids: Ids, out: Array) -> None:
        self._run._sample(snapshot[:-1], ids, out)

    def _update(self, told: Told) -> None:
        mine = self._of_this_run(told)
        if len(mine.order) > 1:
            self._run = run.twin_of(self._run)  # the run itself stays, because this update may fail
            self._run._learn(mine, mine.population[mine.order[0]])
        reasons = self._run.stop()
        if not reasons and self._run.evaluations >= self._limit:
            reasons = (("max_evaluations", "a run with a small popsize has had its share"),)
        if not reasons and self._is_too_slow():
            reasons = (("tolpace", "at its pace the run would not become the best"),)
        if reasons and len(self.ends) == self.restarts:
            best = self._run.best.fitness
            self.ends = [*self.ends, (-best if self.maximize else best, reasons[0][0])]
            self._plan = self._next_plan(self._generator(1))
            if self._plan is not None:
                self.popsize = self._plan.popsize

    def _is_too_slow(self) -> bool:
        """Return whether a contracted run would need too long to reach the target, or the best.

        A run that has settled on wrong integers still improves its reals for long, to no avail.
        """
        current = cast(Strategy, self._run)
        if not isinstance(current, Mixed) or current._discrete is None or self.noisy:
            return False
        known = [fitness for fitness, _ in self.ends] + ([] if self.target is None else [self.target])
        sigma, recent = current.history["sigma"], stopping.latest(current)
        if not known or len(recent) < stopping.window(current) or sigma[-1] > CONTRACTED * sigma[0]:
            return False
        goal = min(-fitness if self.maximize else fitness for fitness in known)
        gain = max(recent[0] - min(recent), 0.0)
        return bool(min(recent) - goal > PATIENCE * gain)

    def _trim_history(self) -> None:
        super()._trim_history()
        self._run._trim_history()

    def _of_this_run(self, told: Told) -> Told:
        """Return the told rows without rows of older runs."""
        drawn = [(snapshot[:-1], where) for snapshot, where in told.drawn if snapshot[-1] == self.restarts]
        if len(drawn) == len(told.drawn):
            return told._replace(drawn=drawn)
        mine = np.ones(len(told.order), np.bool_)
        for snapshot, where in told.drawn:
            mine[where] = snapshot[-1] == self.restarts
        place = np.cumsum(mine) - 1
        fitness = told.fitness[mine]
        return Told(
            told.population[mine],
            fitness,
            fitness.argsort(kind="stable"),
            None if told.outside is None else told.outside[mine],
            told.ids[mine],
            [(snapshot, place[where]) for snapshot, where in drawn],
            fitness,
        )

    def _reasons(self) -> Sequence[Reason]:
        return self._run.stop() if self._plan is None else ()

    # ---------------------------------------------------------------- results

    @property
    def mean(self) -> Array:
        """The mean of this run in the user's space: a copy of shape (n_params,)."""
        return self._enclosed(self._run.mean)

    @property
    def sigma(self) -> float | Vector:
        """The sigma of this run."""
        return self._run.sigma

    def _searchable(self) -> Kinds:
        searchable: Kinds = REGISTRY[self.name]._kinds
        return searchable

    def _searched_mean(self) -> Array:
        return self._run._searched_mean()

    def _overall_sigma(self) -> float:
        return self._run._overall_sigma()

    def _measures(self) -> dict[str, float]:
        return self._run._measures()

    @property
    def solution(self) -> Array:
        """The recommended parameters: the best row of all runs; if noisy, this run's solution."""
        x = self.best.x
        return self._enclosed(self._run.solution) if self.noisy or x is None else x


def _made_with(name: str, strategy: object) -> Mapping[str, Any]:
    """Return the arguments of a strategy; raise ValueError unless it is new and restartable."""
    if isinstance(strategy, Restarts):
        raise ValueError(f"{name} takes a strategy without restarts, got {shown(strategy)}.")
    if not isinstance(strategy, Strategy) or REGISTRY.get(type(strategy).__name__) is not type(strategy):
        raise ValueError(
            f"The strategy to restart must be of a registered class, got {shown(strategy)}; write "
            f"{name}(evoopt.CMAES(mean, sigma)), and decorate a class of your own with evoopt.register."
        )
    made_with = strategy._made_with
    is_complete = made_with is not None and ("sigma" in made_with or strategy.space is not None)
    if made_with is None or strategy._ledger.next_id > 0 or not is_complete or "mean" not in made_with:
        raise ValueError(
            f"The strategy to restart must be new, as {type(strategy).__name__}(mean, sigma, ...) makes it, "
            f"got {shown(strategy)}; make another one if it was asked or told, copied or loaded."
        )
    return made_with


def run_of(strategy: Strategy) -> Strategy:
    """Return the present run of restarts; a strategy without restarts is its own run."""
    return cast(Strategy, strategy._run) if isinstance(strategy, Restarts) else strategy
