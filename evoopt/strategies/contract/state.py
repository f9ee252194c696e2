"""The state of a strategy: its options, and the attributes that copies and checkpoints hold."""

import functools
import hashlib
import inspect
import math
import secrets
from abc import ABC
from collections.abc import Mapping
from typing import Any, ClassVar, Never, Self, SupportsFloat, SupportsIndex, get_args

import numpy as np
from numpy.typing import DTypeLike

from evoopt import arguments
from evoopt.arrays import shown
from evoopt.calls import Called, option_names, refuse_unknown, signature_of, suggestion
from evoopt.devices.available import read_device
from evoopt.devices.choose import HOST, population_engine
from evoopt.devices.interface.population import Engine
from evoopt.memory import available, require_memory
from evoopt.spaces.space import MeanLike, PointLike, Space
from evoopt.spaces.variables import Real
from evoopt.strategies.contract import fields
from evoopt.strategies.contract.bounds import Box
from evoopt.strategies.contract.fields import Fields, Scope
from evoopt.strategies.contract.ledger import Ledger
from evoopt.strategies.contract.space_box import (
    Kinds,
    SpaceBox,
    first_steps,
    require_kinds,
    row_of,
    start_of,
    steps_of,
)
from evoopt.strategies.contract.told import Best, new_history, remembered, stored_history, until
from evoopt.strategies.contract.turns import Turn, give_turn
from evoopt.types import Array, BoundsLike, Device, Vector

BYTES_OF_A_ROW = 64  # its id, fitness, rank and so on, but not its coordinates
# Attributes that are not copied: the engine, which each copy finds again, its lock, the state
# before a tell, and the arguments, which only a new strategy knows.
_NO_STATE = ("_engine", "_turn", "_before", "_made_with", "_latent")


