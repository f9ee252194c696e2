"""Benchmarks of solvers on small problems; neither peers nor COCO need to be installed."""

import argparse
import json
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from evoopt import threads

sys.path.append(str(Path(__file__).parents[1]))  # benchmarks are not part of the installed package

from benchmarks import asynchronous, evaluations, noisy
from benchmarks.__main__ import main
from benchmarks.coco import solvers, suite
from benchmarks.coco.counts import Counts
from benchmarks.coco.recorder import PRECISIONS, Recorder, Run, Stopped, areas, hit_times, record
from benchmarks.coco.report import Comparison
from benchmarks.coco.solvers import SOLVERS, Solver
from benchmarks.coco.suite import Problems, Settings
from benchmarks.harness import cache, machine
from benchmarks.harness.cache import Cell
from benchmarks.harness.options import numbers

CALLS = []


def random_search(spread, fun, rng):
    CALLS.append((fun.dim, fun.budget))
    while True:
        fun(spread * rng.uniform(-1, 1, fun.dim))


def shrinking_search(fun, rng):
    step = 1.0
    while True:
        fun(step * rng.uniform(-1, 1, fun.dim))
        step *= 0.9


FAKES = {
    "pycma IPOP": Solver("pycma IPOP", partial(random_search, 1.0), ("numpy",)),
    "fast": Solver("fast", shrinking_search, ("numpy",)),
    "absent": Solver("absent", shrinking_search, ("no_such_package",)),
}


@pytest.fixture(autouse=True)
def _fakes(monkeypatch):
    """Replace the suite by spheres, and the solvers by cheap ones."""
    CALLS.clear()
    monkeypatch.setattr(machine, "installed", lambda package: package in ("numpy", "cocoex"))
    monkeypatch.setattr(suite, "suite_problem", lambda name, *place: (sphere(place[-1]), place[-1], None))
    monkeypatch.setattr(suite, "suite_version", lambda: "0")
    for name, solver in FAKES.items():
        monkeypatch.setitem(SOLVERS, name, solver)
    before = threads.get_num_threads()
    yield
    threads.set_num_threads(before)


def sphere(minimum):
    return lambda x: float(x @ x) + minimum


def bbob(tmp_path, *options):
    names = [part for name in FAKES for part in ("--solver", name)]
    sizes = ["--dims", "2,3", "--functions", "1,6", "--instances", "1-2", "--budget", "100"]
    return main(["bbob", *names, *sizes, "--cache", str(tmp_path / "cache"), "--jobs", "1", *options])


# -------------------------------------------------------------------- one run


def test_the_targets():
    assert len(PRECISIONS) == 51
    np.testing.assert_allclose(PRECISIONS[[0, 1, -1]], [1e2, 10**1.8, 1e-8])


def test_the_recorder_notes_the_first_evaluation_at_each_target():
    fun = Recorder(lambda x: x, 3.0, 1, 100, np.array([10.0, 1.0, 0.1]))
    assert [fun(x) for x in (20.0, 13.0, 5.0, 3.5, 6.0)] == [20.0, 13.0, 5.0, 3.5, 6.0]
    assert (fun.hits, fun.solved) == ([2, 4], False)
    fun(3.0)
    assert (fun.hits, fun.solved, fun.evaluations) == ([2, 4, 6], True, 6)
    with pytest.raises(Stopped):
        fun(1.0)
    assert fun.evaluations == 6


def test_the_recorder_ends_a_run_with_its_budget():
    fun = Recorder(lambda x: np.nan, 0.0, 1, 3)
    run = record(lambda fun, rng: random_search(1.0, fun, rng), fun, np.random.default_rng(0))
    assert (run.evaluations, run.hits, run.failure) == (3, [], None)


def test_a_solver_that_fails_keeps_what_it_reached():
    def fails(fun, rng):
        fun(0.5)
        raise ZeroDivisionError("no way")

    run = record(fails, Recorder(lambda x: x, 0.0, 1, 9), np.random.default_rng(0))
    assert run.failure == "ZeroDivisionError: no way"
    assert run.hits == [1] * int((PRECISIONS >= 0.5).sum())


def test_a_solver_that_fails_before_it_begins_is_an_error():
    with pytest.raises(TypeError):
        record(lambda: None, Recorder(abs, 0.0, 1, 9), np.random.default_rng(0))


def test_areas():
    """Areas on a log axis from 2 to 200: targets reached at once, at 20 (half-way), late, never."""
    times = np.array([[1, 2], [20, 20], [200, np.inf], [2, 20]])
    np.testing.assert_allclose(areas(times, 2, 200), [1, 0.5, 0, 0.75])


