"""Working calls of spaces and their variables."""

from .case import Case

_SPACE = (
    "space = evoopt.Space(group={'rate': evoopt.Real(1e-5, 0.1, log=True)}, layers=evoopt.Integer(1, 8), "
    "act=evoopt.Choice('relu', 'tanh'))",
)
_BACK = ("assert np.isfinite(space.encode(result)).all()",)
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
]
