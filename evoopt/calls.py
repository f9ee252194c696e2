"""Constructors called otherwise than they are to be: sentences that name the class and the nearest option."""

import difflib
import inspect
from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Self


class Called:
    """A class whose constructor says what is wrong with a call, where Python names a parent or no option."""

    _usage: ClassVar[str] = "mean, sigma"  # what a constructor takes by place

    def __new__(cls, *arguments: Any, **options: Any) -> Self:
        if arguments or options:  # without any it may be a copy, which gets its state later
            try:
                inspect.signature(cls.__init__).bind(None, *arguments, **options)
            except TypeError as error:
                call, what = f"{cls.__name__}({cls._usage}, ...)", str(error).removeprefix("got ")
                hint = suggestion(options, option_names(cls))
                raise TypeError(f"{cls.__name__} must be called as {call}, got: {what}{hint}") from None
        return super().__new__(cls)


def option_names(cls: type) -> set[str]:
    """Return the names of a constructor's parameters, those of base classes behind ``**options`` included."""
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    constructors = [vars(base)["__init__"] for base in cls.__mro__[:-1] if "__init__" in vars(base)]
    parameters = [each for init in constructors for each in inspect.signature(init).parameters.values()]
    return {each.name for each in parameters if each.kind in kinds} - {"self"}


def refuse_unknown(cls: type, options: Iterable[str], known: set[str]) -> None:
    """Raise TypeError, in the name of a class, for an option that is none of its `known` ones."""
    unknown = sorted(set(options) - known)
    if unknown:
        names, hint = ", ".join(sorted(known)), suggestion(unknown, known)
        raise TypeError(f"Options of {cls.__name__} must be among {names}, got {unknown[0]}{hint}")


def suggestion(
    names: Iterable[str], known: Collection[str], renamed: Mapping[str, str] = MappingProxyType({})
) -> str:
    """Return the end of a sentence: which known names are meant by unknown ones, if any is near."""
    pairs = [(name, renamed.get(name) or _nearest(name, known)) for name in names if name not in known]
    hints = [f"{near} instead of {name}" for name, near in pairs if near]
    return f"; did you mean {' and '.join(hints)}?" if hints else "."


def _nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that an unknown one is a variant of, with the same first letter, if any is."""
    found = difflib.get_close_matches(name, sorted(each for each in known if each[:1] == name[:1]), 1)
    return found[0] if found else None