def test_hit_times_are_infinite_where_nothing_was_reached():
    times = hit_times([Run([4, 7], 10, 0, 0)])
    assert times.shape == (1, 51)
    assert times[0, :2].tolist() == [4, 7]
    assert np.isinf(times[0, 2:]).all()


# -------------------------------------------------------------------- the cache


def test_a_cell_keeps_entries_by_key(tmp_path):
    cell = Cell(tmp_path / "new", {"a": 1, "b": [2]})
    assert cell.read() == {}
    cell.add({"1": {"hits": [3]}})
    Cell(tmp_path / "new", {"b": [2], "a": 1}).add({"2": {"hits": []}})
    assert cell.read() == {"1": {"hits": [3]}, "2": {"hits": []}}
    assert Cell(tmp_path / "new", {"a": 2, "b": [2]}).read() == {}
    assert len(list((tmp_path / "new").iterdir())) == 1


def test_results_of_evoopt_are_known_by_its_sources_and_others_by_versions():
    assert SOLVERS["evoopt IPOP"].key()["versions"] == {"evoopt": cache.evoopt_stamp()}
    assert SOLVERS["fast"].key() == {"solver": "fast", "revision": 1, "versions": {"numpy": np.__version__}}


def test_only_what_lacks_is_run(tmp_path, capsys):
    assert bbob(tmp_path) == 0
    first, done = capsys.readouterr().out, len(CALLS)
    assert done == 4 * (1 + 2)  # functions times dimensions, times a warm-up and two instances
    assert bbob(tmp_path) == 0
    assert len(CALLS) == done
    assert first.splitlines()[1:] == capsys.readouterr().out.splitlines()[1:]
    assert bbob(tmp_path, "--instances", "1-3") == 0
    assert len(CALLS) == done + 4 * (1 + 1)
    assert bbob(tmp_path, "--seed", "2") == 0
    assert len(CALLS) == done + 4 * (1 + 1) + done


# -------------------------------------------------------------------- bbob


def test_bbob_compares_and_says_who_is_skipped(tmp_path, capsys):
    path = tmp_path / "results.json"
    assert bbob(tmp_path, "--per-function", "--json", str(path)) == 0
    out = capsys.readouterr().out
    assert "absent is skipped: no no_such_package here (pip install evoopt[benchmarks])." in out
    assert "2 functions x 2 instances x 2 dimensions, seed 1, budget 100 d" in out
    for word in ("d=2", "d=3", "separable", "moderate", "solved of 8", "difference to pycma IPOP", "f6"):
        assert word in out
    assert "multi-modal" not in out

    (case,) = json.loads(path.read_text())["cases"]
    assert case["reference"] == "pycma IPOP"
    reference, fast = case["solvers"]
    assert fast["areas"]["all"] > reference["areas"]["all"]
    for column, (mean, error) in fast["differences"].items():
        assert mean == pytest.approx(fast["areas"][column] - reference["areas"][column])
        assert error > 0
    assert reference["differences"]["all"] == [0, 0]
    assert (fast["solved"], reference["solved"], fast["runs"]) == (8, 0, 8)
    assert reference["evaluations"] == 4 * (200 + 300)


def test_areas_are_means_over_problems():
    """One instance reaches every target at once, the others none."""
    settings = Settings([2, 5], [1], [1, 2], [1], 100)
    all_at_once, nothing = Run([1] * 51, 1, 0.5, 0.25), Run([], 500, 1, 1)
    runs = {Problems(1, 2, 1): [all_at_once, nothing], Problems(1, 5, 1): [nothing, nothing]}
    comparison = Comparison(settings, {"a": runs, "b": runs}, [])
    record = comparison.as_dict()["solvers"][0]
    assert record["areas"] == pytest.approx({"d=2": 0.5, "d=5": 0, "all": 0.25, "separable": 0.25})
    assert (record["solved"], record["wall"], record["cpu"]) == (1, 3.5, 3.25)
    assert comparison.reference == "a"


def test_failures_are_shown():
    runs = {Problems(1, 2, 1): [Run([], 5, 0, 0, "ValueError: broke")]}
    table = Comparison(Settings([2], [1], [1], [1], 100), {"a": runs}, []).table()
    assert "a failed in 1 runs, first with ValueError: broke." in table


def test_bbob_needs_coco(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "installed", lambda package: False)
    with pytest.raises(SystemExit, match="coco-experiment, which is not here"):
        bbob(tmp_path)


def test_a_picture_needs_matplotlib(tmp_path):
    with pytest.raises(SystemExit, match="needs matplotlib"):
        bbob(tmp_path, "--png", str(tmp_path / "ecdf.png"))


