"""Types that many files name."""

from collections.abc import Iterable, Sequence
from typing import Any, Literal, Protocol, SupportsFloat

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

Array = NDArray[Any]
Vector = NDArray[np.float64]
Ids = NDArray[np.uint64]  # numbers of rows
Shape = tuple[int, ...]
Device = Literal["cpu", "cuda"]


class Population(Protocol):
    """A population that need not be one array, so that its rows can be made where they are used.

    `ids` (popsize,) are the numbers of its rows: a strategy makes each of them again, in any
    company.
    """

    @property
    def shape(self) -> Shape: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...

    @property
    def ids(self) -> Ids: ...

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> Array: ...


PopulationLike = ArrayLike | Population  # (popsize, n_params): an array of any library, or such an object


class Ends(Protocol):
    """The ends of a box, as `scipy.optimize.Bounds` has them: numbers, or arrays (n_params,)."""

    lb: Any
    ub: Any


# (low, high) of all coordinates, or of each; None or an infinity is an open side
Pair = Sequence[SupportsFloat | None]
BoundsLike = Iterable[Pair] | Pair | Array | Ends
