"""Errors of wrong calls, which show the right call and the name that was meant; and names."""

import difflib
import functools
import inspect
from collections.abc import Callable, Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Self, TypeVar, cast

_Function = TypeVar("_Function", bound=Callable[..., Any])
_NAMED = {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}  # kinds of parameters


class _Signature:
    """The signature of a class as `help` shows it: with the options of its base classes."""

    def __get__(self, instance: object, owner: type) -> inspect.Signature:
        if instance is not None:
            raise AttributeError("An instance has the signature of its __call__.")
        return signature_of(owner)


class Called:
    """The base of classes whose constructors explain a wrong call in a sentence.

    Python's own message names the constructor of a base class, and not the option that was meant.
    """

    __signature__ = _Signature()
    _renamed: ClassVar[Mapping[str, str]] = {}  # the old name of an option, and its present one
    _usage: ClassVar[str] = ""  # arguments by place, if the parameters of a constructor hide them

    def __new__(cls, *arguments: object, **options: object) -> Self:
        if arguments or options:  # a copy is made without any, and gets its state later
            # (object's own takes anything where a class has a __new__)
            takes_none = cls.__init__ is object.__init__
            signature = inspect.signature(_nothing if takes_none else cls.__init__)
            _require_form(cls.__name__, signature, (None, *arguments), options, option_names(cls), cls._usage)
        return super().__new__(cls)


def _nothing(self: object) -> None:
    """Have the signature of a constructor that takes nothing."""


def called(function: _Function) -> _Function:
    """Decorate a function so that it explains a wrong call, as `Called` does."""

    @functools.wraps(function)
    def call(*arguments: object, **options: object) -> Any:
        try:
            return function(*arguments, **options)
        except TypeError as error:
            if error.__traceback__ is not None and error.__traceback__.tb_next is None:  # it never began
                signature = inspect.signature(function)
                _require_form(function.__name__, signature, arguments, options, set(signature.parameters))
            raise

    return cast(_Function, call)


def _require_form(
    name: str,
    signature: inspect.Signature,
    arguments: tuple[Any, ...],
    options: Mapping[str, Any],
    known: set[str],
    usage: str = "",
) -> None:
    """Raise TypeError, in a sentence, unless a function can be called like this."""
    try:
        signature.bind(*arguments, **options)
    except TypeError as error:
        fault, hint = str(error).removeprefix("got "), suggestion(options, known)
        call = f"{name}({usage + ', ...' if usage else _form(signature)})"
        raise TypeError(f"{name} must be called as {call}, got: {fault}{hint}") from None


def _form(signature: inspect.Signature) -> str:
    """Return the required arguments, and dots if there are optional ones."""
    parameters = [each for each in signature.parameters.values() if each.name != "self"]
    needed = [each.name for each in parameters if each.default is each.empty and each.kind in _NAMED]
    return ", ".join([*needed, *["..."] * (len(needed) < len(parameters))])


@functools.lru_cache(maxsize=256)
def signature_of(cls: type) -> inspect.Signature:
    """Return the signature of a constructor, with the options that it hands on to base classes."""
    found: dict[str, inspect.Parameter] = {}
    by_place = True  # whether the arguments by place go on to the next constructor
    for init in _constructors(cls):
        (_, *parameters) = inspect.signature(init).parameters.values()
        taken = {each.kind for each in parameters}
        kept = [each for each in parameters if each.kind in _NAMED and each.name not in found]
        found |= {each.name: each for each in kept if by_place or each.kind is each.KEYWORD_ONLY}
        by_place = by_place and inspect.Parameter.VAR_POSITIONAL in taken
        if inspect.Parameter.VAR_KEYWORD not in taken:
            break
    return inspect.Signature(sorted(found.values(), key=lambda each: each.kind))


def _constructors(cls: type) -> list[Callable[..., None]]:
    """Return the constructors of a class and of its bases that have their own."""
    return [vars(base)["__init__"] for base in cls.__mro__[:-1] if "__init__" in vars(base)]


def name_of(function: object) -> str:
    """Return the name of a function, or of another callable's class, without an address."""
    return str(getattr(function, "__name__", type(function).__name__))


def option_names(cls: type) -> set[str]:
    """Return the names of the parameters of a constructor and of its base classes."""
    return set(signature_of(cls).parameters)


def refuse_unknown(cls: type[Called], options: Iterable[str], known: set[str]) -> None:
    """Raise TypeError for an option that is not among the `known` ones of a class."""
    unknown = sorted(set(options) - known)
    if unknown:
        names, hint = ", ".join(sorted(known)), suggestion(unknown, known, cls._renamed)
        raise TypeError(f"Options of {cls.__name__} must be among {names}, got {unknown[0]}{hint}")


def suggestion(
    names: Iterable[str], known: Collection[str], renamed: Mapping[str, str] = MappingProxyType({})
) -> str:
    """Return the end of a sentence: which known names are meant by unknown ones, if any is near."""
    pairs = [(name, renamed.get(name) or _nearest(name, known)) for name in names if name not in known]
    hints = [f"{near} instead of {name}" for name, near in pairs if near]
    return f"; did you mean {' and '.join(hints)}?" if hints else "."


def _nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the nearest known name with the same first letter, if there is one."""
    found = difflib.get_close_matches(name, sorted(each for each in known if each[:1] == name[:1]), 1)
    return found[0] if found else None
