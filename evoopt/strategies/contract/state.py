"""The state of a strategy: its options, and the attributes that copies and checkpoints hold."""

import functools
import hashlib
import math
import secrets
from abc import ABC
from collections.abc import Mapping
from typing import Any, ClassVar, Never, Self, SupportsFloat, SupportsIndex, get_args

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from evoopt import arguments
from evoopt.calls import Called, option_names, refuse_unknown, signature_of
from evoopt.devices.available import read_device
from evoopt.devices.choose import HOST, population_engine
from evoopt.devices.interface.population import Engine
from evoopt.memory import available, require_memory
from evoopt.strategies.contract import fields
from evoopt.strategies.contract.bounds import Box
from evoopt.strategies.contract.fields import Fields, Scope
from evoopt.strategies.contract.ledger import Ledger
from evoopt.strategies.contract.told import Best, new_history, remembered, stored_history, until
from evoopt.types import Array, BoundsLike, Device, Vector

BYTES_OF_A_ROW = 64  # its id, fitness, rank and so on, but not its coordinates
# Attributes that are not copied: the engine, which each copy finds again, the state before a tell,
# and the arguments, which only a new strategy knows.
_NO_STATE = ("_engine", "_before", "_made_with")


class State(Called, ABC):
    """The attributes that all strategies have; see `Strategy` for the parameters."""

    _stored: ClassVar[Fields] = {
        "device": fields.choice(*get_args(Device)),
        "n_params": fields.whole(1),
        "dtype": fields.choice(np.dtype(np.float32), np.dtype(np.float64)),
        **dict.fromkeys(("_mean", "_sigma"), fields.VECTOR),
        "popsize": fields.whole(2),
        "_box": fields.optional(fields.instance(Box)),
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

    device: Device = "cpu"
    _injects: bool = True  # whether foreign rows may be told
    _memory: ClassVar[int] = 8  # older epochs that rows can be told for
    _needs_rows: ClassVar[bool] = True  # whether `_update` looks at the told rows
    _popsize_factor: int = 1  # popsize is a multiple of it
    _computes_on_device: bool = False  # if `_engine` does all; else on the host, with copied rows
    _before: dict[str, Any] | None = None  # the attributes before a `tell` that is going on
    _widest: Vector | None = None  # the largest useful standard deviations in the bounds, (n_params,)
    _reflects: bool = False  # whether it searches the box itself, not the space that maps onto it

    # the arguments of the constructor, until the first `tell`; a copy has none
    _made_with: Mapping[str, Any] | None = None

    def __new__(cls, *arguments: object, **options: object) -> Self:
        made = super().__new__(cls, *arguments, **options)
        if arguments or options:
            made._made_with = {**dict(zip(signature_of(cls).parameters, arguments, strict=False)), **options}
        return made

    def __init__(
        self,
        mean: ArrayLike,
        sigma: ArrayLike,
        *,
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
        self._place(mean, sigma, popsize, bounds, dtype)
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
        self, mean: ArrayLike, sigma: ArrayLike, popsize: object, bounds: object, dtype: DTypeLike | None
    ) -> None:
        """Read the start of the search, the size and dtype of the population, and the bounds."""
        start = arguments.finite_vector(mean)
        self.n_params = len(start)
        self.dtype = arguments.row_dtype(mean, dtype)
        arguments.require_coordinates("mean", start, self.dtype)
        self._sigma = arguments.step_vector(sigma, self.n_params, self.dtype)
        self.popsize = self._default_popsize() if popsize is None else self._read_popsize(popsize)
        self._box = None if bounds is None else Box(bounds, self.n_params, self.dtype, self._reflects)
        self._mean = start if self._box is None else self._box.inverse(start, "mean")
        if self._box is not None:
            self._widest = self._box.widest

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
        return self._enclosed(self._engine.host(self._mean).astype(self.dtype))

    def _enclosed(self, row: Array) -> Array:
        """Return a row of the host, mapped into the box in place."""
        if self._box is not None:
            HOST.enclose(self._box, row[None])
        return row

    @property
    def sigma(self) -> float | Vector:
        """The standard deviation in each coordinate, before bounds; a copy of shape (n_params,)."""
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


def _key_of(seed: int) -> np.uint64:
    """Return the key of the noise for a seed."""
    digest = hashlib.blake2b(str(seed).encode(), digest_size=8).digest()
    return np.uint64(int.from_bytes(digest, "little"))
