"""Trees of parameters: nested mappings, lists and tuples, and the leaves in them.

A leaf is anything else; its *name* joins the keys on the way to it with dots
(``"dense_0.kernel"``); list and tuple positions count as keys. A key with a dot nests:
``{"0.weight": ...}`` is ``{"0": {"weight": ...}}``. None is an absent leaf, which has no name.
Order is level by level: positions and int keys as numbers, and then str keys as strings.
"""

import difflib
import fnmatch
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import NoneType
from typing import Any

import numpy as np

from evoopt import arguments, arrays
from evoopt.types import Array

Key = str | int
Trainable = Callable[[str], bool] | Iterable[str] | None

ABSENT = object()  # where `loads` found an absent leaf, because None is a leaf there
MOST_LEVELS = 100  # containers in each other
# the running statistics of batch normalization: training overwrites them, and does not learn them
STATISTICS = frozenset(
    {"running_mean", "running_var", "num_batches_tracked", "moving_mean", "moving_variance"}
)
STATISTICS_OF_NORMALIZATION = frozenset({"mean", "var"})  # statistics only beside gamma and beta
COLLECTION = "batch_stats"  # all leaves of this container of Flax are statistics


@dataclass(frozen=True)
class Container:
    """A dict, list or tuple of the tree, its children in the order of the vector; a leaf is None.

    An absent leaf is a container without children.
    """

    kind: Any  # dict, list, tuple, the class of a namedtuple, or NoneType
    children: dict[Key, "Container | None"]

    def build(self, leaves: Iterator[Any]) -> Any:
        values = [next(leaves) if child is None else child.build(leaves) for child in self.children.values()]
        if self.kind is NoneType:
            return None
        if self.kind is dict:
            return dict(zip(self.children, values, strict=True))
        if self.kind is list:
            return values
        return tuple(values) if self.kind is tuple else self.kind._make(values)


def read_tree(tree: object) -> tuple[Container, dict[str, Array]]:
    """Return the containers of a tree, and its leaves as arrays in the order of the vector."""
    root, leaves = open_tree(tree)
    return root, {name: as_array(name, leaf) for name, leaf in leaves.items()}


def open_tree(tree: object, absent: object = None) -> tuple[Container, dict[str, Any]]:
    """Return the containers of a tree, and its named leaves in the order of the vector."""
    leaves: dict[str, Any] = {}

    def visit(node: object, path: str) -> Container | None:
        kind: Any
        if path.count(".") >= MOST_LEVELS:
            raise ValueError(
                f"A tree must have at most {MOST_LEVELS} levels, got a deeper one, which begins with "
                f'"{path[:60]}"; take out the container that holds itself, or flatten the tree.'
            )
        if node is absent:
            return Container(NoneType, {})
        if isinstance(node, Mapping):
            kind, items = dict, _open_mapping(node, path)
        elif isinstance(node, list | tuple):
            kind = list if isinstance(node, list) else type(node) if hasattr(node, "_fields") else tuple
            items = dict(enumerate(node))
        else:
            leaves[path] = node
            return None
        return Container(kind, {key: visit(child, join(path, key)) for key, child in items.items()})

    root = visit(tree, "")
    if root is None or root.kind is NoneType:
        advice = "put an array into a dict by its name; of a model take its dict of parameters"
        raise mismatch("", "a mapping, list or tuple", f"a {type(tree).__name__}", advice)
    return root, leaves


def _open_mapping(node: Mapping[Any, Any], path: str) -> dict[Key, Any]:
    """Return the children of a mapping in order; keys with dots become children that are dicts."""
    if all(type(key) is str and key and "." not in key for key in node):
        return {key: node[key] for key in sorted(node)}  # the usual case
    children: dict[Key, Any] = {}
    first: dict[str, Key] = {}  # key for each child
    for key, value in node.items():
        head, dot, rest = _split(key, path)
        other = first.setdefault(str(head), key)
        if other is not key and not (dot and "." in str(other)):
            found = f"both {_quoted(path, other)} and {_quoted(path, key)}"
            raise mismatch(join(path, head), "one leaf or container", found, "rename one of them")
        if dot:
            children.setdefault(head, {})[rest] = value
        else:
            children[head] = value
    return {key: children[key] for key in sorted(children, key=_rank)}


def _split(key: object, path: str) -> tuple[Key, str, str]:
    """Split a key at its first dot: return the part before it, the dot, and the rest."""
    if isinstance(key, int | np.integer) and not isinstance(key, bool):
        return int(key), "", ""
    head, dot, rest = key.partition(".") if isinstance(key, str) else ("", "", "")
    if not head:
        expected, advice = "a mapping with int keys or str keys of non-empty parts", "rename the key"
        raise mismatch(path, expected, f"the key {head if isinstance(key, str) else key!r}", advice)
    return head, dot, rest


def _rank(key: Key) -> tuple[bool, Any]:
    return isinstance(key, str), key


def _quoted(path: str, key: Key) -> str:
    return f'"{join(path, key)}"' if isinstance(key, str) else f'"{join(path, key)}" (an int)'


