"""Benchmarks of networks on tiny shapes; neither peers nor the digits need to be installed."""

import json
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from helpers import needs_jit

import evoopt
from evoopt import threads

sys.path.append(str(Path(__file__).parents[1]))  # benchmarks are not part of the installed package

from benchmarks import fitness, forward, neuro, scaling
from benchmarks.__main__ import main
from benchmarks.harness import convolutional, dense, digits, limits, losses, machine, race, trainers
from benchmarks.harness.limits import Demand, Limits
from benchmarks.harness.outcome import Limit, Outcome, Timing
from benchmarks.neuro import Reached, Run
from benchmarks.scaling import Growth, Point, Size

LIMITS = Limits(1, 2e9, 1e9, {"tanh": 1e-9, "exp": 2e-9}, {"flops": "a", "read": "b"})


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """Run benchmarks without peers, on tiny shapes and on digits that are easy to tell apart."""
    rng = np.random.default_rng(0)
    labels = np.arange(20) % 10
    images = rng.random((20, 64), np.float32) / 4 + np.eye(64, dtype=np.float32)[labels]
    monkeypatch.setattr(machine, "installed", lambda package: package in ("numpy", "sklearn"))
    monkeypatch.setattr(digits, "load", lambda: (images, labels))
    monkeypatch.setattr(limits, "measure", lambda threads: LIMITS)
    monkeypatch.setattr(race, "MIN_REPEATS", 2)
    monkeypatch.setattr(race, "TURN", 1e-4)
    monkeypatch.setattr(forward, "ROWS", (forward.Row(3, (2, 5, 4), 9), forward.Row(3, (3, 2), 1, own=True)))
    monkeypatch.setattr(fitness, "POPSIZE", 3)
    monkeypatch.setattr(fitness, "CONVOLUTIONAL_POPSIZE", 2)
    monkeypatch.setattr(fitness, "IMAGES", 3)
    monkeypatch.setattr(fitness, "UNITS", (64, 3, 10))
    monkeypatch.setattr(neuro, "POPSIZE", 8)
    monkeypatch.setattr(neuro, "UNITS", (64, 2, 10))
    monkeypatch.setattr(neuro, "LEARNED", 5)
    monkeypatch.setattr(scaling, "SIZES", {"samples": [Size(2, 20, 3), Size(2, 40, 3)]})
    before = threads.get_num_threads()
    yield
    threads.set_num_threads(before)


def cases(tmp_path, *arguments):
    path = tmp_path / "results.json"
    assert main([*arguments, "--seconds", "0", "--json", str(path)]) == 0
    return json.loads(path.read_text())["cases"]


def test_forward_with_inputs_shared_and_of_each_its_own(tmp_path, capsys):
    measured, shared, own = cases(tmp_path, "forward")
    out = capsys.readouterr().out
    assert measured["flops"] == LIMITS.flops
    assert "sgemm peak      2 GFLOP/s (a)" in out
    assert shared["limits"].keys() == {"sgemm peak", "floor"}
    assert own["limits"] == {"read bandwidth": 3 * 8 * 4 / LIMITS.read}
    assert "forward: 3 x 3-2 x 1 own samples, float32" in out
    for case in (shared, own):
        first = case["contestants"][0]
        assert first["shares"] == {
            name: seconds / first["median"] for name, seconds in case["limits"].items()
        }


def test_fitness_of_the_dense_network(tmp_path, capsys):
    _, case = cases(tmp_path, "fitness", "--nets", "dense")
    assert [contestant["name"] for contestant in case["contestants"]] == ["evoopt Supervised", "numpy.matmul"]
    assert "fitness: 3 x 64-3-10 x 20 digits" in capsys.readouterr().out


@pytest.mark.skipif(not hasattr(evoopt, "Conv2D"), reason="there are no convolutions yet")
def test_fitness_of_the_convolutional_networks(tmp_path):
    shapes = {
        "conv8": convolutional.Shape(8, (2, 3), 3, (4, 10)),
        "conv28": convolutional.Shape(28, (2, 1), 5, (10,)),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fitness, "SHAPES", shapes)
        assert len(cases(tmp_path, "fitness", "--nets", "conv8", "conv28")) == 3
    for shape in shapes.values():
        assert convolutional.network(shape).spec.names == shape.spec.names


def test_the_convolutional_networks_have_about_11000_parameters():
    assert [shape.spec.size for shape in fitness.SHAPES.values()] == [11482, 11274]


