"""The registries as the public API shows them."""

import inspect
import re
from collections.abc import Callable
from typing import Any

import evoopt

_LISTED = re.compile(r"(?:must be(?: one of)?|^An? \w+ of) (.+?)(?:, or an? |, got | was expected)")


def strategies() -> list[type[evoopt.Strategy]]:
    """Return the exported strategies."""
    return _classes(evoopt.Strategy)


def layers() -> list[type[evoopt.Layer]]:
    """Return the exported layers."""
    return _classes(evoopt.Layer)


def environments() -> dict[str, evoopt.Environment]:
    """Return the built-in environments by name."""
    found = vars(evoopt.envs).items()
    return {name: value for name, value in found if isinstance(value, evoopt.Environment)}


def _classes(base: type) -> list[Any]:
    exported = (getattr(evoopt, name) for name in evoopt.__all__)
    return [
        each for each in exported if isinstance(each, type) and issubclass(each, base) and each is not base
    ]


def options(cls: type) -> dict[str, inspect.Parameter]:
    """Return the parameters of a constructor, with the parameters of its base classes."""
    found: dict[str, inspect.Parameter] = {}
    for base in cls.__mro__[:-1]:
        if "__init__" in vars(base):
            found = {**inspect.signature(vars(base)["__init__"]).parameters, **found}
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {name: each for name, each in found.items() if each.kind in named and name != "self"}


def words(call: Callable[[str], Any]) -> list[str]:
    """Return the words that an argument takes, from the error for another word."""
    try:
        call("no such word")
    except ValueError as error:
        listed = _LISTED.search(str(error))
        if listed is None:
            raise
        found = (word.strip('"') for word in re.split(", | or ", listed[1]))
        return [word for word in found if word != "None"]
    raise ValueError("any word is taken")
