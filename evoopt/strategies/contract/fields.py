"""Fields: checks of the attributes of a class when they are read from a file.

Each class that checkpoints hold declares its attributes once, in a table ``_stored`` from names to
kinds. A kind is a function of a value, its place for the error, and the `Scope`; it raises
ValueError unless the value fits. A class checks several attributes together in
``_require_fit(place, scope)``.
"""

import math
import reprlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from inspect import getattr_static
from typing import Any

import numpy as np

from evoopt.arguments import MOST, farthest, step_range
from evoopt.devices.choose import snapshot_dtype


@dataclass(frozen=True)
class Scope:
    """The strategy that values belong to, and the sizes that names in shapes stand for.

    ``array("n_params")`` has the strategy's number of parameters. The first array with another
    name, such as "directions", sets the size of the name for later arrays.
    """

    owner: Any
    sizes: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.sizes["n_params"] = self.owner.n_params

    def inner(self) -> "Scope":
        """Return a scope that keeps new names to itself."""
        return Scope(self.owner, self.sizes.copy())

    def size(self, size: int | str | None, found: Any) -> Any:
        """Return the expected size; None allows any, and a new name takes the size found."""
        if isinstance(size, str):
            return self.sizes.setdefault(size, found)
        return found if size is None else size

    def dtype(self, name: Any) -> np.dtype[Any]:
        """Return a dtype by name: of "rows", or of the "drawn" vectors that rows are drawn from."""
        owner = self.owner
        if name == "drawn":
            return snapshot_dtype(owner.device, owner.dtype, computes_there=owner._computes_on_device)
        found: np.dtype[Any] = np.dtype(owner.dtype if name == "rows" else name)
        return found


Kind = Callable[[Any, str, Scope], None]
Fields = Mapping[str, Kind]


def require(fits: object, place: str, expected: str, got: object) -> None:
    """Raise ValueError unless a value fits."""
    if not fits:
        shown = f"{got.dtype} {got.shape}" if isinstance(got, np.ndarray) else reprlib.repr(got)
        raise ValueError(f"{place} must be {expected}, got {shown}")


def require_same(value: object, other: object, names: Iterable[str], place: str) -> None:
    """Raise ValueError unless some attributes, numbers or arrays, equal another object's."""
    for name in names:
        got, expected = getattr(value, name), getattr(other, name)
        require(np.array_equal(got, expected), f"{place}.{name}", str(expected), got)


def fields_of(cls: type) -> dict[str, Kind]:
    """Return the fields of a class and of its bases, its own first."""
    found: dict[str, Kind] = {}
    for base in cls.__mro__:
        for name, kind in vars(base).get("_stored", {}).items():
            found.setdefault(name, kind)
    return found


def check(value: object, place: str, scope: Scope, **others: Kind) -> None:
    """Raise ValueError unless the attributes of an object fit its class; `others` replace kinds."""
    fields = fields_of(type(value)) | others
    for name in vars(value).keys() - fields.keys():  # a user's own may be anything, but hide no method
        fits = isinstance(name, str) and not hasattr(getattr_static(type(value), name, None), "__get__")
        require(fits, place, "without an attribute in the place of a method", name)
    for name, kind in fields.items():
        if not hasattr(value, name):
            raise ValueError(f"{place}.{name} is missing")
        kind(getattr(value, name), f"{place}.{name}", scope)
    if hasattr(value, "_require_fit"):
        value._require_fit(place, scope)


# ---------------------------------------------------------------- kinds of numbers and text


def whole(least: float = 0, most: float = MOST) -> Kind:
    """Return the kind of whole numbers of a range."""

    def kind(value: object, place: str, scope: Scope) -> None:
        fits = isinstance(value, int | np.integer) and not isinstance(value, bool) and least <= value <= most
        require(fits, place, f"a whole number from {least} to {most}", value)

    return kind


def number(least: float = -math.inf, most: float = math.inf, *, nan: bool = False) -> Kind:
    """Return the kind of numbers of a range."""

    def kind(value: Any, place: str, scope: Scope) -> None:
        fits = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
        fits = fits and (least <= value <= most or (nan and value != value))  # noqa: PLR0124
        fits = fits and (isinstance(value, float | np.floating) or abs(value) < 2**1000)  # must fit a float
        require(fits, place, f"a number from {least} to {most}", value)

    return kind


POSITIVE_NUMBER = number(math.ulp(0.0), np.finfo(float).max)
ANY_NUMBER = number(nan=True)


def flag(value: object, place: str, scope: Scope) -> None:
    """Accept True and False, and the numbers 1 and 0 that stand for them."""
    require(isinstance(value, int | np.integer | np.bool_) and value in (0, 1), place, "a flag", value)


def anything(value: object, place: str, scope: Scope) -> None:
    """Accept all values."""


def choice(*values: object) -> Kind:
    """Return the kind of values that equal one of these and have its type."""

    def kind(value: object, place: str, scope: Scope) -> None:
        fits = any(type(value) is type(each) and value == each for each in values)
        require(fits, place, " or ".join(map(repr, values)), value)

    return kind


def text(value: object, place: str, scope: Scope) -> None:
    """Accept text."""
    require(isinstance(value, str), place, "text", value)


# ---------------------------------------------------------------- limits of numbers

# A function from the dtype of rows to the least and the largest number: the limits that strategies
# keep to, and a factor of 2 for rounding.
Limits = Callable[[np.dtype[Any]], tuple[float, float]]
APART = 1e50  # the largest ratio of numbers of a strategy that belong together
_LARGEST = float(np.finfo(float).max)


def finite(dtype: np.dtype[Any]) -> tuple[float, float]:
    """Return the limits of finite numbers."""
    return -_LARGEST, _LARGEST


