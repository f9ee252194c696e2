"""Types that many files name."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Vector = NDArray[np.float64]
Ids = NDArray[np.uint64]  # numbers of rows
Shape = tuple[int, ...]
Device = Literal["cpu", "cuda"]
