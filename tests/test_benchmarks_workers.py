"""Benchmarks of workers on tiny shapes, without Dask, and the model of a generation."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1]))  # benchmarks are not part of the installed package

from benchmarks import scale, workers
from benchmarks.__main__ import main
from benchmarks.harness import machine, scale_model, wire
from benchmarks.harness.scale_model import Costs, Load

COSTS = Costs(
    latency=0.01,
    job=0.001,
    round_bytes=2e3,
    job_bytes=5e3,
    heartbeat=1e3,
    byte=1e-9,
    make=1e-9,
    learn=3e-9,
    main_cores=2,
    cores=2,
)


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(machine, "installed", lambda package: package == "numpy")
    monkeypatch.setattr(workers, "POPSIZE", 4)
    monkeypatch.setattr(workers, "WORKERS", 2)
    monkeypatch.setattr(workers, "WAIT", 0.001)
    monkeypatch.setattr(workers, "CREWS", (2,))
    monkeypatch.setattr(workers, "MEAN", 0.001)


def test_shares_without_dask(capsys):
    assert main(["workers", "--seconds", "0.01"]) == 0
    out = capsys.readouterr().out
    for name in ("evolve, process pool", "ask and tell, pool.map", "evoopt asynchronous", "Dask is skipped"):
        assert name in out


def test_the_scale_needs_dask_and_says_so(capsys):
    assert main(["scale"]) == 0
    assert "needs distributed" in capsys.readouterr().out


def test_a_run_ends_in_the_same_bits_whatever_is_measured():
    setting = wire.Setting("here", 1, 50, popsize=8, generations=5)
    first, second = wire.run(setting), wire.run(replace(setting, wait=1e-4))
    assert first.digest == second.digest != wire.run(replace(setting, popsize=10)).digest
    assert first.bytes == first.start == 0
    assert first.seconds > 0
    assert first.main_peak > 1e6


def test_other_bits_are_marked_as_wrong():
    run = wire.Measured(1.0, 1.0, 1, 1, 1, 1.0, "a")
    assert workers.Traffic("same", {"one": run, "two": run}).agrees
    differ = workers.Traffic("others", {"one": run, "two": replace(run, digest="b")})
    assert not differ.agrees
    assert "WRONG" in differ.table()


def test_the_parts_of_a_generation():
    load = Load("values", popsize=64, n_params=1000, workers=3, wait=0.02)
    found = scale_model.parts(load, COSTS)
    assert found.evaluation == pytest.approx(22 * 0.02)
    assert found.way == pytest.approx(0.01 + 3 * 0.001 + 4 * 64_000 * 1e-9)
    assert found.update == pytest.approx(64_000 * 3e-9 / 2)
    numbers = scale_model.parts(replace(load, rows="numbers"), COSTS)
    assert numbers.way == pytest.approx(0.013)
    assert numbers.update == pytest.approx(64_000 * 3e-9 / 2 + 3 * 64_000 * 3e-9 / 2)
    shards = scale_model.parts(replace(load, rows="shards"), COSTS)
    assert shards.update == pytest.approx(64_000 * 3e-9 / 2)


def test_bytes_grow_with_parameters_for_values_alone():
    def growth(rows):
        low, high = (scale_model.traffic(Load(rows, 64, n, 4, 0.02), COSTS) for n in (10, 10_000))
        return high - low

    load = Load("values", 0, 10, 4, 0.02)
    assert scale_model.traffic(load, COSTS) == pytest.approx(2e3 + 4 * (5e3 + 1e3 * 0.014))
    assert growth("values") == pytest.approx(8 * 64 * 9990, rel=0.01)
    assert growth("numbers") < 100  # heartbeats while the rows are made


def test_at_most_workers_learning_takes_as_long_as_evaluation():
    n_params, wait = 10**6, 1.0
    most = round(scale_model.most_workers(n_params, wait, COSTS))
    costs = scale_model.on_machines(COSTS, most, main_cores=10**6, gigabits=10)
    found = scale_model.parts(Load("numbers", 3 * most, n_params, most, wait), costs)
    assert found.update == pytest.approx(found.evaluation, rel=0.01)


def test_tables_of_the_scale():
    load = Load("values", 64, 1000, 2, 0.02)
    run = wire.Measured(
        scale_model.traffic(load, COSTS), 2 * scale_model.parts(load, COSTS).total, 0, 0, 0, 0.0, ""
    )
    assert scale.points({load: run}, COSTS).rows[1][4] == "-50%"
    assert scale.points({load: run}, COSTS).rows[1][7] == "+0%"
    table = scale.projection(COSTS)
    widths = {len(row) for row in table.rows}
    assert widths == {8}
    assert len(table.rows) == 1 + 3 * len(scale.LARGE_PARAMS) * len(scale.LARGE_WAITS)
    assert "heartbeat" in scale.constants(COSTS).table()
