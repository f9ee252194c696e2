"""The comparison of two commits' bits finds planted differences and covers all registries."""

import re
import shutil

import numpy as np
import pytest
from helpers import JIT_DISABLED
from helpers.strategies import REGISTERED
from same_bits import child, networks, public, rollouts, runner, strategies
from same_bits.case import Case, digest
from same_bits.catalogue import cases
from same_bits.comparison import FAILED, compare

import evoopt

NAMES = [case.name for case in cases()]


def test_every_option_has_a_value():
    for cls in public.strategies():
        assert set(strategies.options_of(cls)) <= strategies.VALUES.keys(), cls
    for cls in public.layers():
        assert public.options(cls).keys() <= networks.VALUES.keys() | networks.REQUIRED.keys(), cls


def test_everything_registered_has_cases():
    ours = set(REGISTERED)  # the registry at import, since examples of docstrings add to it
    assert ours == {cls.__name__ for cls in public.strategies()}
    documented = evoopt.Dense.__doc__.partition("activation : ")[2].partition("use_bias : ")[0]
    activations = re.findall(r'"(\w+)"', documented)
    losses = re.findall(r'"(\w+)"', "".join(re.findall(r'- ("[^:]+):', evoopt.Supervised.__doc__)))
    assert len(activations) > 8
    assert len(losses) > 5
    names = [*ours, *(cls.__name__ for cls in public.layers()), *public.environments()]
    names += [f"activation {name}" for name in activations] + [f"loss {name}" for name in losses]
    assert [name for name in names if not any(each.startswith(name) for each in NAMES)] == []
    assert len(set(NAMES)) == len(NAMES)


class Square(evoopt.Layer):
    def function(self, input_shape):
        return networks.bent  # made but not run


@pytest.mark.parametrize("new", [strategies.BetterHalf, Square])
def test_what_is_exported_anew_has_cases(new, monkeypatch):
    monkeypatch.setattr(evoopt, new.__name__, new, raising=False)
    monkeypatch.setattr(evoopt, "__all__", [*evoopt.__all__, new.__name__])
    subject = strategies if new is strategies.BetterHalf else networks
    assert sum(case.name.startswith(new.__name__) for case in subject.cases()) > 1


def test_a_new_environment_has_cases(monkeypatch):
    monkeypatch.setattr(evoopt.envs, "line", rollouts.OWN, raising=False)
    assert any(case.name.startswith("line") for case in rollouts.cases())


SEEN = [
    0.0,
    0,
    -0.0,
    False,
    None,
    "0",
    [0],
    (0, 0),
    {"a": 0},
    np.zeros(1),
    np.zeros(1, "f4"),
    np.zeros((1, 1)),
]


def test_digests_differ_where_bits_do():
    bits = [
        *SEEN,
        np.float64(0),
        np.array([-0.0]),
        np.array([np.nan]),
        -np.array([np.nan]),
        [[0], 0],
        [[0, 0]],
    ]
    assert len({digest(value) for value in bits}) == len(bits)
    assert digest(np.arange(6.0).reshape(2, 3).T) == digest(np.arange(6.0).reshape(2, 3).T.copy())
    with pytest.raises(TypeError, match="no digest of a object"):
        digest(object())


def test_the_comparison_reports_what_differs_fails_or_is_missing():
    before = {"a": {"x": "1", "y": "2"}, "b": {"x": "1"}, "c": {}, "d": {"x": "1"}}
    after = {"a": {"x": "1", "y": "3"}, "b": {"x": "1"}, "d": {FAILED: "raises Error: no"}, "e": {}}
    found = compare(before, after)
    assert found.lines() == [
        "fails:  d: the commit works; the working tree raises Error: no",
        "only the commit has:  c",
        "only the working tree has:  e",
        "differs:  a, y first (1 of 2 results)",
        "3 cases on both sides: 1 differ, 1 fail; 2 on one side only.",
    ]
    assert not found.same
    assert compare(before, before).same
    assert not compare({}, {}).same


def test_what_a_case_raises_is_its_last_result():
    def run():
        yield "x", 1
        raise ValueError("no")

    assert child.run(Case("a", run)) == {"x": digest(1), FAILED: "raises ValueError: no"}


@pytest.mark.skipif(JIT_DISABLED, reason="takes long without the JIT")
def test_a_planted_difference_is_found(tmp_path):
    """The copy of the package has another number in one strategy."""
    shutil.copytree(runner.ROOT / "evoopt", tmp_path / "evoopt", ignore=shutil.ignore_patterns("__pycache__"))
    snes = tmp_path / "evoopt" / "strategies" / "snes.py"
    text = snes.read_text()
    snes.write_text(text.replace("(5 * math.sqrt(n))", "(5.001 * math.sqrt(n))"))
    assert snes.read_text() != text
    found = compare(*runner.run_both(tmp_path, runner.ROOT, "ES, n = 2, plain, float32"))
    assert found.compared > 5
    assert [line.split(" first")[0] for line in found.different] == [
        "differs:  SNES, n = 2, plain, float32, generation 0"
    ]


@pytest.mark.skipif(JIT_DISABLED, reason="takes long without the JIT")
@pytest.mark.parametrize(
    "case", [case for case in cases() if "plain" in case.name][::29], ids=lambda case: case.name
)
def test_cases_work_and_have_the_same_bits_again(case):
    first = child.run(case)
    assert FAILED not in first
    assert first == child.run(case)
