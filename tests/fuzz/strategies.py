"""Working calls of strategies."""

import evoopt
from evoopt.calls import option_names
from evoopt.strategies import REGISTRY

from .case import Case

REQUIRED = {
    "strategy": "evoopt.CMAES([1.0, -2.0, 0.5], 0.5, popsize=8, seed=1)",
    "mean": "[1.0, -2.0, 0.5]",
    "sigma": "0.5",
}
# One expression for each other option of the strategies. A new option needs a line here.
VALUES = {
    "x0": "None",
    "popsize": "8",
    "bounds": "[(-5, 5)] * 3",
    "maximize": "False",
    "noisy": "True",
    "seed": "1",
    "dtype": "'float32'",
    "target": "0.1",
    "max_evaluations": "100",
    "max_generations": "10",
    "device": "'cpu'",
    "start": "lambda generator: generator.normal(size=3)",
    "restart_sigma": "0.5",
    "max_restarts": "2",
    "covariance": "np.diag([1.0, 2.0, 3.0])",
    "tolfunhist": "1e-12",
    "tolupsigma": "1e20",
    "tolconditioncov": "1e14",
    "tolflatfitness": "2",
    "tolstagnation": "200",
    "maxiter": "100",
    "directions": "3",
    "eta_B": "0.3",
    "eta_mean": "0.9",
    "eta_sigma": "0.3",
    "optimizer": "'clipup'",
    "momentum": "0.9",
    "stdev_learning_rate": "0.1",
    "stdev_max_change": "0.2",
    "selection": "'truncation'",
    "parents": "3",
    "tournament": "3",
    "crossover": "'tensor'",
    "spec": "evoopt.ParamSpec.from_shapes({'a': 2, 'b': 1})",
    "mutation": "'polynomial'",
    "mutation_rate": "0.5",
    "self_adaptation": "False",
    "sigma_decay": "0.99",
    "sigma_limit": "0.1",
    "elites": "1",
    "reevaluate": "True",
    "learning_rate": "0.1",
    "max_speed": "0.2",
    "beta_2": "0.9",
    "weight_decay": "0.01",
    "learning_rate_decay": "evoopt.CosineDecay(9)",
    "learning_rate_limit": "0.1",
    "tolx": "1e-9",
    "tolfun": "1e-9",
}
OTHERS: dict[str, dict[str, str]] = {  # expressions of single strategies
    "PGPE": {"optimizer": "'adam'"},
    "OpenAIES": {"sigma_decay": "evoopt.LinearDecay(9)"},
    "GA": {"elites": "2"},
}
CLASSES = {name: cls for name, cls in REGISTRY.items() if name in evoopt.__all__}
COMMON = {name: value for name, value in VALUES.items() if name in option_names(evoopt.Strategy)}


def options_of(name: str) -> set[str]:
    """Return the names of a strategy's options."""
    return option_names(CLASSES[name]) - REQUIRED.keys()


def _options(name: str) -> dict[str, str]:
    values = VALUES | OTHERS.get(name, {})
    return {option: value for option, value in values.items() if option in options_of(name)}


USE = (
    "population = result.ask()",
    "assert population.shape == (result.popsize, result.n_params)",
    "assert np.isfinite(population).all() and population.dtype == result.dtype",
    "result.tell(population, judge(population))",
    "assert np.isfinite(result.mean).all() and np.isfinite(result.sigma).all()",
    "assert np.isfinite(result.solution).all() and repr(result)",
    "result.ask(out=population)",
    "result.tell(population, np.full(len(population), np.nan))",
    "result.stop()",
)


def _constructor(name: str) -> Case:
    known = option_names(CLASSES[name])
    required = {option: value for option, value in REQUIRED.items() if option in known}
    return Case(name, f"evoopt.{name}", required, _options(name), use=USE)


