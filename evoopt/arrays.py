"""Readers of arrays: real numbers of any library, of which nothing is lost on the way."""

import numbers
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from evoopt.memory import SMALL, require_memory
from evoopt.types import Array

_REAL = "biuf"  # kinds of dtypes
# dtypes of up to 8 bytes in this machine's byte order
_PLAIN_DTYPES = frozenset(map(np.dtype, "?bhilqBHILQefd"))
LONGEST = 300  # characters of a value in a sentence
# types whose items hide no mask, so that numpy may read a list of them at once
_PLAIN_TYPES = frozenset({float, int, bool, np.float64, np.float32, np.int64, np.ndarray})
# other kinds of dtypes: their names, and the way to numbers
_OTHERS = {
    "c": ("complex numbers", "take the real part or the absolute value"),
    "U": ("text", "convert it by astype(float)"),
    "S": ("bytes", "convert them by astype(float)"),
    "M": ("dates", "subtract a date and divide by a duration such as numpy.timedelta64(1, 's')"),
    "m": ("durations", "divide them by one such as numpy.timedelta64(1, 's')"),
}


def read(name: str, values: object) -> Array:
    """Read real numbers as an ndarray of bool, integer or float dtype; copy only if necessary.

    Any argument of numpy.asarray will do: arrays of other libraries, nested lists, one number.
    Python integers of any size become float64.

    Raises
    ------
    ValueError
        For masked entries, complex numbers, text, dates, other objects, and numbers beyond float64.
    """
    array = values if type(values) is np.ndarray else _as_array(name, values)
    if array.nbytes > SMALL:
        _require_room(name, array)
    if array.dtype in _PLAIN_DTYPES:
        return array
    if array.dtype.hasobject:
        return _floats(name, array)
    require_real(name, array.dtype)
    if array.itemsize > 8 and (np.isfinite(array) & (abs(array) > np.finfo(float).max)).any():
        raise _too_large(name)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def read_of_any_library(name: str, values: Any) -> Array:
    """Read real numbers as `read` does, also from a torch tensor with a gradient or on a GPU.

    bfloat16 becomes float32.
    """
    if type(values) is not np.ndarray and hasattr(values, "detach") and hasattr(values, "cpu"):  # torch
        values = _on_host(name, values)
        values = values.float() if str(values.dtype) == "torch.bfloat16" else values
    array = values if type(values) is np.ndarray else unmasked(name, values)
    if array.dtype.kind == "V" and str(getattr(values, "dtype", "")) == "bfloat16":
        array = array.view(values.dtype).astype(np.float32)  # numpy may know it only as two bytes
    return read(name, array)


def _on_host(name: str, tensor: Any) -> Any:
    """Return a tensor of torch without its gradient, in the memory of the host."""
    try:
        return tensor.detach().cpu()
    except RuntimeError as error:  # a tensor of device "meta", for example, has no data
        raise ValueError(
            f"{name} must be a tensor that can be copied to the host, got one that cannot: "
            f"{str(error).rstrip('.')}."
        ) from error


def require_real(name: str, dtype: np.dtype[Any]) -> None:
    """Raise ValueError unless a dtype is of real numbers."""
    if dtype.kind not in _REAL:
        got, advice = _OTHERS.get(dtype.kind, ("other data", "convert it by astype(float)"))
        raise ValueError(f"{name} must be real numbers, got {got} ({dtype}); {advice}.")


def unmasked(name: str, values: object) -> Array:
    """Return values of any kind as an ndarray; raise ValueError for masked or unreadable ones."""
    array = _as_array(name, values)
    _require_room(name, array)
    return array


def _as_array(name: str, values: object) -> Array:
    require_unmasked(name, values)
    try:
        return np.asarray(values)
    except MemoryError as error:
        raise ValueError(
            f"{name} must be an array that fits into memory: {error} Take a smaller one."
        ) from error
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise ValueError(
            f"{name} must be an array of real numbers, got a {type(values).__name__} that numpy cannot read: "
            f"{str(error).rstrip('.')}."
        ) from error


def _require_room(name: str, array: Array) -> None:
    """Raise ValueError for a view of few numbers that looks like an array that no machine holds."""
    require_memory(name, array.nbytes, f"an array of shape {array.shape}", "take a smaller one")


