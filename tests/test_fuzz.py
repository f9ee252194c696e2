"""Generated calls over every public name; ``python -m tests.fuzz`` makes more of them."""

import importlib.util
import sys

import pytest
from fuzz import runner
from fuzz.catalogue import CASES, public_names
from fuzz.judge import is_sentence, run
from fuzz.networks import COMPOSED
from fuzz.programs import Line, Program, good, make
from fuzz.runner import fuzz
from fuzz.strategies import CLASSES, VALUES, options_of
from helpers import JIT_DISABLED

# methods for users' layers, because other layers have no function; functions of absent packages
REFUSED = {"Layer.function", "Layer.operations", *(f"{name}.operations" for name in COMPOSED)}
REFUSED |= {f"{name}.output_shape" for name in ("Add", "Multiply", "Concat")}
REFUSED |= {"from_torch"}  # which gets no module, because torch may be absent
if importlib.util.find_spec("safetensors") is None:
    REFUSED |= {"load_safetensors", "save_safetensors"}
if importlib.util.find_spec("onnx") is None:
    REFUSED |= {"to_onnx"}
if importlib.util.find_spec("torch") is None:
    REFUSED |= {"to_torch"}


def test_every_public_name_is_called():
    assert public_names() <= {case.name for case in CASES}


@pytest.mark.parametrize("name", CLASSES)
def test_every_option_of_a_strategy_has_a_value(name):
    assert options_of(name) <= VALUES.keys()


@pytest.mark.skipif(JIT_DISABLED, reason="own layers need the JIT")
@pytest.mark.parametrize("case", CASES[::6], ids=lambda case: case.name)
def test_calls_work_before_something_in_them_is_wrong(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "files").mkdir()
    program = good(case)
    outcome, found = run(program, tmp_path / "files")
    assert not found, program.script()
    assert (outcome == "refused") == (case.name in REFUSED or case.name.endswith(".function")), (
        program.script()
    )


@pytest.mark.skipif(JIT_DISABLED, reason="takes long without the JIT")
@pytest.mark.skipif(sys.platform == "win32", reason="limits the memory of a process")
def test_generated_calls_find_nothing():
    report = fuzz(seed=1, seconds=4)
    assert not report.findings, "\n".join(report.findings.values())
    assert sum(report.calls.values()) > 5


def test_programs_are_a_function_of_seed_and_number():
    assert [make(3, i) for i in range(50)] == [make(3, i) for i in range(50)]
    assert make(3, 1) != make(4, 1)


WRONG = {
    "type": "{}['a']",
    "not ours": "evoopt.CMAES(np.zeros(2), 1.0).ask().reshape(7)",
    "printed": "print('text')",
    "warning": "np.float64(1) / 0",
    "assert": "assert 1 == 2",
    "changed": "x.append(1); evoopt.CMAES(x)",
    "files": "(FOLDER / 'a').touch(); evoopt.CMAES(x)",
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_wrong_is_found(kind, tmp_path):
    lines = Line("setup", "x = [1]"), Line("call", WRONG[kind])
    outcome, found = run(Program("planted", lines), tmp_path)
    assert kind in {each.kind for each in found}, (outcome, found)


@pytest.mark.parametrize("line", ["evoopt.CMAES(x)", "evoopt.Dense()", "raises(x)", "evoopt.load('a')"])
def test_what_is_refused_in_a_sentence_is_no_finding(line, tmp_path):
    program = Program("planted", (Line("setup", "x = [1]"), Line("call", line)))
    assert run(program, tmp_path) == ("refused", [])


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script")
@pytest.mark.parametrize(("end", "kind"), [("kill -SEGV $$", "crash"), ("sleep 60", "hang")])
def test_a_process_that_dies_or_hangs_is_found(end, kind, tmp_path, monkeypatch):
    pretended = tmp_path / "python"
    pretended.write_text(f"#!/bin/sh\nfor path; do :; done\necho '{{\"begins\": 3}}' >> $path\n{end}\n")
    pretended.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(pretended))
    monkeypatch.setattr(runner, "PATIENCE", 0.3)
    report = fuzz(seed=1, seconds=40, last=4)
    assert [key.split()[0] for key in report.findings] == [kind]
    assert make(1, 3).script() in next(iter(report.findings.values()))


@pytest.mark.parametrize(
    ("text", "expected"),
    [("popsize must be at least 2, got 1.", True), ("bad value", False), ("It did not work at all", False)],
)
def test_what_a_sentence_is(text, expected):
    assert is_sentence(text) == expected
