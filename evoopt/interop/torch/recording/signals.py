"""Signals while a module is recorded."""

from dataclasses import dataclass, field


class UnsupportedError(ValueError):
    """A part of a module that networks of evoopt do not have; the recorder adds where it is."""


class LearnedError(Exception):
    """A new fact about an input, with which the recording begins anew."""


@dataclass(frozen=True)
class Facts:
    """The numbers of inputs about which recording has found something out."""

    ids: set[int] = field(default_factory=set)  # they must be of an integer dtype
    channels: set[int] = field(default_factory=set)  # they are sequences (channels, length)


def learn(number: int, numbers: set[int]) -> None:
    """Add the number of an input to the others of a fact; raise LearnedError if it is new."""
    if number not in numbers:
        numbers.add(number)
        raise LearnedError
