"""Benchmarks on tiny shapes; no other library needs to be installed."""

import json
import os
import sys
import time
from functools import partial
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from evoopt import threads
from evoopt.compiling.jit import JIT_DISABLED

sys.path.append(str(Path(__file__).parents[1]))  # benchmarks are not part of the installed package

from benchmarks import coldstart, forward, mapping, noise, overhead
from benchmarks.__main__ import main, names
from benchmarks.harness import asktell, dense, limits, machine, memory, race, search
from benchmarks.harness.outcome import Outcome, Timing
from benchmarks.harness.race import Case, Contestant, Rate, relative_error

DEFAULT = str(machine.usable_cores())
LIMITS = limits.Limits(1, 1e9, 1e9, {"tanh": 1e-9}, {"flops": "", "read": ""})


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """Run benchmarks without peers, on tiny shapes."""
    monkeypatch.setattr(machine, "installed", lambda package: package == "numpy")
    monkeypatch.setattr(machine.PARTICIPANTS, "peers", True)
    monkeypatch.setattr(race, "MIN_REPEATS", 2)
    monkeypatch.setattr(race, "TURN", 1e-4)
    monkeypatch.setattr(mapping, "POPSIZE", 3)
    monkeypatch.setattr(limits, "measure", lambda threads: LIMITS)
    monkeypatch.setattr(forward, "ROWS", (forward.Row(3, (2, 5, 4), 9), forward.Row(2, (3, 2), 17)))
    monkeypatch.setattr(overhead, "DIMS", (2, 5))
    monkeypatch.setattr(overhead, "LARGE_D", 300)
    monkeypatch.setattr(overhead, "LARGE_POPSIZE", 8)
    monkeypatch.setattr(overhead, "LARGEST_D", 500)
    monkeypatch.setattr(noise, "POPSIZE", 3)
    monkeypatch.setattr(noise, "N_PARAMS", 200)
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    before = threads.get_num_threads()
    yield
    threads.set_num_threads(before)


def case(*contestants, tolerance=1e-6):
    first = Contestant("evoopt", lambda: lambda: np.ones(3))
    return Case("ones", [first, *contestants], lambda found: relative_error(found, np.ones(3)), tolerance)


def timing(name, seconds, *, agrees=True, floor=False):
    return Timing(name, {}, floor, 0.0, agrees, [seconds] * 3, None)