def nest(leaves: Mapping[str, Any]) -> Any:
    """Return the nested dicts that dotted names describe."""
    root, found = open_tree(leaves)
    return root.build(iter(found.values()))


def to_jsonable(node: Container | None) -> Any:
    """Write containers as JSON has them, and a leaf as null.

    The key "", which no mapping has, is for the rest: ``{"": [...]}`` is a tuple, ``{"": null}`` an
    absent leaf, and ``{"": {"0": ...}, ...}`` a dict, of which some keys are ints.
    """
    if node is None:
        return None
    children = {key: to_jsonable(child) for key, child in node.children.items()}
    if node.kind is list:
        return list(children.values())
    if node.kind is not dict:
        return {"": None if node.kind is NoneType else list(children.values())}
    numbered = {key: child for key, child in children.items() if isinstance(key, int)}
    named = {key: child for key, child in children.items() if isinstance(key, str)}
    return {"": numbered, **named} if numbered else named


def loads(text: str | bytes) -> Any:
    """Read the text of `to_jsonable` and json.dumps as containers; absent leaves are `ABSENT`.

    ValueError for another text, RecursionError for one that is nested too deep for JSON.
    """
    return json.loads(text, object_pairs_hook=_container)


def _container(pairs: list[tuple[str, Any]]) -> Any:
    """Return the container of a JSON object: a dict; with the key "" a tuple or no leaf."""
    entry = dict(pairs)
    if len(entry) < len(pairs):
        raise ValueError(f"each key must be there once, got {[key for key, _ in pairs]}")
    if "" not in entry:
        return entry
    other = entry.pop("")
    if isinstance(other, dict) and all(str(int(key)) == key for key in other):
        return {**{int(key): child for key, child in other.items()}, **entry}
    if entry or not isinstance(other, list | None):
        raise ValueError('the key "" is for a tuple, an absent leaf or int keys')
    return ABSENT if other is None else tuple(other)


def as_array(name: str, value: object) -> Array:
    """Read a leaf as an array of real numbers on the host; bfloat16 becomes float32."""
    return arrays.read_of_any_library(f'The leaf "{name}"', value)


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
        differing = sorted(expected.children.keys() ^ found.children.keys(), key=_rank)
        advice = f"missing or surplus are {[join(path, key) for key in differing]}"
        raise mismatch(path, f"a dict of {list(expected.children)}", f"one of {list(found.children)}", advice)
    for key, child in expected.children.items():
        check_containers(child, found.children[key], join(path, key))


def select(names: list[str], trainable: Trainable) -> set[str]:
    """Return the names that `trainable` means; see `ParamSpec.from_params`."""
    if trainable is None:
        present = set(names)
        return {name for name in names if not _is_statistic(name, present)}
    if callable(trainable):
        return {name for name in names if trainable(name)}
    patterns = list(_patterns(trainable))
    if not patterns:
        raise _no_pattern(trainable)
    return set().union(*(_matched(names, pattern) for pattern in patterns))


def _is_statistic(name: str, names: set[str]) -> bool:
    """Return whether a leaf is a running statistic; `names` are the ones of all leaves."""
    *containers, key = re.split("[./]", name)
    if key not in STATISTICS_OF_NORMALIZATION or COLLECTION in containers:
        return key in STATISTICS or COLLECTION in containers
    container = name.removesuffix(key)
    return {container + "gamma", container + "beta"} <= names


def _patterns(trainable: object) -> Iterator[str]:
    for pattern in [trainable] if isinstance(trainable, str) else arguments.items(trainable):
        if not isinstance(pattern, str):  # which ends it, however long the rest is
            raise _no_pattern(trainable)
        yield pattern


def _no_pattern(trainable: object) -> ValueError:
    found = arrays.shown(trainable)
    return ValueError(f"trainable must be a name, names or a function of a name, got {found}.")


def _matched(names: list[str], pattern: str) -> set[str]:
    """Return the leaf, or the leaves of the container, of this name; else the leaves that match."""
    matched = {name for name in names if name == pattern or name.startswith(f"{pattern}.")}
    matched = matched or {name for name in names if fnmatch.fnmatchcase(name, pattern)}
    if not matched:
        near = nearest(pattern, names)
        raise ValueError(f'Patterns must match leaves, got "{pattern}"; {near}.')
    return matched


def nearest(name: str, names: Iterable[str]) -> str:
    """Say which names are most like `name`."""
    return f"the nearest are {difflib.get_close_matches(name, list(names), cutoff=0.0)}"


def join(path: str, key: Key) -> str:
    """Return the name of a key in a container."""
    return f"{path}.{key}" if path else str(key)


def _kind(node: Container | None) -> str:
    if node is None:
        return "a leaf"
    return "None" if node.kind is NoneType else f"a {node.kind.__name__}"


def mismatch(path: str, expected: str, found: object, advice: str) -> ValueError:
    """Make the error for a place in a tree."""
    place = f'At "{path}"' if path else "At the top of the tree"
    return ValueError(f"{place} {expected} was expected, got {found}; {advice}.")
