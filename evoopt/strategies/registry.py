"""Which classes a checkpoint may hold: strategies by name, and the small classes their state is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from evoopt.strategies.base import Strategy

REGISTRY: dict[str, type[Strategy]] = {}
PLAIN_DATA: dict[str, type] = {}

_StrategyClass = TypeVar("_StrategyClass", bound="type[Strategy]")
_Class = TypeVar("_Class", bound=type)


def register(cls: _StrategyClass) -> _StrategyClass:
    """Make a strategy known by its class name, so that `load` finds it. A decorator.

    Raises
    ------
    ValueError
        If another class has the name.

    See `Strategy` for an example.
    """
    known = REGISTRY.get(cls.__name__)
    if known is not None and (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
        raise ValueError(
            f'A strategy needs a name of its own, but "{cls.__name__}" is already {known.__module__}.'
            f"{known.__qualname__}; rename {cls.__module__}.{cls.__qualname__}."
        )
    REGISTRY[cls.__name__] = cls
    return cls


def plain_data(cls: _Class) -> _Class:
    """Let checkpoints hold objects of this class. A decorator."""
    PLAIN_DATA[cls.__name__] = cls
    return cls
