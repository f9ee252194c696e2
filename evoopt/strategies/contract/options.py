"""The options that all strategies take by name, for type checkers; `Strategy` explains them."""

from typing import SupportsFloat, SupportsIndex, TypedDict

from numpy.typing import DTypeLike

from evoopt.spaces.space import PointLike
from evoopt.types import BoundsLike, Device


class Options(TypedDict, total=False):
    """The keyword arguments of `Strategy`."""

    x0: PointLike | None
    popsize: SupportsIndex | None
    bounds: BoundsLike | None
    maximize: bool
    noisy: bool
    seed: SupportsIndex | None
    dtype: DTypeLike | None
    target: SupportsFloat | None
    max_evaluations: SupportsIndex | None
    max_generations: SupportsIndex | None
    device: Device