def test_draws_a_picture(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(machine, "installed", lambda package: package in ("numpy", "cocoex", "matplotlib"))
    assert bbob(tmp_path, "--png", str(tmp_path / "ecdf.png")) == 0
    assert (tmp_path / "ecdf.png").read_bytes().startswith(b"\x89PNG")


def test_the_minimum_of_the_real_suite(monkeypatch):
    cocoex = pytest.importorskip("cocoex", reason="the package coco-experiment is not here")
    monkeypatch.undo()
    for function, instance in ((1, 1), (8, 3), (24, 15)):
        problem, minimum, _ = suite.suite_problem("bbob", function, 5, instance)
        best = np.array(cocoex.BareProblem("bbob", function, 5, instance).best_parameter())
        assert problem(best) == pytest.approx(minimum, abs=1e-9)
        suite_of_one = cocoex.Suite(
            "bbob", f"instances:{instance}", f"dimensions:5 function_indices:{function}"
        )
        assert suite_of_one[0](np.ones(5)) == problem(np.ones(5))


@pytest.mark.parametrize("name", ["evoopt IPOP", "evoopt BIPOP", "evoopt CMAES restarts", "evoopt auto"])
def test_solvers_of_evoopt_use_the_budget_and_are_reproducible(name):
    def run():
        fun = Recorder(lambda x: 1 + float(np.abs(x).sum()), 0.0, 2, 60)
        return record(SOLVERS[name].solve, fun, np.random.default_rng(1))

    first, second = run(), run()
    assert first.failure is None
    assert first.evaluations == 60
    assert first.hits == second.hits


# -------------------------------------------------------------------- evaluations


def counts(evaluations, reference, failures=0):
    runs = [Run([n], n, 0, 0) for n in evaluations] + [Run([], 99, 0, 0)] * failures
    return Counts(
        ["a", "pycma"], {("sphere", 5): {"a": runs, "pycma": [Run([n], n, 0, 0) for n in reference]}}, []
    )


def test_ratios_have_intervals():
    found = counts([90, 110], [40, 60], failures=1)
    ratio = found.ratio("a", list(found.runs))
    assert ratio.value == pytest.approx(2)
    np.testing.assert_allclose([ratio.low, ratio.high], [90 / 60, 110 / 40])
    assert "2 2 of 3" in found.table()
    certain = counts([100, 100], [50, 50]).ratio("a", [("sphere", 5)])
    np.testing.assert_allclose([certain.value, certain.low, certain.high], 2)


def test_there_is_no_ratio_where_nobody_arrives():
    found = counts([], [50], failures=2)
    assert found.ratio("a", [("sphere", 5)]) is None
    assert "nan" not in found.table()
    assert found.as_dict()["geometric_mean"] == {}


@pytest.mark.parametrize("name", evaluations.FUNCTIONS)
def test_functions_have_their_minimum_0(name):
    function = evaluations.FUNCTIONS[name](5, np.random.default_rng(1))
    best = np.ones(5) if name == "rosenbrock" else np.zeros(5)
    assert function(best) == 0
    assert function(best + 0.1) > 0


def test_the_condition_of_the_functions():
    rng = np.random.default_rng(1)
    ends = {
        name: [evaluations.FUNCTIONS[name](5, rng)(x) for x in np.eye(5)[[0, -1]]]
        for name in ("ellipsoid", "discus", "cigar")
    }
    assert ends == {
        "ellipsoid": pytest.approx([1, 1e6]),
        "discus": pytest.approx([1e6, 1]),
        "cigar": pytest.approx([1, 1e6]),
    }
    rotated = evaluations.rotated_ellipsoid(5, rng)
    values = [[rotated(x + y) - rotated(x) - rotated(y) for x in np.eye(5)] for y in np.eye(5)]
    np.testing.assert_allclose(
        np.linalg.eigvalsh(np.array(values) / 2), 1e6 ** np.linspace(0, 1, 5), rtol=1e-5
    )


def test_evaluations_makes_a_table(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(evaluations, "LIMIT", 100)
    for name in evaluations.SOLVERS:
        packages = ("no_such_package",) if name == "cmaes" else ("numpy",)
        monkeypatch.setitem(evaluations.SOLVERS, name, Solver(name, shrinking_search, packages))
    paths = {"--json": tmp_path / "results.json", "--markdown": tmp_path / "table.md"}
    files = [part for option, path in paths.items() for part in (option, str(path))]
    sizes = ["--dims", "5", "--functions", "sphere", "rosenbrock", "--seeds", "1-3", "--jobs", "1"]
    assert main(["evaluations", *sizes, *files, "--cache", str(tmp_path / "cache")]) == 0
    assert "cmaes is skipped" in capsys.readouterr().out

    (case,) = json.loads(paths["--json"].read_text())["cases"]
    sphere_case, rosenbrock_case = case["cases"]
    assert len(sphere_case["evaluations"]["evoopt"]) == 3
    assert sphere_case["ratios"]["evoopt"]["value"] == 1  # equal searches from equal seeds
    assert rosenbrock_case["evaluations"] == {"evoopt": [], "pycma": []}
    lines = paths["--markdown"].read_text().splitlines()
    assert [line.count("|") for line in lines] == [lines[0].count("|")] * 5


# -------------------------------------------------------------------- noisy


def halving(fun, rng):
    mean = np.ones(fun.dim)
    while True:
        fun(mean)
        mean = mean / 2
        yield mean


@pytest.mark.parametrize(("level", "spread"), [("0", 0), ("2", 2), ("30%", 3)])
def test_noise_is_added_or_in_percent(level, spread):
    fun = noisy.Noisy(lambda x: 10.0, 3, level, np.random.default_rng(1))
    values = [fun(np.ones(3)) for _ in range(2000)]
    assert fun.evaluations == 2000
    assert np.mean(values) == pytest.approx(10, abs=0.2)
    assert np.std(values) == pytest.approx(spread, rel=0.1)


def test_noise_makes_a_table(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(noisy, "MARKS", (1, 2, 10))
    monkeypatch.setattr(noisy, "SOLVERS", {})
    for name, packages in (("ours", ()), ("peer", ("no_such_package",))):
        noisy.SOLVERS[name] = noisy.Solver(name, halving, packages)
    paths = {"--json": tmp_path / "results.json", "--markdown": tmp_path / "table.md"}
    files = [part for option, path in paths.items() for part in (option, str(path))]
    sizes = ["--dims", "2", "--functions", "sphere", "--noise", "0", "1", "--seeds", "1-3", "--jobs", "1"]
    assert main(["noisy", *sizes, *files]) == 0
    assert "peer is skipped" in capsys.readouterr().out

    (case,) = json.loads(paths["--json"].read_text())["cases"]
    for found in case["cases"]:
        assert found["values"][:2] == [2 * 0.25**2, 2 * 0.25**4]
        assert found["evaluations"] == 14  # the first of the values 2 / 4^k below 1e-8
    row = paths["--markdown"].read_text().splitlines()[2]
    assert row == "| sphere | 0 | 2 | ours | 0.12 | 0.0078 | (14) |"


# -------------------------------------------------------------------- asynchronous


def test_late_rows_make_tables(tmp_path, capsys):
    paths = {"--json": tmp_path / "results.json", "--markdown": tmp_path / "table.md"}
    files = [part for option, path in paths.items() for part in (option, str(path))]
    sizes = ["--dims", "2", "--functions", "sphere", "noise", "--delays", "1", "--updates", "3"]
    assert main(["asynchronous", *sizes, "--seeds", "1-2", "--jobs", "1", *files]) == 0
    assert "log sigma" in capsys.readouterr().out
    (case,) = json.loads(paths["--json"].read_text())["cases"]
    assert [(found["delay"], found["larger"]) for found in case["cases"]] == [
        (0, False), (1, False), (1, True), (0, False), (1, False),
    ]  # fmt: skip
    assert all(50 < value < 2000 for found in case["cases"][:3] for value in found["found"])
    lines = paths["--markdown"].read_text().splitlines()
    assert lines[3].startswith("| sphere | 2 | 1 | 2/2 |")


def test_late_rows_that_are_too_old_are_left_out():
    task = asynchronous.Task("GA", "sphere", 2, 4, 4, False, 0.5, 400)
    assert asynchronous.solve(task, 1) > 400  # GA knows the rows of two generations
    assert asynchronous.popsize_of(task._replace(larger=True)) == 12


# -------------------------------------------------------------------- options


def test_reads_numbers_and_ranges():
    read = numbers(1, 24)
    assert read("1,3-5") == [1, 3, 4, 5]
    for text in ("0", "25", "a", "", "3-", "5-3", "-1"):
        with pytest.raises(argparse.ArgumentTypeError, match="must be numbers"):
            read(text)


def test_a_run_survives_json():
    run = Run([1, 2], 3, 0.5, 0.25)
    assert Run(**json.loads(json.dumps(asdict(run)))) == run


def test_starts_are_uniform_in_the_box():
    found = solvers.start(np.random.default_rng(1), 1000)
    assert -4 < found.min() < -3.9
    assert 3.9 < found.max() < 4
