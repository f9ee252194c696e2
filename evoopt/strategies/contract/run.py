"""Runs: the strategies inside of a strategy that restarts; their interface and their options."""

from collections.abc import Mapping
from typing import Any, Protocol, TypeVar

import numpy as np

from evoopt.calls import option_names
from evoopt.strategies.contract.fields import Kind
from evoopt.strategies.contract.ledger import Ledger
from evoopt.strategies.contract.options import Options
from evoopt.strategies.contract.space_box import SpaceBox
from evoopt.strategies.contract.state import State
from evoopt.strategies.contract.stopping import Reason
from evoopt.strategies.contract.told import Best, Told
from evoopt.types import Array, Ids, Vector

_T = TypeVar("_T")
SHARED = {"mean", "sigma", *Options.__annotations__}  # set for all runs together, or anew for each


class Run(Protocol):
    """The interface of a run, which every `Strategy` has.

    A run searches the space without bounds and minimizes. Its `ask` and `tell` are never called:
    the strategy around it has the rows and their ledger.
    """

    popsize: int
    generation: int
    evaluations: int
    best: Best
    history: dict[str, list[Any]]
    _widest: Vector | None

    @property
    def mean(self) -> Array: ...
    @property
    def sigma(self) -> float | Vector: ...
    @property
    def solution(self) -> Array: ...
    def stop(self) -> tuple[Reason, ...]: ...
    def _snapshot(self, first_id: int) -> tuple[Any, ...]: ...
    def _snapshot_kind(self) -> Kind: ...
    def _get_ready(self, ledger: Ledger) -> None: ...
    def _sample(self, snapshot: tuple[Any, ...], ids: Ids, out: Array) -> None: ...
    def _learn(self, told: Told, best_row: Array) -> None: ...
    def _search_in(self, box: SpaceBox) -> None: ...
    def _searched_mean(self) -> Array: ...
    def _trim_history(self) -> None: ...
    def _measures(self) -> dict[str, float]: ...
    def _overall_sigma(self) -> float: ...


def shared_options(strategy: State) -> Options:
    """Return the options of a new strategy that hold for all its runs together."""
    box = strategy._box
    return {
        "popsize": strategy.popsize,
        "bounds": None if box is None or strategy.space else np.stack([box.low, box.high], axis=1),
        "maximize": strategy.maximize,
        "noisy": strategy.noisy,
        "seed": strategy.seed,
        "dtype": strategy.dtype,
        "target": strategy.target,
        "max_evaluations": strategy.max_evaluations,
        "max_generations": strategy.max_generations,
        "device": strategy.device,
    }


def own_options(strategy: State, made_with: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of each run of a new strategy, besides mean, sigma and popsize."""
    options = {name: value for name, value in made_with.items() if name not in SHARED}
    options |= {"dtype": strategy.dtype.name, "seed": strategy.seed}
    return options | ({"noisy": strategy.noisy} if "noisy" in option_names(type(strategy)) else {})


def set_since(strategy: State, run: State) -> dict[str, Any]:
    """Return the options that were set as attributes after a strategy was made like `run`."""
    found = {}
    for name in option_names(type(strategy)) - SHARED:
        value = getattr(strategy, name, None)
        if isinstance(value, int | float | str) and value != getattr(run, name, None):
            found[name] = value
    return found


def twin_of(strategy: _T) -> _T:
    """Return another strategy whose attributes are the very same objects."""
    twin = object.__new__(type(strategy))
    vars(twin).update(vars(strategy))
    return twin
