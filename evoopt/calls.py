"""Constructors called otherwise than they are to be: sentences that name the class and the nearest option."""

import difflib
import inspect
from collections.abc import Iterable
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
                hint = _hint(options, option_names(cls))
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
        names, hint = ", ".join(sorted(known)), _hint(unknown, known)
        raise TypeError(f"Options of {cls.__name__} must be among {names}, got {unknown[0]}{hint}")


def _hint(options: Iterable[str], known: set[str]) -> str:
    """Return the end of a sentence: which known names are the nearest to unknown ones, if any is near."""
    pairs = [
        (name, difflib.get_close_matches(name, sorted(known), 1)) for name in options if name not in known
    ]
    hints = [f"{near[0]} instead of {name}" for name, near in pairs if near]
    return f"; did you mean {' and '.join(hints)}?" if hints else "."
