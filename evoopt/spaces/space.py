"""`Space`: nested, named variables, and the rows that stand for their values."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from keyword import iskeyword
from typing import Any, Self
from unicodedata import normalize

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from evoopt import arguments, arrays
from evoopt.arrays import shown
from evoopt.spaces.variables import VARIABLES, Choice, Integer, Real, Variable
from evoopt.types import Array, Vector

MOST_LEVELS = 100  # dicts in each other
LARGEST_IN_FLOAT32 = 2**24  # float32 holds all whole numbers up to this one
Tree = Mapping[str, Any]  # from names to variables, values or further trees


class Space:
    """The variables of a search by name, and the map between their values and rows.

    A row is a vector with one column for each variable, in the order as written. It has the
    variable's value in the user's units: a real number as it is, also with ``log=True``, an integer
    whole, and of a `Choice` the number of the value.

    A space stands in place of the mean of a strategy, ``CMAES(space)``, or before x0 in
    ``minimize(fun, space)``. `docs/guide/variables.md` tells which variable to take.

    Parameters
    ----------
    **variables : Real, Integer, Choice, or a dict of such
        The variables by name; a dict groups some under a name, at any depth. Names are without
        dots. For names that are no identifiers write ``Space(**{"learning rate": Real(0, 1)})``.

    Attributes
    ----------
    names : tuple of str
        The name of each column; the names of groups are joined by dots.
    variables : tuple
        The variable of each column.
    low, high : ndarray, shape (n,), float64
        The smallest and the largest number of each column.

    Raises
    ------
    ValueError
        For a space without variables, a name that is empty or has dots, or anything that is no
        variable.

    Notes
    -----
    ``len(space)`` is the number of columns. Spaces with the same variables in the same order are
    equal. Names and variables must not be assigned.

    Examples
    --------
    >>> from evoopt import Choice, Integer, Real, Space
    >>> space = Space(
    ...     optimizer={"rate": Real(1e-5, 0.1, log=True), "momentum": Real(0, 1)},
    ...     layers=Integer(1, 8),
    ...     activation=Choice("relu", "tanh"),
    ... )
    >>> space.names
    ('optimizer.rate', 'optimizer.momentum', 'layers', 'activation')
    >>> space.decode([0.001, 0.9, 2, 0])
    {'optimizer': {'rate': 0.001, 'momentum': 0.9}, 'layers': 2, 'activation': 'relu'}
    """

    def __init__(self, /, *misplaced: object, **variables: "Variable | Tree") -> None:
        if misplaced:
            raise TypeError(
                "Space must be called as Space(name=Real(low, high), ...), got an argument without a name; "
                "a dict of variables goes in by Space(**variables)."
            )
        columns = dict(_columns(variables, ""))
        self.names, self.variables = tuple(columns), tuple(columns.values())
        self.low, self.high = (
            np.array([getattr(each, end) for each in self.variables], np.float64) for end in ("low", "high")
        )
        self._is_whole = np.array([each._is_whole for each in self.variables])
        self._has_whole = bool(self._is_whole.any())
        self._tree = _mapped(variables, iter(self.variables))

    def __len__(self) -> int:
        return len(self.names)

    def __eq__(self, other: object) -> bool:
        return type(other) is Space and (self.names, self.variables) == (other.names, other.variables)

    def __hash__(self) -> int:
        return hash((self.names, self.variables))

    def __repr__(self) -> str:
        if all(map(_is_identifier, self._tree)):
            return f"Space({', '.join(f'{name}={each!r}' for name, each in self._tree.items())})"
        return f"Space(**{self._tree!r})"

    # ---------------------------------------------------------------- from rows to values

    def decode(self, rows: ArrayLike) -> dict[str, Any]:
        """Return the values of a row by name, or of each variable the values of a population.

        Parameters
        ----------
        rows : array_like, shape (n,) or (popsize, n)
            A row, or a population.

        Returns
        -------
        dict
            Nested as the space. Of a row float, int, or a value of the `Choice`; of a population
            arrays (popsize,).

        Raises
        ------
        ValueError
            If a number is outside of its variable, up to the rounding of float32, or not whole.

        Examples
        --------
        >>> from evoopt import Integer, Real, Space
        >>> space = Space(rate=Real(1e-5, 0.1, log=True), layers=Integer(1, 8))
        >>> space.decode([0.001, 2])
        {'rate': 0.001, 'layers': 2}
        >>> space.decode([[0.001, 2], [0.01, 3]])
        {'rate': array([0.001, 0.01 ]), 'layers': array([2, 3])}
        """
        numbers = self._read(rows)
        if numbers.ndim == 1:
            return self._record(numbers.tolist())
        columns = zip(self.variables, numbers.T, strict=True)
        return _mapped(self._tree, (each._values(column.copy()) for each, column in columns))

    def records(self, population: ArrayLike) -> list[dict[str, Any]]:
        """Return the values of each row of a population as a dict, as `decode` does for one row.

        Parameters
        ----------
        population : array_like, shape (popsize, n)

        Raises
        ------
        ValueError
            As `decode`.

        Examples
        --------
        >>> from evoopt import Integer, Real, Space
        >>> space = Space(rate=Real(1e-5, 0.1, log=True), layers=Integer(1, 8))
        >>> space.records([[0.001, 2], [0.01, 3]])
        [{'rate': 0.001, 'layers': 2}, {'rate': 0.01, 'layers': 3}]
        """
        numbers = self._read(population)
        if numbers.ndim != 2:
            raise ValueError(
                f"population must have the shape (popsize, {len(self)}), got {numbers.shape}; "
                "for one row take decode."
            )
        return [self._record(row) for row in numbers.tolist()]

    def _record(self, row: Iterable[float]) -> dict[str, Any]:
        return _mapped(self._tree, (each._value(x) for each, x in zip(self.variables, row, strict=True)))

    def _read(self, rows: ArrayLike) -> Array:
        """Read rows (n,) or (k, n) as float64; raise ValueError unless they are of this space."""
        given = arrays.read("rows", rows)
        if given.ndim not in (1, 2) or given.shape[-1] != len(self):
            raise ValueError(
                f"rows must have the shape ({len(self)},) or (popsize, {len(self)}), got {given.shape}."
            )
        low, high, numbers = self.low, self.high, given.astype(np.float64)
        if given.dtype == np.float32:  # which may have rounded an end
            self._require_dtype(given.dtype)
            with np.errstate(over="ignore", under="ignore"):
                low, high = (end.astype(np.float32).astype(np.float64) for end in (low, high))
        fits = (numbers >= low) & (numbers <= high)  # False for NaN
        if self._has_whole:
            fits &= ~self._is_whole | (numbers == np.rint(numbers))
        if not fits.all():
            raise self._misfit(numbers, np.argwhere(~fits)[0].tolist())
        return numbers if given.dtype != np.float32 else np.clip(numbers, self.low, self.high)

    def _misfit(self, numbers: Array, place: list[int]) -> ValueError:
        variable, got = self.variables[place[-1]], float(numbers[tuple(place)])
        whole = "a whole number " if variable._is_whole else ""
        return ValueError(
            f"{self.names[place[-1]]} must be {whole}from {variable.low!r} to {variable.high!r}, got {got!r}."
        )

    def _require_dtype(self, dtype: DTypeLike) -> None:
        """Raise ValueError unless rows of a dtype hold all whole numbers of the space."""
        far = self._is_whole & (np.maximum(np.abs(self.low), np.abs(self.high)) > LARGEST_IN_FLOAT32)
        if arguments.floating("dtype", dtype) == np.float32 and far.any():
            column = int(np.argmax(far))
            raise ValueError(
                f"dtype must be float64 for whole numbers beyond 2**24, which float32 does not hold, got "
                f"float32 with {self.variables[column]!r} for {self.names[column]}."
            )

    # ---------------------------------------------------------------- from values to rows

    def encode(self, values: Tree | Iterable[Tree], dtype: DTypeLike = np.float64) -> Array:
        """Return the row of a dict of values, or the population of many: the way back of `decode`.

        Parameters
        ----------
        values : dict or iterable of dicts
            Nested as the space; keys may be in any order, and joined by dots. Leaves are values; or
            arrays, lists or tuples of values (popsize,), for a population.
        dtype : float32 or float64
            The dtype of the row or population.

        Returns
        -------
        ndarray, shape (n,) or (popsize, n)

        Raises
        ------
        ValueError
            If a name is missing or unknown, a value is outside of its variable, or float32 would
            not hold the whole numbers.

        Examples
        --------
        >>> from evoopt import Choice, Real, Space
        >>> space = Space(size=Real(0, 1), act=Choice("relu", "tanh"))
        >>> space.encode({"act": "tanh", "size": 0.5})
        array([0.5, 1. ])
        >>> space.encode([{"size": 0.5, "act": "tanh"}, {"size": 1, "act": "relu"}])
        array([[0.5, 1. ],
               [1. , 0. ]])
        """
        self._require_dtype(dtype)
        if isinstance(values, Mapping):
            return _cast(self._encoded(values), dtype)
        each_row = (arguments.mapping("Each of the values", each) for each in arguments.items(values))
        rows = [self._encoded(each) for each in each_row]
        if not rows or any(row.ndim > 1 for row in rows):
            raise ValueError(f"values must be a dict, or some dicts of one value each, got {shown(values)}.")
        return _cast(np.array(rows), dtype)

    def _encoded(self, values: Tree, label: str = "values") -> Vector:
        """Return a dict as a row (n,), or a dict of columns as a population (k, n)."""
        leaves = self._leaves_of(values, label)
        are_columns = [isinstance(leaf, list | tuple) or getattr(leaf, "ndim", 0) == 1 for leaf in leaves]
        items = (_items(leaf) if column else [leaf] for leaf, column in zip(leaves, are_columns, strict=True))
        columns = [
            [each._number(name, value) for value in some]
            for name, each, some in zip(self.names, self.variables, items, strict=True)
        ]
        if len(set(map(len, columns))) > 1 or len(set(are_columns)) > 1:
            raise ValueError(
                f"{label} must all be single ones, or columns of the same length, got {shown(values)}."
            )
        rows = np.array(columns, np.float64).T
        return np.ascontiguousarray(rows if are_columns[0] else rows[0])

    def _leaves_of(self, values: Tree, label: str, names: Sequence[str] | None = None) -> list[Any]:
        """Return the leaves of a dict with these names of the space, by default all, in order."""
        names = self.names if names is None else names
        leaves, known = list(_leaves(values, "", self._is_group)), set(names)
        found = dict(leaves)
        wrong = [f"{name} unknown" for name in found if name not in known]
        wrong += [f"{name} missing" for name in names if name not in found]
        if wrong or len(found) < len(leaves):
            got = wrong[0] if wrong else f"one of them twice: {shown(values)}"
            raise ValueError(f"{label} must have the names {shown(names)}, each once, got {got}.")
        return [found[name] for name in names]

    def _is_group(self, name: str) -> bool:
        return any(other.startswith(f"{name}.") for other in self.names)

    # ---------------------------------------------------------------- JSON

    def to_json(self) -> str:
        """Describe the space as JSON.

        Examples
        --------
        >>> import evoopt
        >>> evoopt.Space(x=evoopt.Choice("a", "b")).to_json()
        '{"variables": [{"name": "x", "kind": "Choice", "values": ["a", "b"]}]}'
        """
        columns = zip(self.names, self.variables, strict=True)
        described = [
            {"name": name, "kind": type(each).__name__, **each._jsonable()} for name, each in columns
        ]
        return json.dumps({"variables": described})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Make the space that `to_json` described.

        Raises
        ------
        ValueError
            For a text that is not of `to_json`.

        Examples
        --------
        >>> import evoopt
        >>> space = evoopt.Space(x=evoopt.Real(0, 1))
        >>> evoopt.Space.from_json(space.to_json()) == space
        True
        """
        try:
            columns = list(map(_described, json.loads(text)["variables"]))
            space = cls(**_nested(columns))
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
            raise ValueError(
                f"text must be the text of Space.to_json, got {shown(text)}: {str(error).rstrip('.')}."
            ) from error
        if space.names != tuple(name for name, _ in columns):
            raise ValueError(f"text must have the variables of a group side by side, got {shown(text)}.")
        return space


