"""The history of a run: in a CSV file, and as a picture."""

import csv
import sys

import numpy as np
import pytest
from conftest import JIT_DISABLED
from matplotlib.figure import Figure

import evoopt

CLASSES = [evoopt.CMAES, evoopt.SepCMAES, evoopt.SNES, evoopt.GA]


def sphere(population):
    return (population**2).sum(axis=1)


def strategy(cls=evoopt.CMAES, seed=1, **options):
    return cls([3.0, -2.0, 1.0], 1.0, popsize=8, seed=seed, **options)


def test_a_line_for_each_generation(tmp_path):
    path, es = tmp_path / "run.csv", strategy()
    counts = []

    def count(strategy):
        counts.append(len(path.read_text().splitlines()))

    evoopt.evolve(es, sphere, max_generations=5, callback=[evoopt.CSVLogger(path), count])
    assert counts == [2, 3, 4, 5, 6]  # after the logger, and the header
    with path.open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert {name: [float(line[name]) for line in lines] for name in lines[0]} == es.history


@pytest.mark.parametrize(
    "damage", [lambda text: text, lambda text: text[:-20], lambda text: text[:9], lambda text: ""]
)
@pytest.mark.parametrize("cls", CLASSES)
def test_a_resumed_run_goes_on_in_its_file(tmp_path, cls, damage):
    """Which may have generations after the checkpoint, or a line that was cut off."""
    path, checkpoint = tmp_path / "run.csv", tmp_path / "run.npz"
    es = strategy(cls)
    evoopt.evolve(es, sphere, max_generations=4, callback=evoopt.CSVLogger(path))
    es.save(checkpoint)
    evoopt.evolve(es, sphere, max_generations=7, callback=evoopt.CSVLogger(path))
    whole = path.read_text()
    assert len(whole.splitlines()) == 8
    path.write_text(damage(whole))
    evoopt.evolve(evoopt.load(checkpoint), sphere, max_generations=6, callback=evoopt.CSVLogger(path))
    assert path.read_text().splitlines() == whole.splitlines()[:7]
    evoopt.evolve(strategy(cls), sphere, max_generations=2, callback=evoopt.CSVLogger(path))  # from the start
    assert path.read_text().splitlines() == whole.splitlines()[:3]


@pytest.mark.parametrize("text", ["my thesis", "generation\n1\n", None])
def test_a_file_of_something_else_stays_as_it_is(tmp_path, text):
    path = tmp_path / "run.csv"
    if text is None:  # of another run
        evoopt.evolve(strategy(seed=2), sphere, max_generations=3, callback=evoopt.CSVLogger(path))
        text = path.read_text()
    path.write_text(text)
    with pytest.raises(ValueError, match=r"take another path, or remove the file\.$"):
        evoopt.evolve(strategy(), sphere, max_generations=2, callback=evoopt.CSVLogger(path))
    assert path.read_text() == text


def test_any_callback_of_several_stops(tmp_path):
    calls = []
    result = evoopt.evolve(
        strategy(), sphere, callback=[lambda es: True, lambda es: calls.append(es.generation)]
    )
    assert (result.stop[0][0], result.nit, calls) == ("callback", 1, [1])


@pytest.mark.skipif(JIT_DISABLED, reason="takes too long in plain Python")
def test_condition_and_diversity():
    def stretched(population):
        return (population**2 * [1, 100, 10_000]).sum(axis=1)

    for cls in CLASSES[:3]:
        es = strategy(cls)
        evoopt.evolve(es, stretched, max_generations=120)
        condition = es.history["condition"]
        assert len(condition) == es.generation > 90
        assert condition[0] < 10
        assert 300 < condition[-1] < 1e6
        with_restarts = evoopt.IPOP(cls, [3.0, -2.0, 1.0], 1.0, popsize=8, seed=1)
        evoopt.evolve(with_restarts, stretched, max_generations=2)
        assert len(with_restarts.history["condition"]) == 2
    ga = strategy(evoopt.GA, elites=0)
    population = ga.ask()
    fitness = np.arange(8.0)
    ga.tell(population, fitness)
    assert ga.history["diversity"] == pytest.approx([population[:2].std(axis=0).mean()])  # the best quarter
    assert "condition" not in ga.history


def test_plot_history():
    es = strategy()
    result = evoopt.evolve(es, sphere, max_generations=60)
    for run in (es, result, es.history):
        fitness, sigma, condition = evoopt.plot_history(run, Figure()).axes
        assert [line.get_label() for line in fitness.lines] == [
            "median of the generation",
            "best of the generation",
            "best so far",
        ]
        assert fitness.get_yscale() == sigma.get_yscale() == "log"
        np.testing.assert_array_equal(sigma.lines[0].get_ydata(), es.history["sigma"])
        assert condition.get_title().startswith("condition")
    ga = strategy(evoopt.GA, maximize=True, noisy=True)
    evoopt.evolve(ga, lambda population: np.tanh(-sphere(population)), max_generations=3)
    fitness, _, diversity = evoopt.plot_history(ga, Figure()).axes
    assert len(fitness.lines) == 2  # noisy: the best so far is that of the generation
    assert fitness.get_yscale() == "linear"
    assert diversity.get_title().startswith("diversity")


def test_plot_history_makes_a_figure(monkeypatch):
    from matplotlib import pyplot

    monkeypatch.setattr(pyplot, "figure", Figure)
    es = strategy(evoopt.OpenAIES)
    evoopt.evolve(es, sphere, max_generations=3)
    assert len(evoopt.plot_history(es).axes) == 2


def test_what_cannot_be_plotted():
    with pytest.raises(ValueError, match=r"got a list\.$"):
        evoopt.plot_history([1.0])
    with pytest.raises(ValueError, match=r"is empty\.$"):
        evoopt.plot_history(strategy().history)


def test_without_matplotlib(monkeypatch):
    es = strategy()
    evoopt.evolve(es, sphere, max_generations=1)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"pip install evoopt\[plot\]"):
        evoopt.plot_history(es)