def test_lists_every_benchmark(capsys):
    assert main([]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == names()
    assert len(names()) > 10


@pytest.mark.parametrize("name", names())
def test_each_benchmark_has_a_docstring_and_a_run(name):
    benchmark = import_module(f"benchmarks.{name}")
    assert benchmark.__doc__
    assert callable(benchmark.run)


@pytest.mark.parametrize("name", names())
def test_a_test_names_each_benchmark(name):
    tests = Path(__file__).parent.glob("test_benchmarks*.py")
    assert any(f'"{name}"' in file.read_text() for file in tests)


@pytest.mark.parametrize(
    "arguments",
    [
        ["unknown"],
        ["forward", "--rows", "3"],
        ["forward", "--threads", "0"],
        ["overhead", "--dims", "1"],
        ["overhead", "--peers", "nobody"],
    ],
)
def test_refuses_what_it_does_not_have(arguments):
    with pytest.raises(SystemExit, match="2"):
        main(arguments)


@pytest.mark.parametrize(("name", "cases"), [("mapping", 2), ("forward", 2), ("noise", 1), ("overhead", 2)])
def test_runs_without_peers_and_says_so(name, cases, tmp_path, capsys):
    path = tmp_path / "results.json"
    assert main([name, "--seconds", "0", "--threads", DEFAULT, "--json", str(path)]) == 0
    out = capsys.readouterr().out
    peer = "cma" if name == "overhead" else "torch"
    assert out.count(f"is skipped: no {peer} here (pip install evoopt[benchmarks]).") >= cases
    assert "WRONG" not in out

    record = json.loads(path.read_text())
    assert record["benchmark"] == name
    assert {"cpu", "cores", "load", "threads", "python", "numpy", "numba", "evoopt"} <= record[
        "machine"
    ].keys()
    found_cases = [found for found in record["cases"] if found["name"] != "limits"]
    assert len(found_cases) == cases
    for found in found_cases:
        assert found.keys() == {
            "name",
            "tolerance",
            "unit",
            "limits",
            "contestants",
            "skipped",
            "fastest_peer",
            "ratio",
        }
        assert found["skipped"]
        for contestant in found["contestants"]:
            assert contestant["agrees"]
            assert contestant["repeats"] >= 2
            low, high = contestant["quartiles"]
            assert 0 < contestant["fastest"] <= low <= contestant["median"] <= high
            assert contestant["error"] <= found["tolerance"]
            expected = contestant["median"] / found["contestants"][0]["median"]
            assert contestant["ratio"] == pytest.approx(expected)


def test_what_is_done_is_kept_when_a_later_case_fails(monkeypatch, tmp_path):
    def run(args):
        yield race.race(case(), 0, 1)
        raise RuntimeError("the second case")

    monkeypatch.setattr(noise, "run", run)
    path = tmp_path / "results.json"
    with pytest.raises(RuntimeError, match="the second case"):
        main(["noise", "--json", str(path)])
    assert [found["name"] for found in json.loads(path.read_text())["cases"]] == ["ones"]
    assert [*tmp_path.iterdir()] == [path]


def test_evoopt_alone(monkeypatch, capsys):
    """Peers are neither prepared nor reported as missing."""
    monkeypatch.setattr(machine, "installed", lambda package: True)
    assert main(["noise", "--own", "--seconds", "0"]) == 0
    out = capsys.readouterr().out
    assert "evoopt, Philox" in out
    assert not machine.takes_part("torch")
    assert "torch" not in out.partition("normal deviates")[2]


def test_rows_choose_cases(capsys):
    assert main(["forward", "--rows", "2", "--seconds", "0"]) == 0
    out = capsys.readouterr().out
    assert "forward: 2 x 3-2 x 17 samples, float32" in out
    assert "forward: 3 x" not in out


def test_a_wrong_result_fails_loudly(monkeypatch, tmp_path, capsys):
    def wrong(problem):
        return partial(np.full, (len(problem.population), 9, 4), np.nan)

    monkeypatch.setattr(dense, "numpy_matmul", wrong)
    path = tmp_path / "results.json"
    assert main(["forward", "--rows", "1", "--seconds", "0", "--json", str(path)]) == 1
    printed = capsys.readouterr()
    assert "WRONG, 1e-05 is allowed" in printed.out
    assert "disagree" in printed.err
    evoopt, numpy = json.loads(path.read_text())["cases"][1]["contestants"]
    assert evoopt["agrees"]
    assert not numpy["agrees"]
    assert numpy["error"] is None


def test_deviates_that_are_not_normal_are_wrong():
    z = np.random.default_rng(1).standard_normal((30, 1000), np.float32)
    assert noise.standard_errors(z) < noise.STANDARD_ERRORS
    for wrong in (z + np.float32(0.05), z * np.float32(1.05), np.sign(z), z.astype(float), z * np.inf):
        assert noise.standard_errors(wrong) > noise.STANDARD_ERRORS


@pytest.mark.parametrize(
    ("found", "error"),
    [([1, 2, 4], 0.0), ([1, 2, 3], 0.25), ([1, 2], np.inf), ([1, 2, np.nan], np.inf), ([[1, 2, 4]], np.inf)],
)
def test_relative_error(found, error):
    assert relative_error(found, [1.0, 2.0, 4.0]) == error


def test_leaves_are_compared_by_name_and_shape():
    spec = mapping.ParamSpec.from_shapes({"dense_0.bias": 2, "dense_0.kernel": (1, 2)})
    leaves = mapping.flat(spec.unravel(np.ones((3, 4))))
    flattened = {name: leaf.reshape(3, 2) for name, leaf in leaves.items()}
    assert mapping.error_of_leaves(leaves, leaves) == 0
    assert mapping.error_of_leaves(flattened, leaves) == np.inf
    assert mapping.error_of_leaves({}, leaves) == np.inf


def test_the_mapped_network_has_4996_parameters_in_6_leaves():
    spec = mapping.dense_spec()
    assert (spec.size, len(spec.names)) == (4996, 6)


def test_contestants_take_turns():
    order = []
    a = Contestant("a", lambda: lambda: order.append("a") or np.ones(3))
    b = Contestant("b", lambda: lambda: order.append("b") or np.ones(3))
    outcome = race.race(case(a, b), 0.0, 1)
    turns = [name for i, name in enumerate(order) if i == 0 or order[i - 1] != name]
    assert turns == ["a", "b"] * (len(turns) // 2)
    assert [len(t.times) for t in outcome.timings] == [2, 2, 2]
    assert outcome.agrees


def test_a_peer_that_fails_is_reported_and_the_others_go_on():
    def fail():
        raise RuntimeError("no GPU\nhere")

    early, late = Contestant("early", fail), Contestant("late", lambda: fail)
    good = Contestant("good", lambda: lambda: np.ones(3))
    outcome = race.race(case(early, good, late), 0.0, 1)
    assert [t.name for t in outcome.timings] == ["evoopt", "good"]
    assert outcome.skipped == ["early failed: RuntimeError: no GPU", "late failed: RuntimeError: no GPU"]
    with pytest.raises(RuntimeError, match="no GPU"):
        race.race(Case("evoopt fails", [early, good], lambda _: 0.0, 0.0), 0.0, 1)


def test_only_the_clock_of_a_case_counts_and_slow_ones_sit_out(monkeypatch):
    now = 0.0
    monkeypatch.setattr(race, "MIN_REPEATS", 5)
    monkeypatch.setattr(race, "PATIENCE", 10.0)
    monkeypatch.setattr(race, "wait_for_idle_threads", lambda: None)
    monkeypatch.setattr(time, "perf_counter", lambda: now)

    def clock(seconds, calls):
        nonlocal now
        now += 2 * seconds()
        return seconds()

    contestants = [Contestant("fast", lambda: lambda: 0.5), Contestant("slow", lambda: lambda: 2.0)]
    outcome = race.race(Case("clocked", contestants, lambda _: 0.0, 0.0, clock=clock), 0.0, 1)
    assert [t.times for t in outcome.timings] == [[0.5] * 5, [2.0] * 3]


def test_a_rate_is_work_per_second():
    ones = Contestant("evoopt", lambda: lambda: np.ones(3), ("numpy",))
    (found,) = race.race(Case("ones", [ones], lambda _: 0.0, 0.0, Rate(2.0, "units/s")), 0.0, 1).timings
    assert found.rate == pytest.approx(2.0 / found.median)
    assert found.versions == {"numpy": np.__version__}


def test_the_fastest_peer_is_right_and_no_floor():
    timings = [
        timing("evoopt", 0.5),
        timing("wrong", 0.1, agrees=False),
        timing("by hand", 0.2, floor=True),
        timing("slow", 5.0),
        timing("fast", 1.0),
    ]
    outcome = Outcome("case", 0.0, None, timings, [])
    assert "evoopt is 2.00 x as fast as the fastest peer, fast." in outcome.table()
    assert outcome.as_dict()["ratio"] == 2.0
    assert "There is no peer" in Outcome("case", 0.0, None, timings[:3], []).table()


def test_limits_the_cores_or_says_that_it_cannot(monkeypatch):
    bound = []
    monkeypatch.setattr(machine, "usable_cores", lambda: 4)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 2, 5, 7}, raising=False)
    monkeypatch.setattr(os, "sched_setaffinity", lambda _, cores: bound.append(cores), raising=False)
    assert machine.limit_cores(4) == []
    assert bound == []
    assert machine.limit_cores(2) == []
    assert bound == [[0, 2]]
    monkeypatch.delattr(os, "sched_setaffinity")
    assert "cannot bind a process to 2 cores" in machine.limit_cores(2)[0]


