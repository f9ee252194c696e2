"""Cases of searches in spaces, for every strategy that takes the space."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import evoopt

from . import public
from .case import Case, Results
from .strategies import followed, restarts
from .ways import WAYS, Search, plainly

GENERATIONS = 30
REALS = {"x": ("Real", -1, 2), "rate": ("Real", 1e-3, 1, {"log": True})}
PERIOD = {"angle": ("Real", 0, 6, {"periodic": True})}
INTEGERS = {"n": ("Integer", -9, 9), "units": ("Integer", 1, 64, {"log": True}), "flag": ("Integer", 0, 1)}
CHOICES = {"two": ("Choice", "a", "b"), "five": ("Choice", 1, 2, 3, 4, 5), "one": ("Choice", None)}
SPACES: dict[str, dict[str, Any]] = {
    "reals": REALS | PERIOD,
    "integers": INTEGERS,
    "choices": CHOICES,
    "all kinds": REALS | INTEGERS | PERIOD | CHOICES,
}


def cases() -> Iterator[Case]:
    """Make the cases of each strategy and space; none for commits that have no spaces."""
    for cls in public.strategies() if hasattr(evoopt, "Space") else ():
        for name in SPACES:
            if _takes(cls, name):
                yield from _cases(cls, name)


def _cases(cls: type, name: str) -> Iterator[Case]:
    for dtype in ("float32", "float64"):
        for noisy in (False, True):
            options = {"dtype": dtype, "noisy": noisy}
            title = f"{cls.__name__} in a space of {name}, {dtype}{', noisy' if noisy else ''}"
            yield Case(title, partial(search, cls, name, options))
    for way, tell in WAYS.items() if name == "all kinds" else ():
        yield Case(f"{cls.__name__} in a space of {name}, told {way}", partial(search, cls, name, {}, tell))


def search(
    cls: type, name: str, options: dict[str, Any], tell: Callable[[Search], None] = plainly
) -> Results:
    """Run a strategy from the middle of a space; yield its rows and its public state."""
    return followed(made(cls, name, **options), tell, GENERATIONS)


def made(cls: Any, name: str, **options: Any) -> Any:
    """Make a strategy, or restarts of CMAES, in a space."""
    space = evoopt.Space(**{variable: _variable(*given) for variable, given in SPACES[name].items()})
    given = {"seed": 5, "popsize": 12, **options}
    return cls(evoopt.CMAES(space, **given)) if restarts(cls) else cls(space, **given)


def _variable(kind: str, *values: Any) -> Any:
    options = values[-1] if isinstance(values[-1], dict) else {}
    return getattr(evoopt, kind)(*(value for value in values if value is not options), **options)


def _takes(cls: type, name: str) -> bool:
    try:
        made(cls, name)
    except ValueError:
        return False
    return True
