"""Working calls of spaces and their variables, and of strategies that search in a space."""

from .case import Case
from .strategies import USE

_SPACE = (
    "space = evoopt.Space(group={'rate': evoopt.Real(1e-5, 0.1, log=True)}, layers=evoopt.Integer(1, 8), "
    "act=evoopt.Choice('relu', 'tanh'))",
)
_BACK = ("assert np.isfinite(space.encode(result)).all()",)
SEARCHES = ("CMAES", "SepCMAES", "GA")  # of integers and choices


def _constructor(name: str) -> Case:
    options = {
        "x0": "{'rate': 0.01, 'layers': 2, 'act': 'tanh'}",
        "sigma": "{'rate': 0.5, 'layers': 2}",
        "popsize": "6",
        "noisy": "True",
        "dtype": "'float32'",
        "seed": "1",
    }
    if name == "CMAES":
        options["covariance"] = "np.diag([1.0, 2.0, 3.0])"
    back = ("population = result.ask()", "SPACE.records(population)", "SPACE.decode(result.solution)")
    return Case(name, f"evoopt.{name}", {"mean": "SPACE"}, options, use=(*USE, *back))


def _methods(name: str) -> list[Case]:
    setup = (f"es = started(evoopt.{name}, space=SPACE)", "ids = es.ask_ids()", "population = es.rows(ids)")
    use = (
        "population = es.ask()",
        "SPACE.records(population)",
        "es.tell(population, judge(population))",
    )
    told = {"population": "population", "fitness": "judge(population)"}
    foreign = {"population": "SPACE.encode([SPACE.decode(each) for each in population[::2]])"}
    restored = ("restored = evoopt.load(FOLDER / 'es.npz')", "assert repr(restored) == repr(es)")
    return [
        Case(f"{name}.ask", "es.ask", {}, {"out": "np.empty((8, 3))"}, setup, use, writes=frozenset({"out"})),
        Case(f"{name}.tell", "es.tell", told, {}, setup, use),
        Case(f"{name}.tell", "es.tell", foreign | {"fitness": "range(4)"}, {}, setup, use),
        Case(f"{name}.save", "es.save", {"path": "FOLDER / 'es.npz'"}, {}, setup, restored),
    ]


SPACES = [
    Case("Real", "evoopt.Real", {"low": "1", "high": "2.5"}, {"log": "True", "periodic": "False"}),
    Case("Integer", "evoopt.Integer", {"low": "1", "high": "8"}, {"log": "True"}, use=("hash(result)",)),
    Case("Choice", "(lambda *, value: evoopt.Choice('a', value))", {"value": "'b'"}, use=("repr(result)",)),
    Case(
        "Space",
        "evoopt.Space",
        {"x": "evoopt.Real(0, 1)"},
        {"group": "{'n': evoopt.Integer(1, 3)}"},
        use=("assert evoopt.Space.from_json(result.to_json()) == result", "repr(result), len(result)"),
    ),
    Case("Space.decode", "space.decode", {"rows": "[0.001, 2, 1]"}, {}, _SPACE, _BACK),
    Case("Space.records", "space.records", {"population": "[[0.001, 2, 1]]"}, {}, _SPACE, ("len(result)",)),
    Case(
        "Space.encode",
        "space.encode",
        {"values": "{'group': {'rate': 0.001}, 'layers': 2, 'act': 'tanh'}"},
        {"dtype": "'float32'"},
        _SPACE,
        ("space.decode(result)",),
    ),
    Case("Space.to_json", "space.to_json", {}, {}, _SPACE),
    Case("Space.from_json", "evoopt.Space.from_json", {"text": "space.to_json()"}, {}, _SPACE),
    *map(_constructor, SEARCHES),
    *(case for name in (*SEARCHES, "IPOP", "BIPOP") for case in _methods(name)),
]
