"""Runs of very many generations: the history in checkpoints, and how a run goes on."""

import copy

import numpy as np
import pytest
from helpers.strategies import fail_at_the_end, restarted
from stress.runs import fitness, step

import evoopt
from evoopt.strategies import REGISTRY
from evoopt.strategies.contract import stagnation, told
from evoopt.strategies.contract.told import FIRST_KEPT, LAST_KEPT, remembered, until
from evoopt.strategies.parts.restarts import run_of

GENERATIONS = 120_000


def aged(name, generations=GENERATIONS):
    """Return a strategy with a long history and a young state."""
    es = REGISTRY[name](np.linspace(1.0, 2.0, 4), 0.5, popsize=6, seed=7)
    for _ in range(20):
        step(es)
    draw, more = np.random.default_rng(1), range(21, generations + 1)
    counts = {"generation": more, "evaluations": [6 * i for i in more]}
    for column, values in es.history.items():
        values.extend(counts.get(column, draw.normal(size=len(more)).tolist()))
    es.generation, es.evaluations = generations, 6 * generations
    return es


def through_file(es, path):
    es.save(path)
    return evoopt.load(path)


@pytest.mark.parametrize("name", ["CMAES", "SNES"])
def test_a_checkpoint_holds_the_first_and_the_last_generations(name, tmp_path):
    es, path = aged(name), tmp_path / "run.npz"
    twin = through_file(es, path)
    assert path.stat().st_size < 8 * (LAST_KEPT + FIRST_KEPT) * len(es.history) + 100_000
    assert twin.history.keys() == es.history.keys()
    for column, whole in zip(twin.history.values(), es.history.values(), strict=True):
        assert column == [*whole[:FIRST_KEPT], *whole[-LAST_KEPT:]]
        assert {*map(type, column)} == {*map(type, whole)} < {int, float}  # Python's numbers
    for _ in range(12):  # `stop` looks for stagnation in some of them
        for one in (es, twin):
            step(one)
        assert es.stop() == twin.stop()
    assert np.array_equal(es.ask(), twin.ask())
    assert twin.history["best"][-12:] == es.history["best"][-12:]
    assert len(through_file(twin, path).history["best"]) == FIRST_KEPT + LAST_KEPT
    assert len(es.history["best"]) == GENERATIONS + 12  # the history in memory is whole


def test_a_generation_that_fails_leaves_a_shortened_history_as_it_was(tmp_path):
    es = through_file(aged("SNES"), tmp_path / "run.npz")
    before, population = copy.deepcopy(es.history), es.ask()
    fail_at_the_end(es, population, fitness(population))
    assert es.history == before


def test_no_rule_looks_further_back():
    """Neither the rule of stagnation, with any tolerance, nor the rule of flat fitness does."""
    draw = np.random.default_rng(1)
    history = {name: draw.integers(0, 3, 300_000).tolist() for name in ("best", "median")}
    history["generation"] = [*range(1, 300_001)]
    answers = set()
    for generations in (99_995, 100_000, 150_000, 170_000, 200_000, 210_000, 260_000, 300_000):
        whole = until(history, generations)
        for tolerance in (10, 1_000, 19_990, 40_000, 100_000, 250_000, 1e9):
            args = generations, tolerance, False
            found = stagnation.stagnates(whole, *args)
            answers.add(found)
            assert stagnation.stagnates(remembered(whole), *args) == found
    assert {True, False} <= answers
    es = evoopt.SNES(np.zeros(10), 1.0, popsize=2)
    es.n_params = 10**9
    es.history["best"] = [0.0] * 300_000
    assert len(evoopt.strategies.contract.stopping.latest(es)) == LAST_KEPT


@pytest.mark.parametrize("kind", [evoopt.IPOP, evoopt.BIPOP])
def test_runs_of_restarts_are_as_bounded(kind, tmp_path):
    es = restarted(kind, evoopt.CMAES, [1.0, 2.0], 0.5, popsize=6, seed=7)
    step(es)
    more = range(2, GENERATIONS + 2)
    counts = {"generation": more, "evaluations": [6 * i for i in more]}
    run = run_of(es)
    for column, values in run.history.items():
        values.extend(counts.get(column, [0.5] * GENERATIONS))
    run.generation, run.evaluations = GENERATIONS + 1, 6 * (GENERATIONS + 1)
    twin = through_file(es, tmp_path / "run.npz")
    assert len(run_of(twin).history["best"]) == FIRST_KEPT + LAST_KEPT


@pytest.fixture
def short(monkeypatch):
    """Shorten the history in checkpoints; return a strategy with more generations."""
    monkeypatch.setattr(told, "LAST_KEPT", 100)
    return aged("SNES", 500)


@pytest.mark.parametrize("there", ["all", "more", "less", "nothing"])
def test_a_file_of_the_history_goes_on(there, short, tmp_path):
    path = tmp_path / "run.csv"
    evoopt.CSVLogger(path)(short)
    whole = path.read_text().splitlines()
    twin = through_file(short, tmp_path / "run.npz")
    kept = {"all": None, "more": None, "less": 200, "nothing": 0}[there]
    lines = [*whole, *(["501,1"] if there == "more" else [])][:kept]
    path.write_text("".join(line + "\n" for line in lines))
    population = twin.ask()
    twin.tell(population, fitness(population))
    evoopt.CSVLogger(path)(twin)
    found, known = path.read_text().splitlines(), 1 + FIRST_KEPT
    middle = {"less": whole[known:200], "nothing": []}.get(there, whole[known:-100])
    assert found[:-1] == [*whole[:known], *middle, *whole[-100:]]
    assert found[-1].startswith("501,")


def test_a_file_of_another_run_is_refused(short, tmp_path):
    path = tmp_path / "run.csv"
    evoopt.CSVLogger(path)(short)
    twin = through_file(short, tmp_path / "run.npz")
    path.write_text(path.read_text().replace("\n450,", "\n450,1"))
    with pytest.raises(ValueError, match=r"must be a CSV file of this run"):
        evoopt.CSVLogger(path)(twin)
