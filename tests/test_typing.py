"""Errors that type checkers see in a user's script, and signatures that Python shows."""

import inspect
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
from helpers import ROOT
from helpers.strategies import REGISTERED, each_strategy

import evoopt
from evoopt.networks.activations import ActivationName, ActivationWithNumbers
from evoopt.portfolio.methods import MethodName
from evoopt.rules.losses import LOSSES, LossName
from evoopt.rules.math import ELEMENTWISE, NUMBERS
from evoopt.strategies.contract.options import Options
from evoopt.strategies.contract.state import State
from evoopt.strategies.parts.converging import Converging, ConvergingOptions
from evoopt.strategies.parts.pairs import PairOptions, PairStrategy

SCRIPT = Path(__file__).parent / "typing" / "script.py"
WRONG = {number for number, line in enumerate(SCRIPT.read_text().splitlines(), 1) if "# wrong" in line}


def checked(*command):
    call = [sys.executable, "-m", *command, SCRIPT.name]
    # the path of evoopt, because type checkers do not see an editable install
    environment = {**os.environ, "MYPYPATH": str(ROOT), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(call, cwd=SCRIPT.parent, env=environment, stdout=subprocess.PIPE, check=False)
    return done.stdout.decode()


def test_mypy_sees_each_mistake(tmp_path):
    pytest.importorskip("mypy", reason="the package mypy is not installed")
    folder = ["--config-file=", "--cache-dir", str(tmp_path), "--ignore-missing-imports"]
    lines = checked("mypy", "--strict", "-O", "json", *folder, "--follow-imports", "silent").splitlines()
    found = [json.loads(line) for line in lines if line.startswith("{")]
    assert {each["line"] for each in found if each["severity"] == "error"} == WRONG, lines


def test_pyright_sees_each_mistake():
    pytest.importorskip("pyright", reason="the package pyright is not installed")
    report = json.loads(checked("pyright", "--pythonpath", sys.executable, "--outputjson"))
    found = [each for each in report["generalDiagnostics"] if each["severity"] == "error"]
    assert {each["range"]["start"]["line"] + 1 for each in found} == WRONG, found


# ---------------------------------------------------------------- signatures


@each_strategy
def test_signatures_show_all_options(cls):
    parameters = inspect.signature(cls).parameters
    assert {*Options.__annotations__, "tolx", "tolfun", "mean", "sigma"} <= parameters.keys()
    assert not any(each.kind is each.VAR_KEYWORD for each in parameters.values())
    assert parameters["seed"].default is None


def named(init):
    """Return the parameters of a constructor by name, with their types."""
    kinds = inspect.signature(init).parameters.values()
    hints = get_type_hints(init)
    return {each.name: hints[each.name] for each in kinds if each.kind is each.KEYWORD_ONLY}


@pytest.mark.parametrize(
    ("options", "base", "cls", "own"),
    [
        (Options, object, State, set()),
        (ConvergingOptions, Options, Converging, set()),
        (PairOptions, ConvergingOptions, PairStrategy, {"optimizer"}),
    ],
)
def test_options_are_those_of_a_constructor(options, base, cls, own):
    inherited = get_type_hints(base) if base is not object else {}
    expected = {name: kind for name, kind in get_type_hints(options).items() if name not in inherited}
    taken = named(cls.__init__)
    assert taken.keys() - own == expected.keys()
    for name, kind in expected.items():
        assert taken[name] in (kind, kind | None), name


def test_words_are_those_of_the_tables():
    assert {"linear", "softmax", "log_softmax", *ELEMENTWISE} == {*get_args(ActivationName)}
    with_numbers = [get_args(each) for each in get_args(ActivationWithNumbers)]
    assert {name: len(numbers) for names, *numbers in with_numbers for name in get_args(names)} == {
        name: len(numbers) for name, numbers in NUMBERS.items()
    }
    assert LOSSES.keys() == {*get_args(LossName)}
    assert {"auto", *REGISTERED, *map(str.lower, REGISTERED)} == {*get_args(MethodName)}


def test_a_class_is_a_method():
    result = evoopt.minimize(lambda x: float(x @ x), [1.0, 2.0], method=evoopt.SNES, options={"maxfun": 50})
    assert result.method == "SNES"
