"""Cases of strategies: generations of each, with each option, told in each of the `ways`."""

import inspect
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

import evoopt

from . import public
from .case import Case, Results
from .ways import WAYS, Search, plainly

Options = dict[str, Any]
GENERATIONS = 60
SIZES = (2, 10, 40, 120)
SIDES = [(-1, 2), (None, 1), (0, None), (0.5, 0.5)]  # pairs of bounds around the mean, 0.5
SPEC = evoopt.ParamSpec.from_shapes({"a": (2, 3), "b": 4})
SETTINGS: dict[str, Callable[[int], Options]] = {  # options by number of parameters
    "plain": lambda n: {},
    "bounds": lambda n: {"bounds": [SIDES[i % 4] for i in range(n)]},
    "noisy": lambda n: {"noisy": True},
    "maximize": lambda n: {"maximize": True},
}
SCHEDULES = (0.97, evoopt.LinearDecay(40), evoopt.CosineDecay(40))
# Values of each option of each strategy, for 10 parameters. A new option needs a line here.
VALUES: dict[str, tuple[Any, ...]] = {
    "popsize": (2, 24, 102),
    "bounds": ((-1, 1),),
    "maximize": (True,),
    "noisy": (True,),
    "seed": (0,),
    "dtype": ("float32",),
    "target": (0.5,),
    "max_evaluations": (200,),
    "max_generations": (20,),
    "device": (),  # these cases run on the CPU
    "covariance": (np.diag(np.arange(1.0, 11.0)) + 0.1,),
    "directions": (2, 30),
    **dict.fromkeys(("eta_mean", "eta_sigma", "eta_B"), (0.3,)),
    **dict.fromkeys(("tolx", "tolfun", "tolfunhist", "tolupsigma", "tolconditioncov"), (0.1,)),
    **dict.fromkeys(("tolflatfitness", "tolstagnation", "maxiter"), (20,)),
    "optimizer": (),  # see WORDS
    **dict.fromkeys(("learning_rate", "max_speed"), (0.2,)),
    **dict.fromkeys(("beta_1", "beta_2", "momentum"), (0.7,)),  # OpenAIES once used beta_1 as its momentum
    "weight_decay": (0.01,),
    **dict.fromkeys(("sigma_decay", "learning_rate_decay"), SCHEDULES),
    **dict.fromkeys(("sigma_limit", "learning_rate_limit"), (0.5,)),
    **dict.fromkeys(("stdev_learning_rate", "stdev_max_change"), (0.3,)),
    "selection": (),
    "parents": (3,),
    "tournament": (2,),
    "crossover": (None,),
    "spec": (SPEC,),
    "mutation": (),
    "mutation_rate": (0.3,),
    **dict.fromkeys(("self_adaptation", "reevaluate"), (False, True)),
    "elites": (0, 3),
    "start": (lambda generator: generator.normal(size=10),),
    "restart_sigma": (0.1,),
    "max_restarts": (1,),
}
WORDS = ("optimizer", "selection", "crossover", "mutation")
# Further options that an option needs, in any strategy that has it.
NEEDS: dict[str, Options] = {
    "parents": {"selection": "truncation"},
    "spec": {"crossover": "tensor"},
    "sigma_decay": {"self_adaptation": False},
    "sigma_limit": {"self_adaptation": False, "sigma_decay": 0.9},
    "learning_rate_limit": {"learning_rate_decay": 0.9},
    "max_speed": {"optimizer": "clipup", "learning_rate": 0.1},
    "beta_2": {"optimizer": "adam"},
}
ENDING = {"tolx": 0.03, "tolfun": 0.03}  # options that end runs, so that restarts begin