class State(Called, ABC):
    """The attributes that all strategies have; see `Strategy` for the parameters."""

    _stored: ClassVar[Fields] = {
        "device": fields.choice(*get_args(Device)),
        "n_params": fields.whole(1),
        "dtype": fields.choice(np.dtype(np.float32), np.dtype(np.float64)),
        **dict.fromkeys(("_mean", "_sigma"), fields.VECTOR),
        "popsize": fields.whole(2),
        "_box": fields.optional(fields.instance(Box, SpaceBox)),
        "_widest": fields.optional(fields.VECTOR),
        **dict.fromkeys(("maximize", "noisy", "_warned"), fields.flag),
        "seed": fields.whole(0, math.inf),
        "_key": fields.scalar(np.uint64),
        "target": fields.optional(fields.number()),
        **dict.fromkeys(("max_evaluations", "max_generations"), fields.optional(fields.whole(1, math.inf))),
        **dict.fromkeys(("generation", "evaluations", "_barren"), fields.whole()),
        "best": fields.instance(Best),
        "history": stored_history,
        "_ledger": fields.instance(Ledger),
    }

    _usage: ClassVar[str] = "mean, sigma"
    device: Device = "cpu"
    _kinds: ClassVar[Kinds] = (Real,)  # of variables that it searches
    _injects: bool = True  # whether foreign rows may be told
    _memory: ClassVar[int] = 8  # older epochs that rows can be told for
    _needs_rows: ClassVar[bool] = True  # whether `_update` looks at the told rows
    _sums_rows: ClassVar[bool] = False  # whether `_update` needs moments and lengths alone of rows it drew
    _pairs: ClassVar[bool] = False  # whether row 2i + 1 has the noise of row 2i, negated
    _popsize_factor: int = 1  # popsize is a multiple of it
    _computes_on_device: bool = False  # if `_engine` does all; else on the host, with copied rows
    _turn: Turn  # the lock of the thread that asks or tells
    _before: dict[str, Any] | None = None  # the attributes before a `tell` that is going on
    _widest: Vector | None = None  # the largest useful standard deviations in the bounds, (n_params,)
    _reflects: bool = False  # whether it searches the box itself, not the space that maps onto it

    # the arguments of the constructor, until the first `tell`; a copy has none
    _made_with: Mapping[str, Any] | None = None

    def __new__(cls, *arguments: object, **options: object) -> Self:
        made = super().__new__(cls, *arguments, **options)
        give_turn(made)
        if arguments or options:
            made._made_with = {**dict(zip(signature_of(cls).parameters, arguments, strict=False)), **options}
            _check_form(cls, arguments, made._made_with)
        return made

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        own = vars(cls).get("__init__")  # which may take other arguments by place
        if own is not None and "_usage" not in vars(cls):
            takes_both = {"mean", "sigma"} <= inspect.signature(own).parameters.keys()
            cls._usage = State._usage if takes_both else ""

    def __init__(
        self,
        mean: MeanLike,
        sigma: PointLike | None = None,
        *,
        x0: PointLike | None = None,
        popsize: SupportsIndex | None = None,
        bounds: BoundsLike | None = None,
        maximize: bool = False,
        noisy: bool = False,
        seed: SupportsIndex | None = None,
        dtype: DTypeLike | None = None,
        target: SupportsFloat | None = None,
        max_evaluations: SupportsIndex | None = None,
        max_generations: SupportsIndex | None = None,
        device: Device = "cpu",
        **unknown: Never,
    ) -> None:
        if unknown:
            refuse_unknown(type(self), unknown, option_names(type(self)) - unknown.keys())
        self.device = read_device(device)
        self._place(mean, x0, sigma, popsize, bounds, dtype)
        self.maximize, self.noisy = arguments.flag("maximize", maximize), arguments.flag("noisy", noisy)
        self.seed = secrets.randbits(64) if seed is None else arguments.whole("seed", seed, 0)
        self._key = _key_of(self.seed)
        self.target = None if target is None else arguments.number("target", target)
        self.max_evaluations = arguments.optional_whole("max_evaluations", max_evaluations, 1)
        self.max_generations = arguments.optional_whole("max_generations", max_generations, 1)
        self.generation = self.evaluations = 0
        self._barren = 0  # so many last generations had no finite best fitness
        self._warned = False  # whether the log has such a generation
        self.best = Best()
        self.history = new_history()
        self._ledger = Ledger(self._memory)

    def _place(
        self, mean: MeanLike, x0: Any, sigma: Any, popsize: object, bounds: object, dtype: DTypeLike | None
    ) -> None:
        """Read the start of the search, the size and dtype of the population, and the bounds."""
        self._box: Box | None = None
        if isinstance(mean, Space):
            _check_space(self, mean, bounds)
            name, start = "x0", row_of(mean, x0)
            self.dtype = arguments.row_dtype(start, dtype)
            self._box = SpaceBox(mean, start, self.dtype, self._reflects)
        else:
            _check_no_space(type(self).__name__, x0, bounds)
            name, start = "mean", arguments.finite_vector(mean)
            self.dtype = arguments.row_dtype(mean, dtype)
        self.n_params = len(start)
        arguments.require_coordinates(name, start, self.dtype)
        self._sigma = self._read_steps(sigma)
        self.popsize = self._default_popsize() if popsize is None else self._read_popsize(popsize)
        if bounds is not None:
            self._box = Box(bounds, self.n_params, self.dtype, self._reflects)
        if isinstance(self._box, SpaceBox):
            self._mean = start_of(self._box, x0)
        else:
            self._mean = start if self._box is None else self._box.inverse(start, name)
        if self._box is not None:
            self._widest = self._box.widest

    @property
    def _neighbours(self) -> int:
        """How many rows differ from a row in one variable, which a real does in one way."""
        return self.n_params

    def _searchable(self) -> Kinds:
        """Return the kinds of variables that it searches."""
        return self._kinds

    def _search_in(self, box: SpaceBox) -> None:
        """Prepare to search latent rows of a space, where integers and choices need more."""

    def _read_steps(self, sigma: Any) -> Vector:
        """Read step sizes as (n_params,); in a space they may have names, or be left out."""
        if isinstance(self._box, SpaceBox):
            if sigma is None:
                return np.clip(first_steps(self._box), *arguments.step_range(self.dtype))
            sigma = steps_of(self._box.space, sigma)
        return arguments.step_vector(sigma, self.n_params, self.dtype)

    def _read_point(self, x: Any) -> Vector:
        """Read a row in the user's units: a vector, in a space also a dict."""
        return row_of(self.space, x) if self.space is not None else arguments.finite_vector(x)

    @property
    def space(self) -> Space | None:
        """The `Space` that it searches, None if it was made with a mean."""
        return self._box.space if isinstance(self._box, SpaceBox) else None

    def _default_popsize(self) -> int:
        return 4 + int(3 * math.log(self.n_params))

    def _read_popsize(self, popsize: object) -> int:
        result, factor = arguments.whole("popsize", popsize, 2), self._popsize_factor
        require_memory("A population", BYTES_OF_A_ROW * result, f"{result:,} rows", "take a smaller popsize")
        if result % factor:
            raise ValueError(
                f"popsize of {type(self).__name__} must be a multiple of {factor}, because rows {factor}k to "
                f"{factor}k + {factor - 1} belong together, got {result}; take {result + -result % factor}."
            )
        return result

    @functools.cached_property
    def _engine(self) -> Engine:
        """The engine of the strategy's device."""
        return population_engine(self.device, computes_there=self._computes_on_device)

    def __getstate__(self) -> dict[str, Any]:
        """Return the whole state before or after a `tell`, at any moment and in any thread."""
        state = vars(self).copy()
        state = state.get("_before") or state
        state = {name: value for name, value in state.items() if name not in _NO_STATE}
        return state | {"history": until(state["history"], state["generation"])}

    def _saved_state(self) -> dict[str, Any]:
        """Return the state that a checkpoint holds."""
        state = self.__getstate__()
        return state | {"history": remembered(state["history"])}

    def _take_over(self, other: Self) -> None:
        """Take the whole state of a strategy of the same class."""
        self.__dict__ = vars(other)

    def _require_fit(self, place: str, scope: Scope) -> None:
        """Raise ValueError unless attributes from a file fit each other, see `fields`."""
        fields.require(self._key == _key_of(self.seed), f"{place}.seed", "the seed of its noise", self.seed)
        fits = self.popsize % self._popsize_factor == 0
        fields.require(fits, f"{place}.popsize", f"a multiple of {self._popsize_factor}", self.popsize)
        row = self.n_params * self.dtype.itemsize if self._needs_rows else 0
        fits = self.popsize * max(row, BYTES_OF_A_ROW) <= available()
        fields.require(fits, f"{place}.popsize", "rows that fit into memory", self.popsize)

    # ---------------------------------------------------------------- results

    @property
    def mean(self) -> Array:
        """The mean of the search distribution in the user's space: a copy of shape (n_params,).

        Like `sigma`, `solution` and ``best.x`` it is in the host's memory, whatever the device.
        """
        return self._enclosed(self._searched_mean().astype(self.dtype))

    def _searched_mean(self) -> Array:
        """Return the mean of the search distribution in the space that is searched."""
        mean: Array = self._engine.host(self._mean)
        return mean

    def _enclosed(self, row: Array) -> Array:
        """Return a row of the host, mapped into the box in place."""
        if self._box is not None:
            self._box.enclose(row[None], HOST)
        return row

    @property
    def sigma(self) -> float | Vector:
        """The standard deviation in each coordinate, before bounds; a copy of shape (n_params,).

        In a `Space` the unit of a variable with ``log=True`` is its natural logarithm.
        """
        return np.array(self._engine.host(self._sigma))

    @property
    def solution(self) -> Array:
        """The recommended parameters: the mean."""
        return self.mean

    def _overall_sigma(self) -> float:
        """Return the step size as one number, for `history`."""
        mean: float = self._engine.range_of(self._sigma).mean
        return mean

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(n_params={self.n_params}, popsize={self.popsize}, seed={self.seed}, "
            f"generation={self.generation}, best={self.best.fitness:g}, sigma={self._overall_sigma():g})"
        )


