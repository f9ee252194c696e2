"""The options of `minimize`: its own, and its strategy's."""

import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from evoopt import arguments
from evoopt.arrays import shown
from evoopt.calls import suggestion
from evoopt.portfolio.methods import RENAMED, Method
from evoopt.spaces.space import PointLike


@dataclass(frozen=True)
class Options:
    """The options of `minimize`.

    Attributes
    ----------
    maxfun : float or None
        Most evaluations, infinity for no limit; None for the default.
    maxiter : float
        Most iterations, infinity for no limit.
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
    maxiter: float
    target: float
    time_limit: float
    seed: int | None
    sigma: PointLike | None
    log: str | os.PathLike[str] | None
    progress: bool
    disp: bool
    exhaust: bool
    strategy: dict[str, Any]


OWN = tuple(field.name for field in fields(Options) if field.name not in ("exhaust", "strategy"))


def read_options(method: Method, options: object) -> Options:
    """Read the options of a method."""
    given = _mapping(options)
    check_names(method, given)
    return Options(
        maxfun=None if given.get("maxfun") is None else _limit("maxfun", given["maxfun"]),
        maxiter=_limit("maxiter", given.get("maxiter")),
        target=arguments.number("target", _or(given.get("target"), -math.inf)),
        time_limit=arguments.within("time_limit", _or(given.get("time_limit"), math.inf), 0, math.inf),
        seed=_seed(given.get("seed")),
        sigma=given.get("sigma"),
        log=None if given.get("log") is None else arguments.path("log", given["log"]),
        progress=arguments.flag("progress", _or(given.get("progress"), False)),
        disp=arguments.flag("disp", _or(given.get("disp"), False)),
        exhaust=arguments.flag("exhaust", _or(given.get("exhaust"), False)),
        strategy={name: value for name, value in given.items() if name not in (*OWN, "exhaust")},
    )


def check_names(method: Method, options: Iterable[Any]) -> None:
    """Raise ValueError for options that a method does not have."""
    known = sorted({*OWN, *method.options()})
    for name in options:
        if name not in known:
            raise ValueError(
                f"Options of {method.name} must be among {', '.join(known)}, got {shown(name)}"
                f"{suggestion([str(name)], known, {**RENAMED, **method.renamed()})}"
            )


def _mapping(options: object) -> dict[str, Any]:
    if options is not None and not isinstance(options, Mapping):
        raise ValueError(f'options must be a dict such as {{"maxfun": 1000}}, got {shown(options)}.')
    return dict(options or {})


def _limit(name: str, value: Any) -> float:
    """Read a whole number, also one in floating point; None and infinity are no limit."""
    if value is None or (isinstance(value, float | np.floating) and value == math.inf):
        return math.inf
    is_whole = isinstance(value, float | np.floating) and float(value).is_integer()
    return arguments.whole(name, int(value) if is_whole else value, 0)


def _or(value: object, default: object) -> Any:
    return default if value is None else value


def _seed(value: object) -> int | None:
    """Read a seed, or draw one from a Generator."""
    if isinstance(value, np.random.Generator):
        return int(value.integers(2**63))
    return arguments.optional_whole("seed", value, 0)