MeanLike = ArrayLike | Space
PointLike = ArrayLike | Mapping[str, Any]  # a row, or a dict of values by name


def _columns(tree: object, path: str) -> Iterator[tuple[str, Variable]]:
    """Yield the dotted names and the variables of a tree, in their order."""
    if isinstance(tree, Real | Integer | Choice):
        yield path, tree
        return
    if not isinstance(tree, Mapping) or not tree or path.count(".") >= MOST_LEVELS:
        raise ValueError(
            "A space must be of Real, Integer and Choice, and of dicts of these that are not empty, at most "
            f"{MOST_LEVELS} in each other, got {shown(tree)}{path and f' as {path[:60]}'}."
        )
    for name, each in tree.items():
        if not isinstance(name, str) or not name or "." in name:
            raise ValueError(f"Names must be text without dots, got {shown(name)}; write groups as dicts.")
        yield from _columns(each, f"{path}.{name}" if path else name)


def _is_identifier(name: str) -> bool:
    """Return whether Python reads a name in a call as it is."""
    return name.isidentifier() and not iskeyword(name) and normalize("NFKC", name) == name


def _mapped(tree: Tree, leaves: Iterator[Any]) -> dict[str, Any]:
    """Return a tree of dicts with other leaves, in their order."""
    return {
        name: _mapped(each, leaves) if isinstance(each, Mapping) else next(leaves)
        for name, each in tree.items()
    }