def _check_form(cls: type[State], by_place: tuple[object, ...], given: Mapping[str, Any]) -> None:
    """Raise TypeError unless a mean is with sigma, and arguments after a space have names."""
    if isinstance(given.get("mean"), Space):
        if len(by_place) > 1:
            raise TypeError(
                f"{cls.__name__} must be called as {cls.__name__}(space, x0=..., sigma=..., ...), got: "
                f"{shown(by_place[1])} without a name."
            )
    elif "sigma" in signature_of(cls).parameters and "sigma" not in given:
        fault = f"missing a required argument: 'sigma'{suggestion(given, option_names(cls))}"
        raise TypeError(f"{cls.__name__} must be called as {cls.__name__}({cls._usage}, ...), got: {fault}")


def _check_space(strategy: State, space: Space, bounds: object) -> None:
    """Raise ValueError for a space that the strategy cannot search."""
    name, device = type(strategy).__name__, strategy.device
    require_kinds(space, name, strategy._searchable())
    if bounds is not None or device != "cpu":
        what = "bounds" if bounds is not None else f'device="{device}"'
        raise ValueError(f"{name} of a Space must be without other bounds and on the CPU, got {what}.")


def _check_no_space(name: str, x0: object, bounds: object) -> None:
    """Raise ValueError for a space, or a start as in a space, at another place than the mean."""
    if isinstance(bounds, Space):
        raise ValueError(
            f"A Space must stand in place of mean, got it as bounds; write {name}(space, x0=..., sigma=...)."
        )
    if x0 is not None:
        raise ValueError(f"x0 must come with a Space in place of mean, got {shown(x0)}; write it as mean.")


def _key_of(seed: int) -> np.uint64:
    """Return the key of the noise for a seed."""
    digest = hashlib.blake2b(str(seed).encode(), digest_size=8).digest()
    return np.uint64(int.from_bytes(digest, "little"))
