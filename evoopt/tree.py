"""Trees of parameters: nested dicts, lists and tuples, and the leaves in them.

A leaf is anything else; its *name* joins the keys on the way to it with dots (``"dense_0.kernel"``); list and
tuple positions count as keys. Order is level by level: dict keys as strings, positions as numbers.
"""

import difflib
import fnmatch
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from evoopt import arguments, arrays
from evoopt.arrays import Array

Trainable = Callable[[str], bool] | Iterable[str] | None


@dataclass(frozen=True)
class Container:
    """A dict, list or tuple of the tree, its children in the order of the vector; a leaf is None."""

    kind: Any  # dict, list, tuple or the class of a namedtuple
    children: dict[str, "Container | None"]

    def build(self, leaves: Iterator[Any]) -> Any:
        values = [next(leaves) if child is None else child.build(leaves) for child in self.children.values()]
        if self.kind is dict:
            return dict(zip(self.children, values, strict=True))
        if self.kind is list:
            return values
        return tuple(values) if self.kind is tuple else self.kind._make(values)


def read_tree(tree: Any) -> tuple[Container, dict[str, Array]]:
    """Return the containers of a tree, and its leaves as arrays by name, in the order of the vector."""
    root, leaves = open_tree(tree)
    return root, {name: as_array(name, leaf) for name, leaf in leaves.items()}


def open_tree(tree: Any) -> tuple[Container, dict[str, Any]]:
    """Return the containers of a tree, and its leaves as they are by name, in the order of the vector."""
    leaves: dict[str, Any] = {}

    def visit(node: Any, path: str) -> Container | None:
        kind: Any = dict
        if isinstance(node, dict):
            for key in node:
                if not isinstance(key, str) or not key or "." in key:
                    expected, advice = "a dict with non-empty str keys without a dot", "rename the key"
                    raise mismatch(path, expected, f"the key {key!r}", advice)
            items = {key: node[key] for key in sorted(node)}
        elif isinstance(node, list | tuple):
            kind = list if isinstance(node, list) else type(node) if hasattr(node, "_fields") else tuple
            items = {str(position): child for position, child in enumerate(node)}
        else:
            leaves[path] = node
            return None
        return Container(kind, {key: visit(child, join(path, key)) for key, child in items.items()})

    root = visit(tree, "")
    if root is None:
        raise mismatch(
            "", "a dict, list or tuple", f"a {type(tree).__name__}", "put it into a dict by its name"
        )
    return root, leaves


def nest(leaves: Mapping[str, Any]) -> dict[str, Any]:
    """Return the nested dicts that dotted names describe."""
    tree: dict[str, Any] = {}
    for name, value in leaves.items():
        *parents, last = name.split(".")
        node, path = tree, ""
        for key in parents:
            path = join(path, key)
            if path in leaves:
                raise mismatch(path, "a leaf or a container", f'both, by "{name}",', "rename one of them")
            node = node.setdefault(key, {})
        node[last] = value
    return tree


def to_jsonable(node: Container | None) -> Any:
    """Write containers as JSON has them, a leaf as null, a tuple as an object whose only key is empty."""
    if node is None:
        return None
    children = {key: to_jsonable(child) for key, child in node.children.items()}
    if node.kind is dict:
        return children
    return list(children.values()) if node.kind is list else {"": list(children.values())}


def loads(text: str | bytes) -> Any:
    """Read what `to_jsonable` and json.dumps wrote, back into containers.

    ValueError for a text that is no JSON, RecursionError for one that is nested too deep for it.
    """
    return json.loads(text, object_pairs_hook=_container)


def _container(pairs: list[tuple[str, Any]]) -> Any:
    """Return a dict, or the tuple that an object whose only key is empty stands for."""
    entry = dict(pairs)
    if len(entry) < len(pairs):
        raise ValueError(f"each key must be there once, got {[key for key, _ in pairs]}")
    if "" not in entry:
        return entry
    if len(entry) > 1 or not isinstance(entry[""], list):
        raise ValueError("an empty key must be the only one, of a list")
    return tuple(entry[""])


def as_array(name: str, value: Any) -> Array:
    """Read a leaf as an array of real numbers."""
    return arrays.read(f'The leaf "{name}"', value)


def check_containers(expected: Container | None, found: Container | None, path: str) -> None:
    """Raise for the first difference; a namedtuple passes for a tuple."""
    if expected is None and found is None:
        return
    advice = "use the containers that the spec was made from"
    if expected is None or found is None or not issubclass(found.kind, expected.kind):
        raise mismatch(path, _kind(expected), _kind(found), advice)
    if expected.kind is not dict and len(expected.children) != len(found.children):
        raise mismatch(path, f"length {len(expected.children)}", f"length {len(found.children)}", advice)
    if expected.children.keys() != found.children.keys():
        differing = sorted(expected.children.keys() ^ found.children.keys())
        advice = f"missing or surplus are {[join(path, key) for key in differing]}"
        raise mismatch(path, f"a dict of {list(expected.children)}", f"one of {list(found.children)}", advice)
    for key, child in expected.children.items():
        check_containers(child, found.children[key], join(path, key))


def select(names: list[str], trainable: Trainable) -> set[str]:
    """Return the names that `trainable` means; see `ParamSpec.from_params`."""
    if trainable is None:
        return set(names)
    if callable(trainable):
        return {name for name in names if trainable(name)}
    chosen: set[str] = set()
    patterns = [trainable] if isinstance(trainable, str) else list(arguments.items(trainable))
    if not all(isinstance(pattern, str) for pattern in patterns) or not patterns:
        raise ValueError(f"trainable must be a name, names or a function of a name, got {trainable!r}.")
    for pattern in patterns:
        matched = {
            n for n in names if n == pattern or n.startswith(f"{pattern}.") or fnmatch.fnmatchcase(n, pattern)
        }
        if not matched:
            near = nearest(pattern, names)
            raise ValueError(f'Patterns that match leaves were expected, but "{pattern}" came: {near}.')
        chosen |= matched
    return chosen


def nearest(name: str, names: Iterable[str]) -> str:
    """Say which names are most like `name`."""
    return f"the nearest are {difflib.get_close_matches(name, list(names), cutoff=0.0)}"


def join(path: str, key: str) -> str:
    """Give the name of a key in a container."""
    return f"{path}.{key}" if path else key


def _kind(node: Container | None) -> str:
    return "a leaf" if node is None else f"a {node.kind.__name__}"


def mismatch(path: str, expected: str, found: object, advice: str) -> ValueError:
    """Make the error for a place in a tree."""
    place = f'At "{path}"' if path else "At the top of the tree"
    return ValueError(f"{place} {expected} was expected, but {found} came: {advice}.")