def require_unmasked(name: str, values: object) -> None:
    """Raise ValueError if an array, or one in nested lists, has masked entries."""
    if _is_masked(values):
        raise ValueError(
            f"{name} must be without masked entries, got some; fill them, by .filled(numpy.nan) for example, "
            "or leave them out."
        )


def _is_masked(values: object) -> bool:
    if isinstance(values, np.ma.MaskedArray):
        mask = np.ma.getmaskarray(values)
        return bool(np.frombuffer(mask.tobytes(), np.bool_).any())  # this reads structured arrays, too
    if isinstance(values, list | tuple) and not _PLAIN_TYPES.issuperset(map(type, values)):
        return any(map(_is_masked, values))
    return False


def _floats(name: str, objects: Array) -> Array:
    """Return real numbers of Python as float64."""
    result = np.empty(objects.shape)
    for place, item in enumerate(objects.flat):
        if not isinstance(item, numbers.Real | np.bool_):
            kind = "None" if item is None else f"a {type(item).__name__}"
            raise ValueError(f"{name} must be real numbers, got {kind}; {_advice(item)}.")
        try:
            result.flat[place] = float(item)
        except OverflowError as error:
            raise _too_large(name) from error
    return result


def _advice(item: object) -> str:
    """Return advice on turning an object into a real number, or a vector of them."""
    if isinstance(item, Mapping):
        return "a tree of arrays becomes a vector by evoopt.ParamSpec.from_params(tree).ravel(tree)"
    return "convert it by float()" if hasattr(item, "__float__") else "give numbers"


def _too_large(name: str) -> ValueError:
    return ValueError(
        f"{name} must be numbers that float64 holds, got one beyond {np.finfo(float).max:.2g}; scale it, or "
        "take its logarithm."
    )


def output(out: Any, shape: tuple[int, ...], dtype: DTypeLike, **sources: Any) -> Array:
    """Read an array to write into, which shares no memory with the `sources`; None makes one.

    Raises
    ------
    ValueError
        For another shape, dtype or layout, or where writing would overwrite a source.
    """
    if out is None:
        return _empty(shape, dtype)
    found = writable(out, shape, dtype)
    if not (found.flags.c_contiguous and found.flags.aligned):
        raise ValueError("out must be C-contiguous and aligned, got another layout; take numpy.empty.")
    for name, source in sources.items():
        if source is not None and np.shares_memory(found, np.asarray(source)):
            raise overlap(name)
    return found


def writable(out: object, shape: tuple[int, ...], dtype: DTypeLike | None = None) -> Array:
    """Read an ndarray to write into, of any layout; without a dtype of any float dtype.

    Raises
    ------
    ValueError
        For another shape or dtype, or a read-only array.
    """
    numbers = "floats" if dtype is None else np.dtype(dtype)
    if not isinstance(out, np.ndarray) or isinstance(out, np.ma.MaskedArray | np.matrix):
        raise ValueError(f"out must be an ndarray of {numbers} {shape}, got a {type(out).__name__}.")
    fits = out.dtype.kind == "f" if dtype is None else out.dtype == dtype
    if not fits or out.shape != shape:
        raise ValueError(f"out must be an array of {numbers} {shape}, got {out.dtype} {out.shape}.")
    if not out.flags.writeable:
        raise ValueError("out must be writable, got a read-only array; take a copy.")
    return out


def _empty(shape: tuple[int, ...], dtype: DTypeLike) -> Array:
    """Make an array for a result, if there is memory for it."""
    try:
        made = np.empty(shape, dtype)
    except (MemoryError, ValueError) as error:
        raise ValueError(
            f"The result must be an array that fits into memory, got the shape {shape}; make fewer rows."
        ) from error
    if made.nbytes > SMALL:
        require_memory("The result", made.nbytes, f"an array of shape {shape}", "make fewer rows at a time")
    return made


def shown(value: object) -> str:
    """Return the repr of a value in one line, cut to fit into a sentence."""
    text = repr(value)
    if "\n" in text:
        text = " ".join(text.split())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def overlap(name: str) -> ValueError:
    """Make the error for an `out` that lies in the memory of another argument."""
    return ValueError(
        f"out must share no memory with {name}, got an array that overlaps it; take numpy.empty."
    )
