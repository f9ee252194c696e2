"""The options of `minimize`: its own, and those of the strategy."""

import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from evoopt import arguments
from evoopt.portfolio.methods import Method, suggestion


@dataclass(frozen=True)
class Options:
    """The options of `minimize`; None is no limit, or the default.

    Attributes
    ----------
    maxfun, maxiter : float or None
        Most evaluations and iterations: whole numbers, or infinity.
    target : float
    time_limit : float
        Seconds.
    seed : int or None
    sigma : array_like or None
    log : path or None
    progress, disp : bool
    exhaust : bool
        Whether to go on when two searches have agreed; of methods with restarts.
    strategy : dict
        The options of the strategy.
    """

    maxfun: float | None
    maxiter: float | None
    target: float
    time_limit: float
    seed: int | None
    sigma: ArrayLike | None
    log: str | os.PathLike[str] | None
    progress: bool
    disp: bool
    exhaust: bool
    strategy: dict[str, Any]


OWN = tuple(field.name for field in fields(Options) if field.name not in ("exhaust", "strategy"))


def read_options(method: Method, options: Any) -> Options:
    """Read the options of a method."""
    given = _mapping(options)
    check_names(method, given)
    return Options(
        maxfun=_limit("maxfun", given.get("maxfun")),
        maxiter=_limit("maxiter", given.get("maxiter")),
        target=_number("target", given.get("target"), -math.inf),
        time_limit=_number("time_limit", given.get("time_limit"), math.inf),
        seed=_seed(given.get("seed")),
        sigma=given.get("sigma"),
        log=given.get("log"),
        progress=bool(given.get("progress", False)),
        disp=bool(given.get("disp", False)),
        exhaust=bool(given.get("exhaust", False)),
        strategy={name: value for name, value in given.items() if name not in (*OWN, "exhaust")},
    )


def check_names(method: Method, options: Iterable[Any]) -> None:
    """Raise ValueError for options that a method does not have."""
    known = sorted({*OWN, *method.options()})
    for name in options:
        if name not in known:
            raise ValueError(
                f"Options of {method.name} must be of {', '.join(known)}, got {name!r}"
                f"{suggestion(str(name), known)}; take another name."
            )


def _mapping(options: Any) -> dict[str, Any]:
    if options is not None and not isinstance(options, Mapping):
        raise ValueError(f'options must be a dict such as {{"maxfun": 1000}}, got {options!r}.')
    return dict(options or {})


def _limit(name: str, value: Any) -> float | None:
    """Read a whole number, also one in floating point, or infinity."""
    if isinstance(value, float | np.floating) and (value == math.inf or float(value).is_integer()):
        value = math.inf if value == math.inf else int(value)
    return value if value == math.inf else arguments.optional_whole(name, value, 0)


def _number(name: str, value: Any, default: float) -> float:
    return default if value is None else arguments.number(name, value)


def _seed(value: Any) -> int | None:
    """Read a seed, or draw one from a Generator."""
    if isinstance(value, np.random.Generator):
        return int(value.integers(2**63))
    return arguments.optional_whole("seed", value, 0)