def _leaves(tree: Tree, path: str, is_group: Callable[[str], bool]) -> Iterator[tuple[str, Any]]:
    """Yield the leaves of a tree by dotted names; only groups are entered."""
    for key, each in tree.items():
        name = f"{path}.{key}" if path else str(key)
        if isinstance(each, Mapping) and is_group(name):
            yield from _leaves(each, name, is_group)
        else:
            yield name, each


def _cast(rows: Vector, dtype: DTypeLike) -> Array:
    """Return rows in a dtype; raise ValueError if it does not hold them."""
    with np.errstate(over="ignore", under="ignore"):
        found = rows.astype(dtype)
    far = rows[~np.isfinite(found)]
    if len(far):
        raise ValueError(f"dtype must be float64 for values that float32 does not hold, got {far[0]:g}.")
    return found


def _items(column: Any) -> list[Any]:
    """Return the values of a column as Python's, where it is an array."""
    return list(column) if isinstance(column, list | tuple) else np.asarray(column).tolist()


def _described(entry: dict[str, Any]) -> tuple[str, Variable]:
    """Return the name and the variable of an entry of JSON."""
    options = dict(entry)
    name, kind = options.pop("name"), VARIABLES[options.pop("kind")]
    return name, kind(*options.pop("values", ()), **options)


def _nested(columns: Iterable[tuple[str, Variable]]) -> dict[str, Any]:
    """Return the groups that dotted names describe."""
    tree: dict[str, Any] = {}
    for name, each in columns:
        *groups, last = name.split(".")
        node = tree
        for group in groups:
            node = node.setdefault(group, {})
        if last in node:
            raise ValueError(f"{name} is there twice")
        node[last] = each
    return tree