# ---------------------------------------------------------------- overhead


class Shrinking:
    """A strategy whose rows shrink by a tenth, and which records the rows that were told."""

    def __init__(self, first=1.0, factor=0.1):
        self.size, self.factor, self.told = first, factor, []

    def loop(self):
        return search.Loop(self.ask, lambda *told: self.told.append(told))

    def ask(self):
        rows = np.full((4, 3), self.size)
        self.size *= self.factor
        return rows


def test_a_search_tells_what_was_asked_and_its_fitness():
    shrinking = Shrinking()
    search.Search(lambda seed: shrinking.loop(), 4, 3).generation()
    ((rows, fitness),) = shrinking.told
    assert rows.shape == (4, 3)
    np.testing.assert_allclose(fitness, 1 + 1e3 + 1e6)


def test_a_search_starts_anew_with_another_seed_when_it_converged_or_failed():
    for factor, generations in ((0.05, 4), (np.nan, 1)):
        seeds = []

        def start(seed, factor=factor, seeds=seeds):
            seeds.append(seed)
            return Shrinking(factor=factor).loop()

        found = search.Search(start, 4, 3)
        for _ in range(generations + 1):
            found.generation()
        assert seeds == [1]
        found.generation()
        assert seeds == [1, 2]


def test_evaluation_is_not_timed(monkeypatch):
    def slow(rows):
        time.sleep(0.05)
        return np.ones(len(rows))

    monkeypatch.setattr(search, "ellipsoid", slow)
    found = search.Search(lambda seed: Shrinking().loop(), 4, 3, block=3)
    assert search.mean_generation(found, 1) < 0.02
    assert len(found.medians) == 3  # a whole number of blocks


