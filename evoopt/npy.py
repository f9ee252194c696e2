"""Reading of ``.npy`` files (`numpy.lib.format`) without arrays larger than the file."""

import io
import math
from typing import Any

import numpy as np

from evoopt.types import Array

_HEADER = 4096  # bytes, the longest header
_READERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def read_npy(content: bytes, place: str) -> Array:
    """Return the array in the bytes of a file; a copy, so that it can be written to and is aligned.

    Raises
    ------
    ValueError
        For other data than an array of plain numbers or text, and for a header that claims another
        size; the error begins with its `place`.
    """
    shape, in_columns, dtype, start = _header(content, place)
    if not all(type(n) is int and n >= 0 for n in shape) or dtype.hasobject or not dtype.itemsize:
        raise ValueError(f"{place} does not hold plain numbers or text")
    held = len(content) - start
    if math.prod(shape) * dtype.itemsize != held:
        raise ValueError(f"{place} claims to be {dtype} {shape}, but holds {held} bytes")
    try:
        found: Array = np.ndarray(shape, dtype, content, start, order="F" if in_columns else "C")
    except (ValueError, OverflowError, TypeError) as error:
        raise ValueError(f"{place} cannot have the shape {shape}: {error}") from error
    if dtype == np.bool_ and found.view(np.uint8).max(initial=0) > 1:
        raise ValueError(f"{place} has flags that are neither true nor false")
    return found.copy(order="K")


def _header(content: bytes, place: str) -> tuple[tuple[Any, ...], bool, np.dtype[Any], int]:
    """Return shape, Fortran order or not, dtype, and the start of the numbers."""
    head = io.BytesIO(content[: _HEADER + 16])
    try:
        version = np.lib.format.read_magic(head)
        shape, in_columns, dtype = _READERS[version](head, max_header_size=_HEADER)
    except Exception as error:  # whatever numpy, and Python's parser, raise for text that is no header
        raise ValueError(f"{place} has no header of an array") from error
    return shape, in_columns, dtype, head.tell()
