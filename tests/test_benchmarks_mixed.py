"""The benchmark of mixed spaces on small problems; neither peers nor COCO need to be installed."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from evoopt import Choice, Integer, Real, Space, threads

sys.path.append(str(Path(__file__).parents[1]))  # benchmarks are not part of the installed package

from benchmarks import mixed
from benchmarks.__main__ import main
from benchmarks.coco import mixed_solvers, mixint, suite, verdicts
from benchmarks.coco.domain import Domain, whole_box
from benchmarks.coco.mixed_functions import FUNCTIONS, problem
from benchmarks.coco.recorder import Recorder, Run, record
from benchmarks.coco.report import Comparison
from benchmarks.coco.solvers import Solver
from benchmarks.coco.suite import Problems, Settings
from benchmarks.harness import machine, race, search
from benchmarks.harness.paired import Paired

SPACE = Space(z=Integer(0, 1), c=Choice("a", "b", "c"), x=Real(-5, 5), w=Integer(2, 7))


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """Run benchmarks without peers."""
    monkeypatch.setattr(machine, "installed", lambda package: package in ("numpy", "cocoex"))
    monkeypatch.setattr(machine.PARTICIPANTS, "peers", True)
    monkeypatch.setattr(race, "MIN_REPEATS", 2)
    monkeypatch.setattr(race, "TURN", 1e-4)
    before = threads.get_num_threads()
    yield
    threads.set_num_threads(before)


# ---------------------------------------------------------------- functions and starts


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_have_their_minimum_0(name):
    function, domain = problem(name, 4)
    best = np.zeros(len(domain.space))  # the first of each choice
    assert function(best) == 0
    assert all(function(best + unit) > 0 for unit in np.eye(len(best)))
    for kind, word in ((Integer, "integers"), (Choice, "choices")):
        assert len(domain.columns(kind)) == 4 * (word in FUNCTIONS[name].kinds)


@pytest.mark.parametrize(
    ("name", "row", "value"),
    [
        ("SphereInt", [1, 2, 3, 4], 30),
        ("EllipsoidInt", [1, 0, 0, 1], 1 + 1e6),
        ("NIntTablet", [1, 2, 3, 4], 1e4 * 5 + 25),
        ("SphereOneMax", [1, 2, 3, 0], 5 + 1),
        ("SphereLeadingOnes", [0, 0, 1, 0], 2),
        ("SphereLeadingOnes", [0, 0, 0, 3], 1),
        ("EllipsoidOneMax", [1, 1, 0, 0], 1 + 1e6),
        ("EllipsoidIntLeadingOnes", [1, 0, 0, 1, 4, 0], 1 + 1e6 + 2),
    ],
)
def test_values_of_the_functions(name, row, value):
    function, domain = problem(name, 2)
    assert len(row) == len(domain.space)
    assert function(np.array(row, float)) == pytest.approx(value)


def test_starts_are_uniform_and_whole_where_variables_are():
    domain = Domain(SPACE, np.array([0.0, 0, -1, 3]), np.array([1.0, 2, 1, 5]), np.ones(4))
    rng = np.random.default_rng(1)
    starts = np.array([domain.start(rng) for _ in range(3000)])
    SPACE.records(starts)  # raises unless they are rows
    for column, numbers in ((0, [0, 1]), (1, [0, 1, 2]), (3, [3, 4, 5])):
        found, counts = np.unique(starts[:, column], return_counts=True)
        assert_array_equal(found, numbers)
        assert_allclose(counts, 3000 / len(numbers), rtol=0.1)
    assert -1 < starts[:, 2].min() < -0.99 < 0.99 < starts[:, 2].max() < 1


def test_deviations_are_parts_of_the_widths():
    assert_allclose(whole_box(SPACE).steps, [1 / 5, 2 / 6, 10 / 6, 1])


# ---------------------------------------------------------------- solvers


@pytest.mark.parametrize("name", ["cmaes", "sepcmaes", "ipop"])
def test_solvers_of_evoopt_solve_a_problem_and_are_reproducible(name):
    def run():
        function, domain = problem("SphereInt", 2)
        fun = Recorder(function, 0.0, 4, 2000, np.array([1.0, 1e-3]), domain)
        return record(mixed_solvers.METHODS[name].solve, fun, np.random.default_rng(1))

    first, second = run(), run()
    assert first.failure is None
    assert len(first.hits) == 2
    assert first.hits == second.hits


@pytest.mark.parametrize("name", ["cmaes CatCMAwM", "pycma IPOP"])
def test_peers_solve_a_problem_if_they_are_installed(name, monkeypatch):
    monkeypatch.undo()
    solver = mixed_solvers.SOLVERS[name]
    pytest.importorskip(*solver.packages)
    function, domain = problem("SphereInt", 2)
    rows = []

    def seen(row):
        rows.append(row)
        return function(row)

    fun = Recorder(seen, 0.0, 4, 2000, np.array([1.0, 1e-3]), domain)
    assert len(record(solver.solve, fun, np.random.default_rng(1)).hits) == 2
    domain.space.records(rows)  # raises unless they are rows


def test_catcmawm_has_the_same_rows():
    pytest.importorskip("cmaes")
    domain = whole_box(SPACE)
    loop = mixed_solvers.cmaes_loop(domain, 6, seed=1)
    for _ in range(3):
        asked = loop.ask()
        rows = loop.rows(asked)
        SPACE.records(rows)
        loop.tell(*loop.arguments(asked, rows.sum(axis=1)))
    assert rows.shape == (6, 4)
    assert_array_equal(rows[:, 2], [solution.x[0] for solution in asked])


def test_a_search_has_rows_and_fitness_of_its_own():
    told = []
    loop = search.Loop(lambda: ["a", "bb"], lambda *got: told.append(got), rows=lambda asked: np.ones((2, 3)))
    search.Search(lambda seed: loop, 2, 3, fitness=lambda rows: rows.sum(axis=1) + 1).generation()
    ((asked, fitness),) = told
    assert asked == ["a", "bb"]
    assert_array_equal(fitness, [4, 4])


# ---------------------------------------------------------------- verdicts


def test_paired_differences():
    found = Paired.of([1.0, 2.0, 3.0, 4.0])
    assert found.mean == 2.5
    assert_allclose([found.low, found.high], [2.5 - 2.054, 2.5 + 2.054], atol=1e-3)  # 3.182 * 1.291 / 2
    assert found.p == pytest.approx(0.0152, abs=1e-4)
    better = Paired.of([-1.0, -2.0, -3.0, -4.0])
    assert better.p == pytest.approx(1 - found.p)
    assert (better.low, better.high) == pytest.approx((-found.high, -found.low))


def test_equal_differences_are_certain():
    assert Paired.of([0.0, 0.0]) == (0, 0, 0, 1)
    assert Paired.of([0.5]) == (0.5, 0.5, 0.5, 0)
    assert Paired.of([-0.5, -0.5]) == (-0.5, -0.5, -0.5, 1)


def test_verdicts_on_runs_are_paired_where_both_arrive():
    hits = [(100, 200), (300, 200), (None, 100), (50, None), (100, 100)]
    runs = [tuple(Run([n] if n else [], 999, 0, 0) for n in pair) for pair in hits]
    solved, evaluations = verdicts.on_runs("ours", "theirs", runs)
    assert (solved.value, solved.p) == (0, 0.5)
    assert evaluations.value == pytest.approx((0.5 * 1.5 * 1) ** (1 / 3))
    assert evaluations.low < evaluations.value < evaluations.high
    assert len(verdicts.on_runs("ours", "theirs", runs[2:4])) == 1  # no ratio
    assert solved.cells()[1:3] == ["ours - theirs", f"0.0000 ({solved.low:.4f} to {solved.high:.4f})"]


def test_verdicts_on_areas():
    settings = Settings([2], [1], [1, 2, 3], [1], 100)
    best, worst = Run([1] * 51, 1, 0, 0), Run([], 200, 0, 0)
    runs = {"ours": [worst, best, worst], "theirs": [best, best, worst]}
    comparison = Comparison(settings, {name: {Problems(1, 2, 1): each} for name, each in runs.items()}, [])
    found = verdicts.on_areas("ours", "theirs", comparison)
    assert found.value == pytest.approx(-1 / 3)
    assert found.low < found.value < found.high
    assert found.p == pytest.approx(0.211, abs=1e-3)


# ---------------------------------------------------------------- the benchmark


def falling(factor, fun, rng):
    """Search from the start to the minimum 0 on a line; rows need not be in the space."""
    row = fun.domain.start(rng)
    while True:
        fun(row)
        row = np.where(np.abs(row) < 0.5, factor * row, row - np.sign(row))


@pytest.fixture
def _falling(monkeypatch):
    """Replace the peers and evoopt's searches by cheap ones; evoopt's need fewer evaluations."""
    for name in ("cmaes", "ipop"):
        monkeypatch.setitem(mixed.METHODS, name, fake(mixed.METHODS[name].name, 0.1, ()))
    for attribute in ("CATCMAWM", "PYCMA"):
        monkeypatch.setattr(mixed, attribute, fake(getattr(mixed, attribute).name, 0.3, ("numpy",)))
    for solver in (mixed.METHODS["cmaes"], mixed.METHODS["ipop"], mixed.CATCMAWM, mixed.PYCMA):
        monkeypatch.setitem(mixed.SOLVERS, solver.name, solver)


def fake(name, factor, packages):
    return Solver(name, lambda fun, rng: falling(factor, fun, rng), packages)


@pytest.mark.usefixtures("_falling")
def test_functions_make_tables(tmp_path, capsys):
    paths = {"--json": tmp_path / "results.json", "--markdown": tmp_path / "table.md"}
    files = [part for option, path in paths.items() for part in (option, str(path))]
    sizes = ["--functions", "SphereInt", "EllipsoidOneMax", "--sizes", "2,20", "--seeds", "1-12"]
    assert (
        main(["mixed", "--parts", "functions", *sizes, *files, "--cache", str(tmp_path), "--jobs", "1"]) == 0
    )
    out = capsys.readouterr().out
    assert "evaluations to 1e-10" in out
    assert "evoopt CMAES / cmaes CatCMAwM" in out
    counts, found = json.loads(paths["--json"].read_text())["cases"]
    assert [(case["function"], case["dim"], case["runs"]) for case in counts["cases"]] == [
        ("SphereInt", 2, 12),
        ("SphereInt", 20, mixed.MOST_SEEDS),
        ("EllipsoidOneMax", 2, 12),
        ("EllipsoidOneMax", 20, mixed.MOST_SEEDS),
    ]
    solved, evaluations = found["verdicts"]
    assert (solved["value"], solved["p"]) == (0, 1)
    assert evaluations["high"] < 1
    assert evaluations["p"] > 0.99
    assert paths["--markdown"].read_text().count("\n| ---") == 2


@pytest.mark.usefixtures("_falling")
def test_the_suite_is_compared_with_each_peer(tmp_path, capsys, monkeypatch):
    function, domain = problem("SphereInt", 3)
    monkeypatch.setattr(suite, "suite_problem", lambda name, *place: (function, 0.0, domain))
    monkeypatch.setattr(suite, "suite_version", lambda: "0")
    path = tmp_path / "results.json"
    sizes = ["--suite-functions", "1,6", "--dims", "5", "--instances", "1-2", "--jobs", "1"]
    files = ["--json", str(path), "--cache", str(tmp_path)]
    assert main(["mixed", "--parts", "suite", *sizes, *files]) == 0
    assert "bbob-mixint: 2 functions x 2 instances x 1 dimensions" in capsys.readouterr().out
    _, found = json.loads(path.read_text())["cases"]
    assert [verdict["pair"] for verdict in found["verdicts"]] == [
        "evoopt IPOP - pycma IPOP",
        "evoopt IPOP - cmaes CatCMAwM",
    ]
    assert all(verdict["value"] > 0 for verdict in found["verdicts"])


def test_the_suite_needs_coco(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "installed", lambda package: False)
    with pytest.raises(SystemExit, match="coco-experiment, not here"):
        main(["mixed", "--parts", "suite", "--cache", str(tmp_path)])


def test_the_time_of_ask_and_tell(tmp_path, capsys):
    path = tmp_path / "results.json"
    arguments = ["mixed", "--parts", "time", "--sizes", "3", "--seconds", "0", "--json", str(path)]
    assert main(arguments) == 0
    assert "cmaes CatCMAwM is skipped" in capsys.readouterr().out
    (case,) = json.loads(path.read_text())["cases"]
    assert case["name"] == "mixed: 3 reals, 3 integers, 3 choices, popsize 10"
    assert [each["name"] for each in case["contestants"]] == ["evoopt CMAES"]


def test_the_minimum_of_the_real_suite(monkeypatch):
    cocoex = pytest.importorskip("cocoex", reason="the package coco-experiment is not here")
    monkeypatch.undo()
    for function, instance, scale in ((1, 1, 1.0), (2, 3, 1e-3), (24, 5, 0.1)):
        fun, minimum, domain = mixint.mixint_problem(function, 10, instance)
        of_bbob = cocoex.BareProblem("bbob", function, 10, instance).best_value()
        assert minimum == pytest.approx(scale * of_bbob, abs=1e-9)
        assert [type(each) for each in domain.space.variables] == [Integer] * 8 + [Real] * 2
        row = domain.start(np.random.default_rng(1))
        assert fun(row) == fun(row + 0.3 * (np.arange(10) < 8)) > minimum  # integers are rounded