def test_a_search_must_get_better_with_the_popsize_of_all():
    assert search.Search(lambda seed: Shrinking(factor=0.5).loop(), 4, 3).unsolved() < 1e-4
    assert search.Search(lambda seed: Shrinking(factor=1.0).loop(), 4, 3).unsolved() == 1.0
    with pytest.raises(ValueError, match=r"the shape \(5, 3\), got \(4, 3\)"):
        search.Search(lambda seed: Shrinking().loop(), 5, 3).generation()


def test_warm_up_ends_in_time(monkeypatch):
    found = search.Search(lambda seed: Shrinking(factor=0.9).loop(), 4, 3, warm_up=7)
    found.unsolved()
    assert len(found.medians) == search.CHECKED + 7
    monkeypatch.setattr(search, "WARM_UP", 0.0)
    found.unsolved()
    assert len(found.medians) == 2 * search.CHECKED + 7


def test_the_floor_decomposes_as_often_as_pycma(monkeypatch):
    decomposed = []

    def dsyevd(C, lower):
        decomposed.append(C.copy())
        return np.linalg.eigh(C)

    monkeypatch.setattr(overhead, "dsyevd", dsyevd)
    monkeypatch.setattr(overhead, "gap", lambda popsize, d: 2.5)
    loop = overhead.floor_loop(6, 4, seed=1)
    for _ in range(10):
        loop.tell(loop.ask(), None)
    assert len(decomposed) == 4
    assert 0.3 < decomposed[-1].diagonal().mean() < 3.0  # the matrix moves, and neither grows nor shrinks
    assert np.abs(np.tril(decomposed[-1], -1)).max() > 0


@pytest.mark.skipif(JIT_DISABLED, reason="large searches take a minute without the JIT")
def test_large_searches_are_timed_and_their_memory_is_measured(tmp_path, capsys, monkeypatch):
    monkeypatch.delitem(overhead.REGISTRY, "LMMAES", raising=False)
    path = tmp_path / "results.json"
    assert main(["overhead", "--large", "--seconds", "0", "--json", str(path)]) == 0
    out = capsys.readouterr().out
    assert "overhead: 300 parameters, popsize 8, float32" in out
    assert "LMMAES is skipped: this evoopt does not have it." in out
    _, float64, _, float32, largest, deep = json.loads(path.read_text())["cases"]
    assert float64["needed"] == 8 * 300 * (4 + 8)
    assert float32["needed"] == 4 * 300 * (8 + 8)
    assert float64["ratio"] == float64["peak"] / float64["needed"] > 1
    assert largest["needed"] == 4 * 500 * 256
    assert largest["ratio"] > 2
    assert deep["ratio"] == deep["peak"] / deep["needed"] > 1


def test_first_generations_are_timed_in_new_processes(tmp_path, capsys, monkeypatch):
    seconds, caches = coldstart.seconds, []

    def with_the_cache_of_the_tests(program, cache, threads):
        caches.append(cache)
        return seconds(program, os.environ.get("NUMBA_CACHE_DIR", ""), threads)

    monkeypatch.setattr(coldstart, "RUNS", 1)
    monkeypatch.setattr(coldstart, "seconds", with_the_cache_of_the_tests)
    if JIT_DISABLED:  # the digits take minutes without the JIT
        monkeypatch.setattr(coldstart, "CASES", {"CMA-ES": coldstart.CASES[next(iter(coldstart.CASES))]})
    path = tmp_path / "results.json"
    assert main(["coldstart", "--json", str(path)]) == 0
    assert "cma is skipped: no cma here" in capsys.readouterr().out.replace("pycma", "cma")
    cases = json.loads(path.read_text())["cases"]
    assert len(cases) == 2 * len(coldstart.CASES)
    for alone, with_imports in zip(cases[::2], cases[1::2], strict=True):
        for one, other in zip(alone["contestants"], with_imports["contestants"], strict=True):
            assert 0 < one["median"] < other["median"]
    assert all(not Path(cache).exists() for cache in caches)


def test_the_peak_of_memory_counts_what_was_freed():
    found = memory.Memory("case", memory.peak(lambda: np.ones(10**6).sum()), 8 * 10**6)
    assert found.ratio == pytest.approx(1, abs=0.01)
    assert "peak 8.0 MB, needed 8.0 MB: 1.00 times" in found.table()


@pytest.mark.parametrize(
    ("package", "start"),  # packages that leave numpy and the process unchanged when imported
    [
        ("cma", asktell.pycma),
        ("cmaes", partial(asktell.cmaes, "CMA")),
        ("cmaes", partial(asktell.cmaes, "SepCMA")),
    ],
)
def test_peers_search_if_they_are_installed(package, start):
    pytest.importorskip(package)
    assert search.Search(start(8, 4), 8, 4).unsolved() < overhead.UNSOLVED