def test_a_convolution_is_a_sum_over_the_surroundings():
    images = np.zeros((1, 4, 4, 1))
    images[0, 1, 2] = 1.0
    kernel = np.arange(9.0).reshape(3, 3, 1, 1)
    found = convolutional.convolve(images, kernel)[0, :, :, 0]
    np.testing.assert_array_equal(found[:3, 1:], kernel[::-1, ::-1, 0, 0])
    assert found.sum() == kernel.sum()


def test_losses_agree():
    rng = np.random.default_rng(1)
    logits, labels = rng.standard_normal((2, 7, 3)), rng.integers(0, 3, 7)
    expected = [losses.reference(one, labels) for one in logits]
    np.testing.assert_allclose(losses.numpy(logits.copy(), labels, 2), expected)
    np.testing.assert_allclose(losses.numpy(logits.swapaxes(1, 2).copy(), labels, 1), expected)


def test_the_floor_is_multiply_adds_at_the_peak_and_activations_at_their_rate():
    demand = Demand(1000, {"tanh": 30, "exp": 5})
    assert LIMITS.floor(demand) == pytest.approx(1000e-9 + 30e-9 + 10e-9)
    assert [limit.name for limit in LIMITS.of(demand)] == ["sgemm peak", "floor"]
    assert limits.rate(demand).unit == "GFLOP/s"
    assert LIMITS.of(Demand(1000, {}, 500)) == [Limit("read bandwidth", 500e-9)]
    assert limits.rate(Demand(1000, {}, 10**9)) == (1.0, "GB/s")


def test_limits_are_measured(monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(machine, "installed", lambda package: False)
    monkeypatch.setattr(limits, "SGEMM_SIZES", (16,))
    monkeypatch.setattr(limits, "READ_BYTES", 4096)
    monkeypatch.setattr(limits, "CACHED", 64)
    monkeypatch.setattr(limits, "REPEATS", 1)
    found = limits.measure(1)
    assert 0 < found.flops < np.inf
    assert 0 < found.read < np.inf
    assert all(0 < seconds < 1 for seconds in found.elements.values())
    assert found.whose["flops"] == "numpy, 16 x 16"


def test_shares_of_limits_are_shown():
    timings = [Timing("evoopt", {}, False, 0.0, True, [0.5] * 3, None)]
    table = Outcome("case", 0.0, None, timings, [], [Limit("floor", 0.2)]).table()
    assert "of floor" in table
    assert "40%" in table


# ---------------------------------------------------------------- neuro and scaling


@needs_jit
def test_neuro_trains(tmp_path, capsys):
    seeds = "6,8"  # which soon get there
    options = ["--seeds", seeds, "--accuracy", "0.01", "--markdown", str(tmp_path / "table.md")]
    speed, accuracy = cases(tmp_path, "neuro", *options)
    assert speed["contestants"][0]["error"] < neuro.UNLEARNED
    assert [run["generations"] % 5 for run in accuracy["runs"]["evoopt SNES"]] == [0, 0]
    assert "PyGAD torchga is skipped" in capsys.readouterr().out
    assert "| evoopt SNES |" in (tmp_path / "table.md").read_text()


def test_a_run_ends_at_its_limit():
    found = neuro.train(neuro.ENTRIES["evoopt SNES"], 1, accuracy=2.0, every=1, limit=0.02)
    assert found.accuracy <= 1
    assert found.generations >= 1
    assert found.seconds > 0


def test_runs_that_do_not_get_there_count_as_endless():
    runs = [Run(10, 1.0, 0.96), Run(30, 3.0, 0.95), Run(99, 9.0, 0.5)]
    (_, row), skipped = Reached(0.95, {"a": runs}, []).rows(), []
    assert row == ["a", "30", "10", "", "3", "2 of 3", "0.950"]
    assert Reached(0.95, {"a": runs[2:]}, skipped).rows()[1][1] == ""


def test_a_trainer_counts_its_generations():
    steps = []
    trainer = trainers.Trainer(partial(steps.append, None), lambda: np.zeros(1))
    assert trainer.run(3) >= 0
    assert trainer() is trainer
    assert trainer.generation == len(steps) == 4


def test_the_exponent_of_growth(tmp_path, capsys):
    points = [Point(Size(popsize=n), n**2 * 1e-6) for n in (10, 100, 1000)]
    growth = Growth("popsize", points)
    assert [row[-1] for row in growth.rows()] == ["growth", "", "2.00", "2.00", "2.00"]
    (found,) = cases(tmp_path, "scaling", "--markdown", str(tmp_path / "table.md"))
    assert found["points"][1]["samples"] == 40
    assert found["points"][0]["parameters"] == dense.network((64, 3, 10)).spec.size
    assert "scaling: samples" in capsys.readouterr().out
    assert "| all |" in (tmp_path / "table.md").read_text()
