"""The methods of `minimize` by name, and the strategies that they make."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from evoopt.arrays import shown
from evoopt.calls import option_names, suggestion
from evoopt.portfolio.start import Start
from evoopt.strategies import CMAES, SepCMAES
from evoopt.strategies.bipop import BIPOP
from evoopt.strategies.contract.base import Strategy
from evoopt.strategies.contract.registry import REGISTRY
from evoopt.strategies.ipop import IPOP
from evoopt.strategies.parts.restarts import Restarts

LARGE = 1000  # coordinates; from here on a full covariance matrix costs more than it gains
MAX_RESTARTS = 50  # more than any budget allows
MethodName = Literal[
    "auto", "ipop", "bipop", "IPOP", "BIPOP",
    "cmaes", "deepga", "ga", "lmmaes", "openaies", "pgpe", "sepcmaes", "snes", "xnes",
    "CMAES", "DeepGA", "GA", "LMMAES", "OpenAIES", "PGPE", "SepCMAES", "SNES", "XNES",
]  # fmt: skip
MethodLike = MethodName | type[Strategy] | None
RESTARTS: dict[str, type[Restarts]] = {"auto": IPOP, "ipop": IPOP, "bipop": BIPOP}
# Options that minimize sets itself, and limits that would count the strategy alone.
_OWN = {
    *("mean", "sigma", "x0", "bounds", "maximize", "seed", "target"),
    *("max_evaluations", "max_generations"),
}
# The words of minimize for options of strategies.
RENAMED = {
    **dict.fromkeys(("mean", "x0"), "the argument x0"),
    "bounds": "the argument bounds",
    "maximize": "a fun of the other sign",
    "max_evaluations": "maxfun",
    "maxfevals": "maxfun",
    "max_generations": "maxiter",
}


@dataclass(frozen=True)
class Method:
    """A method of `minimize`.

    Attributes
    ----------
    name : str
        As in the result.
    restarts : type or None
        The class of the restarts around its strategy.
    single : type or None
        Its strategy, where it is not chosen by the number of coordinates.
    """

    name: str
    restarts: type[Restarts] | None
    single: type[Strategy] | None

    def options(self) -> set[str]:
        """Return the names of the options of its strategy, with any number of coordinates."""
        classes = [CMAES, SepCMAES] if self.single is None else [self.single]
        known = set().union(*map(option_names, classes)) - _OWN
        return known | ({"start", "max_restarts", "exhaust"} if self.restarts else set())

    def renamed(self) -> Mapping[str, str]:
        """Return the old names of options of its strategy, with their new ones."""
        return {} if self.single is None else self.single._renamed

    def make(self, start: Start, seed: int | None, tol: float | None, options: Mapping[str, Any]) -> Strategy:
        """Make its strategy."""
        cls = self.single or (CMAES if len(start.x0) < LARGE else SepCMAES)
        options = dict(options)
        if tol is not None and (self.restarts is None or options.get("noisy")):  # else they end by agreement
            options = {name: tol for name in ("tolx", "tolfun") if name in option_names(cls)} | options
        if self.name == "auto":
            options.setdefault("max_restarts", MAX_RESTARTS)
        names = ("start", "max_restarts") if self.restarts else ()
        restarts: dict[str, Any] = {name: options.pop(name) for name in names if name in options}
        if start.is_open and not start.has_names and self.restarts:
            restarts.setdefault("start", start.draw)
        if start.box is None:
            made = cls(start.x0, start.sigma, bounds=start.bounds, seed=seed, **options)
        else:
            x0 = None if start.centred else start.x0
            made = cls(start.box.space, x0=x0, sigma=start.sigma, seed=seed, **options)
        if self.restarts is None:
            return made
        return self.restarts(made, restart_sigma=start.restart_sigma, **restarts)


def read_method(name: object) -> Method:
    """Read a method: its name in any case, or the class of a strategy; None is "auto"."""
    single = {key.lower(): cls for key, cls in REGISTRY.items() if not issubclass(cls, Restarts)}
    key = "auto" if name is None else name.lower() if isinstance(name, str) else ""
    if key in RESTARTS:
        return Method(key if key == "auto" else key.upper(), RESTARTS[key], None)
    for word, cls in single.items():
        if name is cls or key == word:
            return Method(cls.__name__, None, cls)
    if isinstance(name, type) and issubclass(name, Strategy) and name not in REGISTRY.values():
        raise ValueError(
            f"method must be a registered strategy, got the class {name.__name__}; write @evoopt.register "
            "above it."
        )
    names = [*RESTARTS, *sorted(single)]
    raise ValueError(f"method must be one of {', '.join(names)}, got {shown(name)}{suggestion([key], names)}")