def positive(dtype: np.dtype[Any]) -> tuple[float, float]:
    """Return the limits of positive numbers."""
    return math.ulp(0.0), _LARGEST


def steps(dtype: np.dtype[Any]) -> tuple[float, float]:
    """Return the limits of step sizes."""
    smallest, largest = step_range(dtype)
    return smallest / 2, 2 * largest


def coordinates(dtype: np.dtype[Any]) -> tuple[float, float]:
    """Return the limits of the coordinates of a mean."""
    most = float(np.finfo(np.float32).max) if dtype == np.float32 else 2 * farthest(dtype)
    return -most, most


def paths(dtype: np.dtype[Any]) -> tuple[float, float]:
    """Return the limits of evolution paths, in units of step sizes; rounding can make them long."""
    most = step_range(np.dtype(float))[1]
    return -most, most


def within(limits: Limits) -> Kind:
    """Return the kind of numbers within limits."""

    def kind(value: object, place: str, scope: Scope) -> None:
        number(*limits(scope.owner.dtype))(value, place, scope)

    return kind


STEP = within(steps)


# ---------------------------------------------------------------- kinds of arrays


def array(*shape: int | str | None, dtype: Any = np.float64, limits: Limits | None = None) -> Kind:
    """Return the kind of arrays of a shape and a dtype, whose names `Scope` resolves."""

    def kind(value: Any, place: str, scope: Scope) -> None:
        expected = scope.dtype(dtype)
        fits = type(value) is np.ndarray and value.ndim == len(shape)
        sizes = value.shape if fits else shape
        wanted = tuple(scope.size(each, size) for each, size in zip(shape, sizes, strict=True))
        fits = fits and sizes == wanted and value.dtype == expected and value.flags.c_contiguous
        require(fits, place, f"an array of {expected} {wanted}", value)
        if limits is not None:
            least, most = map(np.float64, limits(scope.owner.dtype))  # float32 might not hold them
            inside = (value >= least) & (value <= most)  # False for NaN
            require(inside.all(), place, f"of numbers from {least:g} to {most:g}", value)

    return kind


def scalar(dtype: Any) -> Kind:
    """Return the kind of numbers of a NumPy type."""

    def kind(value: Any, place: str, scope: Scope) -> None:
        require(type(value) is dtype, place, f"a {dtype.__name__}", value)

    return kind


VECTOR = array("n_params")
FINITE_MATRIX = array("n_params", "n_params", limits=finite)
POSITIVE = array("n_params", limits=positive)
COORDINATES, STEPS = array("n_params", limits=coordinates), array("n_params", limits=steps)
PATH = array("n_params", limits=paths)
DISTRIBUTION: Fields = {"_mean": COORDINATES, "_sigma": STEPS}  # if a strategy keeps to these limits
ROW, DRAWN = array("n_params", dtype="rows"), array("n_params", dtype="drawn")


DRAWN_COORDINATES = array("n_params", dtype="drawn", limits=coordinates)
ROW_COORDINATES = array("n_params", dtype="rows", limits=coordinates)
ROW_STEPS = array("n_params", dtype="rows", limits=steps)
DRAWN_STEPS = array("n_params", dtype="drawn", limits=steps)


# ---------------------------------------------------------------- kinds made of kinds


def optional(inner: Kind) -> Kind:
    """Return the kind of values that are None or of another kind."""

    def kind(value: object, place: str, scope: Scope) -> None:
        if value is not None:
            inner(value, place, scope)

    return kind


def instance(*classes: type, **others: Kind) -> Kind:
    """Return the kind of objects of some classes; `others` replace the kinds of their fields."""

    def kind(value: object, place: str, scope: Scope) -> None:
        require(type(value) in classes, place, f"a {' or '.join(cls.__name__ for cls in classes)}", value)
        check(value, place, scope.inner(), **others)

    return kind


def float_or(*classes: type, least: float, most: float) -> Kind:
    """Return the kind of floats of a range, and of objects of some classes."""
    of_numbers, of_objects = number(least, most), instance(*classes)

    def kind(value: object, place: str, scope: Scope) -> None:
        if type(value) in classes:
            of_objects(value, place, scope)
        else:
            of_numbers(value, place, scope)
            require(isinstance(value, float), place, "a float", value)

    return kind


def items(container: type, inner: Kind, most: float = math.inf) -> Kind:
    """Return the kind of lists or tuples of at most `most` items, each with its own sizes."""

    def kind(value: Any, place: str, scope: Scope) -> None:
        fits = isinstance(value, list | tuple) and type(value) is container and len(value) <= most
        require(fits, place, f"a {container.__name__} of at most {most} items", value)
        for i, item in enumerate(value if inner is not anything else ()):
            inner(item, f"{place}[{i}]", scope.inner())

    return kind


def table(inner: Kind) -> Kind:
    """Return the kind of dicts from text to values of another kind."""

    def kind(value: Any, place: str, scope: Scope) -> None:
        fits = type(value) is dict and all(isinstance(key, str) for key in value)
        require(fits, place, "a dict with keys of text", value)
        for key, item in value.items():
            inner(item, f"{place}[{key!r}]", scope.inner())

    return kind


def tupled(*kinds: Kind) -> Kind:
    """Return the kind of tuples, given the kind of each item."""

    def kind(value: Any, place: str, scope: Scope) -> None:
        require(type(value) is tuple and len(value) == len(kinds), place, f"{len(kinds)} items", value)
        for i, (item, inner) in enumerate(zip(value, kinds, strict=True)):
            inner(item, f"{place}[{i}]", scope)

    return kind


# the snapshots of a strategy that keeps to these limits
DRAWN_DISTRIBUTION = tupled(DRAWN_COORDINATES, DRAWN_STEPS)
