"""Working calls for every public name; arguments are expressions in the names of `names`."""

import inspect

import evoopt

from .case import Case
from .functions import FUNCTIONS
from .networks import NETWORKS
from .spaces import SPACES
from .strategies import STRATEGIES
from .tasks import TASKS

CASES: list[Case] = [*STRATEGIES, *NETWORKS, *TASKS, *SPACES, *FUNCTIONS]


def public_names() -> set[str]:
    """Return all public names, and the names of methods and properties of public classes."""
    found = set()
    for name in evoopt.__all__:
        thing = getattr(evoopt, name)
        if inspect.ismodule(thing):
            found |= {
                f"{name}.{each}"
                for each, value in vars(thing).items()
                if isinstance(value, evoopt.Environment)
            }
            continue
        found.add(name)
        if isinstance(thing, type) and not issubclass(thing, tuple):
            found |= {f"{name}.{each}" for each in dir(thing) if _is_used(thing, each)}
    return found


def _is_used(cls: type, name: str) -> bool:
    if name.startswith("_"):
        return (
            name == "__call__"
            and cls is not type(cls)
            and "__call__" in dir(cls)
            and not issubclass(cls, type)
        )
    value = inspect.getattr_static(cls, name)
    return callable(value) or isinstance(value, property | classmethod | staticmethod)
