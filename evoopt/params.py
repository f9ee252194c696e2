"""Nested parameters as flat vectors: `ParamSpec`."""

import json
import math
from collections.abc import Iterable, Mapping
from itertools import accumulate
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evoopt import arguments, arrays
from evoopt.leaves import (
    Leaf,
    cut_of,
    describe,
    listed,
    locked,
    make_leaf,
    popsize_of,
    read_entry,
    read_json,
    require_floats,
    require_frozen,
)
from evoopt.tree import (
    Container,
    Trainable,
    check_containers,
    mismatch,
    nearest,
    open_tree,
    read_tree,
    select,
    to_jsonable,
)
from evoopt.types import Array


class ParamSpec:
    """The one-to-one map between a tree of parameters and a vector, or a row of a population.

    Made by `from_params`, `from_shapes` or `from_json`. The vector holds the trainable leaves one
    after the other, each row-major, sorted level by level: list and tuple positions and int keys as
    numbers, then str keys as strings (``bias`` before ``kernel``, ``dense_10`` before ``dense_2``).
    The other leaves are frozen.

    Attributes
    ----------
    size : int
        Length of the vector, ``n_params``.
    dtype : numpy.dtype
        Of the vectors that `ravel` makes: float64 if a trainable leaf is as wide, else float32.
    names, shapes, dtypes, offsets, dimension_names : tuple
        One item for each trainable leaf, in the order of the vector.
    frozen : dict of str to ndarray
        The values of the frozen leaves, read-only.

    Examples
    --------
    >>> spec = ParamSpec.from_params({"dense_0": {"kernel": np.ones((2, 2)), "bias": np.zeros(2)}})
    >>> spec
    ParamSpec(6 parameters, float64: dense_0.bias (2,), dense_0.kernel (2, 2))
    >>> spec.unravel(np.arange(6.0))["dense_0"]["kernel"]
    array([[2., 3.],
           [4., 5.]])
    """

    def __init__(self, root: Container, leaves: Iterable[Leaf], frozen: Mapping[str, ArrayLike]) -> None:
        self._root, self._leaves = root, tuple(leaves)
        trainable = [leaf for leaf in self._leaves if leaf.trainable]
        require_floats(self._leaves)
        sizes = [math.prod(leaf.shape) for leaf in trainable]
        (self.size,) = arguments.possible_shape("The vector of all parameters", [sum(sizes)])
        if not self.size:
            found = f"none of {len(self._leaves)} leaves is"
            raise ValueError(f"A trainable leaf with at least one number was expected, but {found}.")
        self.names = tuple(leaf.name for leaf in trainable)
        self.shapes = tuple(leaf.shape for leaf in trainable)
        self.dtypes = tuple(leaf.dtype for leaf in trainable)
        self.dimension_names = tuple(leaf.dimension_names for leaf in trainable)
        self.offsets = tuple(accumulate(sizes[:-1], initial=0))
        self.dtype = np.dtype(np.float64 if any(dtype.itemsize > 4 for dtype in self.dtypes) else np.float32)
        self.frozen = {
            leaf.name: locked(frozen[leaf.name], leaf) for leaf in self._leaves if not leaf.trainable
        }
        places = [slice(start, start + size) for start, size in zip(self.offsets, sizes, strict=True)]
        self._slices = dict(zip(self.names, places, strict=True))
        self._cuts = [cut_of(place, shape) for place, shape in zip(places, self.shapes, strict=True)]

    @classmethod
    def from_params(cls, tree: object, trainable: Trainable = None) -> Self:
        """Make the spec of a tree of arrays.

        Parameters
        ----------
        tree : nested mapping, list or tuple (namedtuples too)
            Keys are int or str; a key with dots nests, so that ``{"0.weight": w}``, as in a
            ``state_dict()`` of torch, is ``{"0": {"weight": w}}``. Leaves are arguments of
            `numpy.asarray`, of bool, integer or float dtype, or tensors of torch; bfloat16 becomes
            float32; None is an absent leaf.
        trainable : callable, str or iterable of str, optional
            Which leaves the vector holds: ``name -> bool``, or names, prefixes (``"dense_1"``
            covers ``"dense_1.kernel"``) and `fnmatch` patterns. By default all except the
            statistics of batch normalization, called running_mean, running_var,
            num_batches_tracked, moving_mean or moving_variance, beside gamma and beta mean and var,
            or in batch_stats. The values of the others are copied and frozen; integers have to be.

        Raises
        ------
        ValueError
            For a key or leaf that has no place in a vector, two that have the same name, a pattern
            without a leaf, or nothing trainable.

        Examples
        --------
        >>> ParamSpec.from_params({"a": [1.0, 2.0], "step": 7}, trainable="a").names
        ('a.0', 'a.1')
        >>> ParamSpec.from_params({"0.weight": np.ones(3), "1.running_mean": np.zeros(3)})
        ParamSpec(3 parameters, float64: 0.weight (3,); frozen: 1.running_mean (3,))
        """
        root, values = read_tree(tree)
        chosen = select(list(values), trainable)
        leaves = [make_leaf(name, a.shape, a.dtype, trainable=name in chosen) for name, a in values.items()]
        return cls(root, leaves, values)

    @classmethod
    def from_shapes(cls, shapes: Mapping[str, Any]) -> Self:
        """Make the spec of parameters that do not exist yet: all trainable, in nested dicts.

        Parameters
        ----------
        shapes : mapping of str to shape, or to (shape, dtype, dimension names)
            The keys are dotted names. A shape is an int or a tuple of ints; the dtype is float32 if
            left out or None; the dimension names, one str or None for each dimension, are stored
            but not used.

        Raises
        ------
        ValueError
            For a malformed entry, or a name that is both a leaf and a container.

        Examples
        --------
        >>> ParamSpec.from_shapes({"bias": 2, "kernel": ((3, 2), "float64", ("in", "out"))}).size
        8
        """
        entries = arguments.mapping("shapes", shapes)
        root, ordered = open_tree({name: read_entry(name, entry) for name, entry in entries.items()})
        return cls(root, ordered.values(), {})

    @classmethod
    def from_json(cls, text: str, frozen: Mapping[str, ArrayLike] | None = None) -> Self:
        """Make the spec that `to_json` described.

        Parameters
        ----------
        text : str
            The text that `to_json` returned.
        frozen : mapping of str to array, optional
            Exactly the frozen leaves, by name, in their shapes and dtypes: the text is without
            values.

        Raises
        ------
        ValueError
            For a text that is not of `to_json`, or frozen leaves that do not fit it.

        Examples
        --------
        >>> spec = ParamSpec.from_shapes({"kernel": (3, 2)})
        >>> ParamSpec.from_json(spec.to_json()) == spec
        True
        """
        root, leaves = read_json(text)
        given = {} if frozen is None else dict(arguments.mapping("frozen", frozen))
        require_frozen({leaf.name: leaf for leaf in leaves if not leaf.trainable}, given)
        return cls(root, leaves, given)

    def to_json(self) -> str:
        """Describe containers and leaves as JSON, without values; a namedtuple becomes a tuple.

        Examples
        --------
        >>> ParamSpec.from_shapes({"bias": 2}).to_json()[:25]
        '{"tree": {"bias": null}, '
        """
        leaves = [vars(leaf) | {"dtype": leaf.dtype.name} for leaf in self._leaves]
        return json.dumps({"tree": to_jsonable(self._root), "leaves": leaves})

    def slice(self, name: str) -> slice:
        """Return where leaves are in a vector, or in the columns of a population.

        Parameters
        ----------
        name : str
            Of a leaf; or a prefix or pattern, as `trainable` in `from_params`, for the trainable
            leaves that it covers.

        Raises
        ------
        ValueError
            If it covers no trainable leaf, or others lie between those that it covers.

        Examples
        --------
        >>> spec = ParamSpec.from_shapes({"a.bias": 3, "b.bias": 2, "b.kernel": (3, 2)})
        >>> spec.slice("b")
        slice(3, 11, None)
        """
        if not isinstance(name, str):
            raise ValueError(f"name must be that of a leaf such as {self.names[0]!r}, got {name!r}.")
        if name in self._slices:
            return self._slices[name]
        chosen = select([leaf.name for leaf in self._leaves], [name])
        places = [place for place, leaf in enumerate(self.names) if leaf in chosen]
        if not places:
            raise mismatch(name, "a trainable leaf", "a frozen one", nearest(name, self.names))
        first, last = places[0], places[-1]
        if last - first >= len(places):
            other = next(leaf for leaf in self.names[first:last] if leaf not in chosen)
            found = f'leaves with "{other}" between them'
            raise mismatch(name, "leaves side by side", found, "take the slice of each")
        return slice(self._slices[self.names[first]].start, self._slices[self.names[last]].stop)

    def expand(self, values: Mapping[str, float]) -> NDArray[np.float64]:
        """Make a vector of one number for each trainable leaf, for example step sizes: ``sigma``.

        Parameters
        ----------
        values : mapping of str to float
            By name, prefix or pattern, as `trainable` in `from_params`. All leaves must be covered;
            a later entry overrides those before it.

        Returns
        -------
        ndarray, shape (size,), float64

        Raises
        ------
        ValueError
            For a pattern without a leaf, a leaf without a number, or a value that is no number.

        Examples
        --------
        >>> spec = ParamSpec.from_shapes({"a.bias": 2, "a.kernel": (1, 2), "b.bias": 1})
        >>> spec.expand({"*": 0.1, "a.kernel": 0.5})
        array([0.1, 0.1, 0.5, 0.5, 0.1])
        """
        values = arguments.mapping("values", values)
        vector, missing = np.zeros(self.size), list(self.names)
        for pattern, value in values.items():
            given = arrays.read(f'The value of "{pattern}"', value)
            if given.ndim:
                raise mismatch(pattern, "a number", repr(value), "give one for all of the leaf")
            for name in select(list(self.names), [pattern]):
                vector[self._slices[name]] = given
                missing = [other for other in missing if other != name]
        if missing:
            raise mismatch(missing[0], "a number", "none", 'name it too, or begin with {"*": number}')
        return vector

    def ravel(self, tree: object, out: Array | None = None) -> Array:
        """Write the trainable leaves of a tree into one vector.

        Parameters
        ----------
        tree : nested mapping, list or tuple
            Containers and shapes as in the spec, where keys with dots nest; or each leaf has one
            more axis, ``(popsize, *shape)``. Frozen leaves must be there, in either shape; their
            values are not read.
        out : ndarray of float, optional
            Where to write, for example a row of a population; untouched if the input is refused.

        Returns
        -------
        ndarray, (size,) or (popsize, size)
            `out`, or a new array of the spec's `dtype`.

        Raises
        ------
        ValueError
            For any difference between the tree and the spec; nothing is dropped silently.

        Examples
        --------
        >>> spec = ParamSpec.from_shapes({"bias": 2, "kernel": (1, 2)})
        >>> spec.ravel({"kernel": np.array([[3, 4]]), "bias": np.array([1, 2])})
        array([1., 2., 3., 4.], dtype=float32)
        """
        root, values = read_tree(tree)
        check_containers(self._root, root, "")
        shape = (*popsize_of(self._leaves, values), self.size)
        out = np.empty(shape, self.dtype) if out is None else arrays.writable(out, shape)
        sources = [values[name] for name in self.names]
        # A leaf may be a view of `out` itself, elsewhere than where it goes.
        sources = [leaf.copy() if np.may_share_memory(leaf, out) else leaf for leaf in sources]
        for view, source in zip(self._views(out), sources, strict=True):
            view[...] = source
        return out

    def unravel(self, array: ArrayLike, cast: bool = False) -> Any:
        """Show a vector, or each row of a population, as a tree of views: no number is copied.

        Parameters
        ----------
        array : ndarray of float, (size,) or (popsize, size)
            Any strides. Writing into a leaf writes into it.
        cast : bool
            Copy every leaf into its own dtype instead: a tree that stands alone.

        Returns
        -------
        tree
            Leaves of ``shape``, or ``(popsize, *shape)`` for a population; frozen views are
            read-only.

        Raises
        ------
        ValueError
            If `array` has another shape, or is not of float dtype.

        Examples
        --------
        >>> spec = ParamSpec.from_shapes({"bias": 2, "kernel": (3, 2)})
        >>> spec.unravel(np.zeros((256, 8)))["kernel"].shape
        (256, 3, 2)
        """
        array = arrays.read("array", array)
        if array.ndim not in (1, 2) or array.shape[-1] != self.size or array.dtype.kind != "f":
            raise ValueError(
                f"array must be of floats and shape ({self.size},) or (popsize, {self.size}), got "
                f"{describe(array)}; make it for this spec."
            )
        leaves = self._views(array)
        if self.frozen:
            views, popsize = iter(leaves), array.shape[:-1]
            leaves = [
                next(views)
                if leaf.trainable
                else np.broadcast_to(self.frozen[leaf.name], popsize + leaf.shape)
                for leaf in self._leaves
            ]
        if arguments.flag("cast", cast):
            leaves = [view.astype(leaf.dtype, "C") for view, leaf in zip(leaves, self._leaves, strict=True)]
        return self._root.build(iter(leaves))

    def _views(self, array: Array) -> list[Array]:
        """Cut the last axis into the trainable leaves, without a copy, for any strides."""
        popsize = array.shape[:-1]
        return [array[cut].reshape(popsize + shape) if shape else array[cut] for cut, shape in self._cuts]

    def flat(self, tree: object) -> dict[str, Any]:
        """Return the leaves of a tree by their names, for example for ``load_state_dict`` of torch.

        Parameters
        ----------
        tree : nested mapping, list or tuple
            A tree with the containers of the spec: `unravel` of a vector, or of a population.

        Returns
        -------
        dict of str to leaf
            All leaves, also the frozen ones, as they are in the tree: of an unravelled vector its
            views.

        Raises
        ------
        ValueError
            For other containers.

        Examples
        --------
        >>> spec = ParamSpec.from_params({"0.bias": np.zeros(2), "0.weight": np.zeros((2, 3))})
        >>> spec.flat(spec.unravel(np.arange(8.0)))["0.bias"]
        array([0., 1.])
        """
        root, leaves = open_tree(tree)
        check_containers(self._root, root, "")
        return leaves

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ParamSpec):
            return NotImplemented
        if (self._root, self._leaves) != (other._root, other._leaves):
            return False
        return all(value.tobytes() == other.frozen[name].tobytes() for name, value in self.frozen.items())

    def __hash__(self) -> int:
        return hash(self._leaves)

    def __reduce__(self) -> tuple[Any, ...]:
        # Made anew, because the copy of a read-only array is writeable.
        return type(self), (self._root, self._leaves, self.frozen)

    def __repr__(self) -> str:
        trainable = listed(leaf for leaf in self._leaves if leaf.trainable)
        frozen = "; frozen: " + listed(leaf for leaf in self._leaves if not leaf.trainable)
        text = trainable + (frozen if self.frozen else "")
        return f"ParamSpec({self.size} parameters, {self.dtype}: {text})"
