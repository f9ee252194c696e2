"""The classes that a checkpoint may hold: strategies, and the small classes of their state.

Each kind has a table of names, so a strategy may have the name of a small class.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

from evoopt.calls import called

REGISTRY: dict[str, type[Any]] = {}  # strategies, whose base class cannot be imported here
PLAIN_DATA: dict[str, type] = {}
# one for each kind of entry
TABLES: dict[str, Mapping[str, type]] = {"strategy": REGISTRY, "object": PLAIN_DATA}

_Class = TypeVar("_Class", bound=type)


@called
def register(cls: _Class) -> _Class:
    """Register a strategy by its class name, so that `load` finds it; a decorator of classes.

    Raises
    ------
    ValueError
        If another class has the name, or `cls` is not a class. The same class, defined once more,
        replaces the old one.

    See `Strategy` for an example.
    """
    if not isinstance(cls, type):
        raise ValueError(
            f"register must decorate a class, whose name it takes, got {cls!r}; write @evoopt.register above "
            "the class."
        )
    _require_own_name(cls, REGISTRY)
    REGISTRY[cls.__name__] = cls
    return cls


def plain_data(cls: _Class) -> _Class:
    """Let checkpoints hold objects of a class; a decorator that refuses names like `register`."""
    _require_own_name(cls, PLAIN_DATA)
    PLAIN_DATA[cls.__name__] = cls
    return cls


def _require_own_name(cls: type, table: dict[str, _Class]) -> None:
    known = table.get(cls.__name__)
    if known is not None and (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
        raise ValueError(
            f'The name of a class must be its own, got "{cls.__name__}", which is {known.__module__}.'
            f"{known.__qualname__}; rename {cls.__module__}.{cls.__qualname__}."
        )