class BetterHalf(evoopt.Strategy):
    """A user's strategy; registered only where cases run, since tests see all registered names."""

    def _update(self, told: Any) -> None:
        half = told.population[told.order[: len(told.order) // 2]]
        self._mean = half.mean(axis=0, dtype=float)
        self._sigma = 0.97 * self._sigma


def cases() -> Iterator[Case]:
    """Make the cases of every strategy."""
    for cls in [*public.strategies(), BetterHalf]:
        yield from _settings(cls)
        yield from _options(cls)
        for way, tell in WAYS.items():
            for setting, dtype in (("plain", "float32"), ("bounds", "float64"), ("noisy", "float64")):
                options = {"dtype": dtype, **SETTINGS[setting](10)}
                name = f"{cls.__name__}, told {way}, {setting}, {dtype}"
                yield Case(name, partial(search, cls, 10, options, tell))
        if restarts(cls):
            for inner in (each for each in public.strategies() if not restarts(each)):
                ending = {name: value for name, value in ENDING.items() if name in public.options(inner)}
                name = f"{cls.__name__} of {inner.__name__}"
                yield Case(name, partial(search, cls, 2, ending, generations=200, inner=inner))


def _settings(cls: type) -> Iterator[Case]:
    for n in SIZES:
        for setting, options in SETTINGS.items():
            for dtype in ("float32", "float64") if n < SIZES[-1] else ("float64",):
                name = f"{cls.__name__}, n = {n}, {setting}, {dtype}"
                yield Case(name, partial(search, cls, n, {"dtype": dtype, **options(n)}))


def _options(cls: type) -> Iterator[Case]:
    known = options_of(cls)
    for option in known:
        values = [*VALUES[option], *(_words(cls, option) if option in WORDS else ())]
        for i, value in enumerate(values):
            needs = {name: each for name, each in NEEDS.get(option, {}).items() if name in known}
            given = {"spec": SPEC} if isinstance(value, str) and value == "tensor" else {}
            shown = value if isinstance(value, str | int | float | bool | None) else f"value {i}"
            run = partial(search, cls, 10, {**needs, **given, option: value})
            yield Case(f"{cls.__name__}, {option} = {shown}", run)


def options_of(cls: type) -> list[str]:
    """Return the options of a strategy that have cases of their own."""
    apart = {"mean", "sigma", "x0", "strategy"}
    return [name for name in public.options(cls) if name not in apart]


def _words(cls: type, option: str) -> list[str]:
    return public.words(lambda word: cls([1.0], 1.0, **{option: word}))


def restarts(cls: type) -> bool:
    """Whether a strategy restarts another one."""
    return "strategy" in inspect.signature(cls).parameters


def search(
    cls: Any,
    n: int,
    options: Options,
    tell: Callable[[Search], None] = plainly,
    generations: int = GENERATIONS,
    inner: type[evoopt.Strategy] = evoopt.CMAES,
) -> Results:
    """Run a strategy from 0.5 in each coordinate; yield its rows and its public state."""
    return followed(made(cls, inner, np.full(n, 0.5), 0.3, **{"seed": 5, **options}), tell, generations)


def followed(es: Any, tell: Callable[[Search], None], generations: int) -> Results:
    """Run a strategy; yield its rows and its public state."""
    run = Search(es)
    for generation in range(generations):
        tell(run)
        yield f"generation {generation}", [run.rows, run.es.mean, run.es.sigma, run.es.best, run.es.stop()]
    yield from said(run.es)


def made(cls: Any, inner: type[evoopt.Strategy], mean: Any, sigma: float, **options: Any) -> Any:
    """Make a strategy; restarts once took a class and its options, and now take a made strategy."""
    if not restarts(cls):
        return cls(mean, sigma, **options)
    if "mean" in inspect.signature(cls.__init__).parameters:  # commits before 2026-11
        return cls(inner, mean, sigma, **options)
    own = {name: options.pop(name) for name in ("start", "restart_sigma", "max_restarts") if name in options}
    return cls(inner(mean, sigma, **options), **own)


def said(es: Any) -> Results:
    """Yield the public properties and attributes of a strategy."""
    for name in ("generation", "evaluations", "popsize", "history", "solution"):
        yield name, getattr(es, name)
    yield "repr", repr(es)
    properties = inspect.getmembers(type(es), lambda value: isinstance(value, property))
    for name, _ in properties:
        if name[0] != "_" and name not in ("solution", "start", "space"):  # (a space is an argument)
            yield name, getattr(es, name)
