"""Types of torch, by name alone, because torch is imported only where it is needed."""

from collections.abc import Callable, Sequence
from typing import Any

Tensor = Any
Module = Any
Function = Callable[..., Any]
Sizes = int | Sequence[int]  # one for all axes, or one for each
