"""Readers of arguments: each returns a clean value, or raises a ValueError with advice."""

import math
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from evoopt import arrays
from evoopt.arrays import shown
from evoopt.types import Array, Ids, Shape, Vector

MOST = 2**62  # the largest count: such numbers are exact, and sums of them, in 64 bits
MOST_AXES = 62  # NumPy takes 64, and a shape gets the axes of the population and the batch
MOST_NUMBERS = np.iinfo(np.intp).max // 8  # of an array of float64


def finite_vector(mean: ArrayLike, name: str = "mean", size: str = "n_params") -> Vector:
    """Read a mean, or another vector of a size of this name: a copy in float64."""
    vector = arrays.read(name, mean)
    if vector.ndim != 1 or not len(vector):
        raise ValueError(f"{name} must have the shape ({size},), got {vector.shape}.")
    if not np.isfinite(vector).all():
        raise ValueError(f"{name} must be finite, got NaN or infinite coordinates.")
    return vector.astype(np.float64)


def row_dtype(mean: ArrayLike, dtype: DTypeLike | None) -> np.dtype[Any]:
    """Read the dtype of the rows; None stands for float32 if the mean has it, else float64."""
    if dtype is None:
        given = arrays.read("mean", mean).dtype
        return np.dtype(np.float32 if given.kind == "f" and given.itemsize <= 4 else np.float64)
    return floating("dtype", dtype)


def floating(name: str, dtype: DTypeLike) -> np.dtype[Any]:
    """Read a dtype, float32 or float64."""
    try:
        with warnings.catch_warnings(action="ignore"):  # numpy warns of old names
            result = np.dtype(dtype)
    except (TypeError, ValueError, SyntaxError) as error:
        raise ValueError(f"{name} must be float32 or float64, got {shown(dtype)}.") from error
    if result not in (np.float32, np.float64):
        raise ValueError(f"{name} must be float32 or float64, got {result}.")
    return result


def step_vector(sigma: ArrayLike, n: int, dtype: np.dtype[Any]) -> Vector:
    """Read a sigma, one number or (n,), for rows of a dtype, as (n,)."""
    given = arrays.read("sigma", sigma)
    if given.shape not in ((), (1,), (n,)):
        raise ValueError(f"sigma must be one number or have the shape ({n},), got {given.shape}.")
    vector = np.broadcast_to(given, (n,)).astype(np.float64)
    if not ((vector > 0) & np.isfinite(vector)).all():
        raise ValueError(f"sigma must be positive and finite, got {shown(sigma)}.")
    smallest, largest = step_range(dtype)
    outside = vector[(vector < smallest) | (vector > largest)]
    if len(outside):
        raise ValueError(
            f"sigma must be from {smallest:g} to {largest:g} for rows of {dtype}, got {outside[0]:g}; "
            f"{_advice(dtype)}."
        )
    return vector


def require_coordinates(name: str, values: Array, dtype: np.dtype[Any]) -> None:
    """Raise ValueError if `values` are too large for rows of a dtype to move about them."""
    limit = farthest(dtype)
    outside = values[~((values >= -limit) & (values <= limit))]
    if len(outside):
        raise ValueError(
            f"{name} must be from {-limit:g} to {limit:g} for rows of {dtype}, got {outside[0]:g}; "
            f"{_advice(dtype)}."
        )


def _advice(dtype: np.dtype[Any]) -> str:
    return "scale the parameters" + (", or take float64" if dtype == np.float32 else "")


def farthest(dtype: np.dtype[Any]) -> float:
    """Return the largest coordinate to start from: sums and multiples of such are finite."""
    return float(np.float32(1e30)) if dtype == np.float32 else 1e300


def step_range(dtype: np.dtype[Any]) -> tuple[float, float]:
    """Return the smallest and the largest step size: their squares are finite and not 0."""
    return (1e-18, 1e18) if dtype == np.float32 else (1e-140, 1e140)


def whole(name: str, value: Any, least: int, most: float = math.inf) -> int:
    """Read a whole number."""
    is_whole = isinstance(value, int | np.integer) and not isinstance(value, bool | np.timedelta64)
    if not is_whole or not least <= value <= most:
        limits = f"of at least {least}" if most == math.inf else f"from {least} to {most}"
        raise ValueError(f"{name} must be a whole number {limits}, got {shown(value)}.")
    return int(value)


