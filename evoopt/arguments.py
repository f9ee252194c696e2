"""Reading what users pass: a clean value comes back, or a ValueError that says what to do."""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from evoopt.kernels.jit import kernel_array

Array = NDArray[Any]
Vector = NDArray[np.float64]
Ids = NDArray[np.uint64]


def finite_vector(mean: ArrayLike) -> Vector:
    """Read a mean: a copy in float64."""
    try:
        vector = np.array(mean, np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"A mean of numbers was expected, but {mean!r} came.") from error
    if vector.ndim != 1 or not len(vector):
        raise ValueError(f"A mean of shape (n_params,) was expected, but an array of {vector.shape} came.")
    if not np.isfinite(vector).all():
        raise ValueError("A finite mean was expected, but it has NaN or infinite coordinates.")
    return vector


def row_dtype(mean: ArrayLike, dtype: DTypeLike | None) -> np.dtype[Any]:
    """Read the dtype of the rows; None follows the mean."""
    if dtype is None:
        dtype = np.float32 if getattr(mean, "dtype", None) == np.float32 else np.float64
    try:
        result = np.dtype(dtype)
    except TypeError as error:
        raise ValueError(f"A dtype of float32 or float64 was expected, but {dtype!r} came.") from error
    if result not in (np.float32, np.float64):
        raise ValueError(f"A dtype of float32 or float64 was expected, but {result} came.")
    return result


def step_vector(sigma: ArrayLike, n: int, dtype: np.dtype[Any]) -> Vector:
    """Read a sigma, one number or (n,), for rows of a dtype, as (n,)."""
    try:
        vector = np.broadcast_to(np.asarray(sigma, np.float64), (n,)).copy()
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"A sigma of one number or of shape ({n},) was expected, but {sigma!r} came."
        ) from error
    if not ((vector > 0) & np.isfinite(vector)).all():
        raise ValueError(f"A positive and finite sigma was expected, but {sigma!r} came.")
    smallest, largest = step_range(dtype)
    outside = vector[(vector < smallest) | (vector > largest)]
    if len(outside):
        raise ValueError(
            f"A sigma from {smallest:g} to {largest:g} was expected for rows of {dtype}, but {outside[0]:g} "
            f"came; {_advice(dtype)}."
        )
    return vector


def require_coordinates(name: str, values: Array, dtype: np.dtype[Any]) -> None:
    """Raise ValueError unless `values` are small enough that rows of a dtype can move about them."""
    limit = farthest(dtype)
    outside = values[~((values >= -limit) & (values <= limit))]
    if len(outside):
        raise ValueError(
            f"A {name} from {-limit:g} to {limit:g} was expected for rows of {dtype}, but {outside[0]:g} "
            f"came; {_advice(dtype)}."
        )


def _advice(dtype: np.dtype[Any]) -> str:
    return "scale the parameters" + (", or take float64" if dtype == np.float32 else "")


def farthest(dtype: np.dtype[Any]) -> float:
    """Return the largest coordinate to start from: sums and multiples of such are finite."""
    return float(np.float32(1e30)) if dtype == np.float32 else 1e300


def step_range(dtype: np.dtype[Any]) -> tuple[float, float]:
    """Return between which step sizes are kept: squares of such steps are finite and not 0."""
    return (1e-18, 1e18) if dtype == np.float32 else (1e-140, 1e140)


def whole(name: str, value: Any, least: int, most: float = math.inf) -> int:
    """Read a whole number."""
    is_whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not is_whole or not least <= value <= most:
        limits = f"of at least {least}" if most == math.inf else f"from {least} to {most}"
        raise ValueError(f"{name} must be a whole number {limits}, but {value!r} came.")
    return int(value)


def optional_whole(name: str, value: Any, least: int) -> int | None:
    """Read a whole number or None."""
    return None if value is None else whole(name, value, least)


def number(name: str, value: Any, positive: bool = False) -> float:
    """Read a number that is not NaN."""
    is_number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not is_number or math.isnan(value) or (positive and not 0 < value < math.inf):
        kind = "positive and finite number" if positive else "number"
        raise ValueError(f"{name} must be a {kind}, but {value!r} came.")
    return float(value)


def within(name: str, value: Any, least: float, most: float) -> float:
    """Read a number of a range."""
    result = number(name, value)
    if not least <= result <= most:
        raise ValueError(f"{name} must be from {least:g} to {most:g}, but {value!r} came.")
    return result


def below_1(name: str, value: Any) -> float:
    """Read a share that is at least 0 and less than 1."""
    return within(name, value, 0, math.nextafter(1, 0))


def flag(name: str, value: Any) -> bool:
    """Read True or False."""
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{name} must be True or False, got {value!r}.")
    return bool(value)


def id_vector(ids: ArrayLike) -> Ids:
    """Read numbers of rows."""
    given = np.asarray(ids)
    if given.ndim != 1 or given.dtype.kind not in "iu":
        raise ValueError(
            f"Ids of shape (k,), whole numbers, were expected, but {given.dtype} {given.shape} came."
        )
    if given.dtype.kind == "i" and len(given) and given.min() < 0:
        raise ValueError(f"Ids from ask_ids were expected, but {given.min()} came.")
    return kernel_array(given, np.uint64)


def fitness_vector(fitness: ArrayLike, k: int) -> Vector:
    """Read the fitness of `k` rows."""
    try:
        given = np.asarray(fitness)
    except ValueError as error:
        raise ValueError(
            f"A fitness of shape ({k},), one number for each row, was expected: {error}."
        ) from error
    if given.shape != (k,) or given.dtype.kind not in "biuf":
        raise ValueError(
            f"A fitness of shape ({k},), one number for each row, was expected, but {given.dtype} "
            f"{given.shape} came."
        )
    return given if given.dtype == np.float64 else given.astype(np.float64)


def output(out: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """Read an array to write rows into; None makes one."""
    if out is None:
        return np.empty(shape, dtype)
    if not isinstance(out, np.ndarray) or out.shape != shape or out.dtype != dtype:
        came = f"{out.dtype} {out.shape}" if isinstance(out, np.ndarray) else type(out).__name__
        raise ValueError(f"An out array of {dtype} {shape} was expected, but {came} came.")
    if not (out.flags.c_contiguous and out.flags.writeable and out.flags.aligned):
        raise ValueError(
            "A C-contiguous and writable out array was expected; take numpy.empty(shape, dtype)."
        )
    return out
