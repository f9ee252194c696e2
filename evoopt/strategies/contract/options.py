"""The options that all strategies take by name, for type checkers; see `Strategy` for what they mean."""

from typing import TypedDict

from numpy.typing import DTypeLike

from evoopt.types import BoundsLike, Device


class Options(TypedDict, total=False):
    """What `Strategy` takes by name."""

    popsize: int | None
    bounds: BoundsLike | None
    maximize: bool
    noisy: bool
    seed: int | None
    dtype: DTypeLike | None
    target: float | None
    max_evaluations: int | None
    max_generations: int | None
    device: Device