def optional_whole(name: str, value: object, least: int) -> int | None:
    """Read a whole number or None."""
    return None if value is None else whole(name, value, least)


def possible_shape(name: str, sizes: Iterable[int]) -> Shape:
    """Read the shape of an array from whole numbers; raise ValueError if no array can have it."""
    shape = tuple(sizes)
    if len(shape) > MOST_AXES or math.prod(size for size in shape if size) > MOST_NUMBERS:
        raise ValueError(
            f"{name} must be of a size that arrays can have, at most {MOST_AXES} axes and "
            f"{MOST_NUMBERS:,} numbers, got {shown(shape)}; make it smaller."
        )
    return shape


def number(name: str, value: object, positive: bool = False) -> float:
    """Read a number that is not NaN."""
    is_number = isinstance(value, int | float | np.integer | np.floating)
    is_number = is_number and not isinstance(value, bool | np.timedelta64)
    result = float(arrays.read(name, value)) if is_number else math.nan
    if math.isnan(result) or (positive and not 0 < result < math.inf):
        kind = "positive and finite number" if positive else "number"
        raise ValueError(f"{name} must be a {kind}, got {shown(value)}.")
    return result


def within(name: str, value: object, least: float, most: float) -> float:
    """Read a number of a range."""
    result = number(name, value)
    if not least <= result <= most:
        raise ValueError(f"{name} must be from {least:g} to {most:g}, got {shown(value)}.")
    return result


def below_1(name: str, value: object) -> float:
    """Read a share that is at least 0 and less than 1."""
    return within(name, value, 0, math.nextafter(1, 0))


def one_of(name: str, value: object, names: Iterable[str | None]) -> Any:
    """Read a word, or None, of several."""
    known = list(names)
    if not isinstance(value, str | None) or value not in known:
        *others, last = (f'"{one}"' if one else "None" for one in known)
        raise ValueError(f"{name} must be {', '.join(others)} or {last}, got {shown(value)}.")
    return value


def items(values: Any) -> Iterator[Any]:
    """Iterate over a collection; over nothing if `values` is text, a mapping, or no collection."""
    if isinstance(values, str | bytes | Mapping):
        return iter(())
    try:
        return iter(values)
    except TypeError:  # an array without axes has the method, too
        return iter(())


def mapping(name: str, value: object) -> Mapping[Any, Any]:
    """Read a dict, or another mapping."""
    if not isinstance(value, Mapping):
        raise ValueError(f"{name} must be a dict or another mapping, got a {type(value).__name__}.")
    return value


def path(name: str, value: object) -> str:
    """Read the path of a file; return it as an absolute one, which no `os.chdir` changes."""
    found = os.fspath(value) if isinstance(value, str | os.PathLike) else ""
    if not isinstance(found, str) or not found or "\0" in found or not _has_bytes(found):
        raise ValueError(f'{name} must be the path of a file such as "run.npz", got {shown(value)}.')
    return str(Path(found).absolute())


def _has_bytes(text: str) -> bool:
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        return False
    return True


def flag(name: str, value: object) -> bool:
    """Read True or False, or the numbers 1 and 0 that stand for them."""
    if not isinstance(value, int | np.integer | np.bool_) or value not in (0, 1):
        raise ValueError(f"{name} must be True or False, got {shown(value)}.")
    return bool(value)


def id_vector(ids: ArrayLike) -> Ids:
    """Read numbers of rows."""
    given = arrays.read("ids", ids)
    if given.ndim != 1 or given.dtype.kind not in "iu":
        raise ValueError(f"ids must be whole numbers of shape (k,), got {given.dtype} {given.shape}.")
    if given.dtype.kind == "i" and len(given) and given.min() < 0:
        raise ValueError(f"ids must be from ask_ids, got {given.min()}.")
    return given.astype(np.uint64, copy=False)


def fitness_vector(fitness: ArrayLike, k: int) -> Vector:
    """Read the fitness of `k` rows."""
    given = arrays.read("fitness", fitness)
    if given.shape != (k,):
        raise ValueError(f"fitness must have the shape ({k},), one number for each row, got {given.shape}.")
    return given if given.dtype == np.float64 else given.astype(np.float64)
