"""Leaves of parameters: descriptions of single arrays, and readers of such descriptions."""

import operator
import textwrap
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from evoopt import arguments
from evoopt.tree import ABSENT, Container, as_array, loads, mismatch, open_tree
from evoopt.types import Array

_DTYPES = frozenset(np.dtype(code).name for code in "?bhilqBHILQefdg")  # names that `to_json` writes


@dataclass(frozen=True)
class Leaf:
    """The description of one array; a vector or, if frozen, `ParamSpec.frozen` has its values."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    dimension_names: tuple[str | None, ...] | None
    trainable: bool


def make_leaf(
    name: str,
    shape: Any,
    dtype: DTypeLike | None = None,
    dimension_names: Any = None,
    *,
    trainable: bool = True,
) -> Leaf:
    """Check and normalise the description of a leaf; raise TypeError for a wrong type."""
    shape = tuple(operator.index(n) for n in ((shape,) if isinstance(shape, int | np.integer) else shape))
    if any(n < 0 for n in shape):
        raise mismatch(name, "a shape without negative sizes", f"shape {shape}", "give the actual sizes")
    arguments.possible_shape(f'The shape of "{name}"', shape)
    try:
        with warnings.catch_warnings(action="ignore"):  # numpy warns of old names
            native = np.dtype(np.float32 if dtype is None else dtype).newbyteorder("=")
    except (ValueError, SyntaxError) as error:  # numpy takes it for the description of a dtype
        raise TypeError(f"{dtype!r} is no dtype") from error
    if native.kind not in "biuf":
        raise mismatch(name, "a leaf of bool, integer or float dtype", native, "choose one of these")
    if dimension_names is not None:
        if not isinstance(dimension_names, list | tuple):
            raise TypeError("dimension names come as a tuple")
        dimension_names = tuple(dimension_names)
        if len(dimension_names) != len(shape) or not all(isinstance(n, str | None) for n in dimension_names):
            expected = f"one dimension name (str or None) for each size of {shape}"
            raise mismatch(name, expected, dimension_names, "name every dimension or none")
    return Leaf(name, shape, native, dimension_names, trainable)


def read_entry(name: object, entry: Any) -> Leaf:
    """Read a leaf for `from_shapes`: a shape, or (shape, dtype, dimension names)."""
    if not isinstance(name, str):
        raise ValueError(f"A name must be a str of dotted keys, got {name!r}; make it one.")
    is_shape = not isinstance(entry, tuple | list) or all(isinstance(n, int | np.integer) for n in entry)
    try:
        return make_leaf(name, entry) if is_shape else make_leaf(name, *entry)
    except TypeError as error:
        expected = "a shape, or a tuple (shape, dtype, dimension names),"
        raise mismatch(name, expected, repr(entry), str(error)) from error


def read_described(
    name: object, shape: object, dtype: object, dimension_names: object, trainable: object
) -> Leaf:
    """Read a leaf as `to_json` describes it."""
    sizes = isinstance(shape, list) and all(type(n) is int for n in shape)
    named = dimension_names is None or isinstance(dimension_names, list)
    if not (isinstance(name, str) and sizes and named and dtype in _DTYPES and isinstance(trainable, bool)):
        raise TypeError(f"the leaf {name!r} is not described as to_json does it")
    return make_leaf(name, shape, dtype, dimension_names, trainable=trainable)


def read_json(text: str) -> tuple[Container, list[Leaf]]:
    """Read containers and leaves as `ParamSpec.to_json` describes them."""
    try:
        data = loads(text)
        root, names = open_tree(data["tree"], ABSENT)
        leaves = [read_described(**entry) for entry in data["leaves"]]
        if [leaf.name for leaf in leaves] != list(names):
            raise ValueError("its leaves are not those of its tree")
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(
            f"The JSON of a ParamSpec was expected, as to_json returns it, but it is damaged: {error!r}; "
            "take another copy."
        ) from error
    return root, leaves


def popsize_of(leaves: Sequence[Leaf], values: Mapping[str, Array]) -> tuple[int, ...]:
    """Return () if the leaves are of a vector, (popsize,) if they are of a population."""
    first = next(leaf for leaf in leaves if leaf.trainable)
    found = values[first.name].shape
    popsize = found[:1] if len(found) > len(first.shape) else ()
    for leaf in leaves:
        found = values[leaf.name].shape
        if found != popsize + leaf.shape and (leaf.trainable or found != leaf.shape):
            after = f' after the leading axis {popsize} of "{first.name}"' if popsize else ""
            advice = "give all leaves their shapes, or all of them one leading axis of the same popsize"
            raise mismatch(leaf.name, f"shape {leaf.shape}{after}", f"shape {found}", advice)
    return popsize


def require_floats(leaves: tuple[Leaf, ...]) -> None:
    """Raise for the trainable leaves that are not of a float dtype, for all at once."""
    wrong = [leaf for leaf in leaves if leaf.trainable and leaf.dtype.kind != "f"]
    if wrong:
        names = [leaf.name for leaf in leaves if leaf in wrong or not leaf.trainable]
        raise ValueError(
            "Trainable leaves must be of a float dtype, got "
            + ", ".join(f'"{leaf.name}" ({leaf.dtype})' for leaf in wrong)
            + f"; freeze them: from_params(tree, trainable=lambda name: name not in {names})."
        )


def listed(leaves: Iterable[Leaf]) -> str:
    """List names and shapes, in one line that is not too long."""
    text = ", ".join(f"{leaf.name} {leaf.shape}" for leaf in leaves)
    return textwrap.shorten(text, 300, placeholder=" ...")


def locked(value: ArrayLike, leaf: Leaf) -> Array:
    """Return the value of a frozen leaf: a copy that is read-only."""
    array = np.array(value, leaf.dtype)
    array.flags.writeable = False
    return array


def require_frozen(expected: dict[str, Leaf], given: dict[str, ArrayLike]) -> None:
    """Raise ValueError unless exactly the frozen leaves are given, in their shapes and dtypes."""
    if expected.keys() != given.keys():
        raise ValueError(f"frozen was expected to hold exactly {list(expected)}, but it holds {list(given)}.")
    for name, leaf in expected.items():
        array = as_array(name, given[name])
        if (array.shape, array.dtype) != (leaf.shape, leaf.dtype):
            raise mismatch(name, f"shape {leaf.shape} of dtype {leaf.dtype}", describe(array), "convert it")


def cut_of(place: slice, shape: tuple[int, ...]) -> tuple[Any, tuple[int, ...]]:
    """Return the index that cuts a leaf out of a last axis, and its shape, () if it fits."""
    return (..., place if shape else place.start), shape if len(shape) > 1 else ()


def describe(array: object) -> str:
    """Return an array's shape and dtype, or another object's type, as text for an error."""
    return (
        f"shape {array.shape} of dtype {array.dtype}"
        if isinstance(array, np.ndarray)
        else type(array).__name__
    )
