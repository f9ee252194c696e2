"""The options that all strategies take by name, for type checkers; `Strategy` explains them."""

from collections.abc import Mapping
from typing import Any, SupportsFloat, SupportsIndex, TypedDict

from numpy.typing import ArrayLike, DTypeLike

from evoopt.spaces.space import Space
from evoopt.types import BoundsLike, Device

MeanLike = ArrayLike | Space
PointLike = ArrayLike | Mapping[str, Any]  # a row, or a dict of values by name


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