def _methods(name: str) -> list[Case]:
    setup = (f"es = started(evoopt.{name})", "ids = es.ask_ids()", "population = es.rows(ids)")
    empty = "np.empty((8, 3))"
    told = {"population": "population", "fitness": "judge(population)"}
    go_on = (
        "population = es.ask()",
        "es.tell(population, judge(population))",
        "assert np.isfinite(es.mean).all()",
    )
    goes_on = {"setup": setup, "use": go_on}
    restored = ("restored = evoopt.load(FOLDER / 'es.npz')", "assert repr(restored) == repr(es)")
    return [
        Case(f"{name}.ask", "es.ask", {}, {"out": empty}, **goes_on, writes=frozenset({"out"})),
        Case(f"{name}.ask_ids", "es.ask_ids", {}, {"n": "4"}, setup, ("es.rows(result)", *go_on)),
        Case(f"{name}.rows", "es.rows", {"ids": "ids"}, {"out": empty}, **goes_on, writes=frozenset({"out"})),
        Case(f"{name}.tell", "es.tell", told, **goes_on),
        Case(f"{name}.tell", "es.tell", {"population": "ids", "fitness": "judge(es.rows(ids))"}, **goes_on),
        Case(f"{name}.stop", "es.stop", **goes_on),
        Case(f"{name}.save", "es.save", {"path": "FOLDER / 'es.npz'"}, {"task": "judge"}, setup, restored),
        *(
            Case(
                f"{name}.{each}",
                f"(lambda: es.{each})",
                {},
                {},
                setup,
                ("assert np.shape(result) in ((), (3,), (3, 3))",),
            )
            for each in ("mean", "sigma", "solution", "std", "covariance", "space")
            if hasattr(getattr(evoopt, name), each)
        ),
    ]


def _assigned(name: str, attribute: str, value: str) -> Case:
    """Return the case that sets a writable attribute."""
    use = (
        "population = es.ask()",
        "es.tell(population, judge(population))",
        "assert np.isfinite(es.mean).all()",
    )
    options = {"name": f"'{attribute}'", "value": value}
    return Case(
        f"{name}.{attribute}",
        "(lambda name, value: setattr(es, name, value))",
        options,
        {},
        (f"es = started(evoopt.{name})",),
        use,
        fixed=frozenset({"name"}),
    )


_DEEP = ("es = started(evoopt.DeepGA)", "ids = es.ask_ids()")
_SCHEDULE = (
    "es = evoopt.OpenAIES([1.0, 2.0], 0.5, sigma_decay=result, popsize=4)",
    "population = es.ask()",
    "es.tell(population, judge(population))",
    "assert np.isfinite(es.sigma).all()",
)
_OWN = ("es = Own([1.0, 2.0], 0.5, seed=1)",)
STRATEGIES = [
    *map(_constructor, CLASSES),
    *(case for name in CLASSES for case in _methods(name)),
    *(
        Case(f"{name}.share", f"evoopt.{name}(9).share", {"updates": "3"}, fixed=frozenset({"updates"}))
        for name in ("LinearDecay", "CosineDecay")
    ),
    *(
        Case(name, f"evoopt.{name}", {"generations": "9"}, use=_SCHEDULE)
        for name in ("LinearDecay", "CosineDecay")
    ),
    Case("DeepGA.genome", "es.genome", {}, {"row_id": "ids[0]"}, _DEEP, ("es.decode(result)",)),
    Case(
        "DeepGA.decode",
        "es.decode",
        {"genome": "es.genome()"},
        {"out": "np.empty(3)"},
        _DEEP,
        ("assert np.isfinite(result).all()",),
        writes=frozenset({"out"}),
    ),
    Case("Strategy", "Own", {"mean": "[1.0, -2.0, 0.5]", "sigma": "0.5"}, COMMON, use=USE),
    *(Case(f"Strategy.{each}", f"es.{each}", {}, {}, _OWN) for each in ("ask", "ask_ids", "stop")),
    *(
        Case(f"Strategy.{each}", f"(lambda: es.{each})", {}, {}, _OWN)
        for each in ("mean", "sigma", "solution", "space")
    ),
    Case(
        "Strategy.rows",
        "es.rows",
        {"ids": "ids"},
        {"out": "np.empty((6, 2))"},
        (*_OWN, "ids = es.ask_ids()"),
        writes=frozenset({"out"}),
    ),
    Case(
        "Strategy.tell",
        "es.tell",
        {"population": "population", "fitness": "judge(population)"},
        {},
        (*_OWN, "population = es.ask()"),
    ),
    Case("Strategy.save", "es.save", {"path": "FOLDER / 'es.npz'"}, {}, _OWN),
    Case("register", "evoopt.register", {"cls": "Mine"}, {}, ("class Mine(evoopt.SNES): pass",)),
    *(_assigned(name, "start", "lambda generator: np.zeros(3)") for name in ("IPOP", "BIPOP")),
    *(_assigned(name, "learning_rate", "0.1") for name in ("OpenAIES", "PGPE")),
]
