"""The history of a run: a CSV file and a picture."""

import csv
import math
import sys

import numpy as np
import pytest
from helpers import needs_jit
from helpers.functions import sphere
from helpers.strategies import OURS, restarted
from matplotlib.figure import Figure

import evoopt

CLASSES = [evoopt.CMAES, evoopt.SepCMAES, evoopt.SNES, evoopt.GA]


def rastrigin(x):
    """Return Rastrigin's function plus a term of all coordinates, so that line searches fail."""
    return float(np.sum(x**2 - 10 * np.cos(2 * np.pi * x) + 10) + (x[0] - x[1] + x[2]) ** 2)


def strategy(cls=evoopt.CMAES, seed=1, **options):
    return cls([3.0, -2.0, 1.0], 1.0, popsize=8, seed=seed, **options)


def test_a_line_for_each_generation(tmp_path):
    path, es = tmp_path / "run.csv", strategy()
    counts = []

    def count(strategy):
        counts.append(len(path.read_text().splitlines()))

    evoopt.evolve(es, sphere, max_generations=5, callback=[evoopt.CSVLogger(path), count])
    assert counts == [2, 3, 4, 5, 6]  # one line for each generation, after the header
    assert_holds(path, es.history)


@pytest.mark.parametrize(
    "damage", [lambda text: text, lambda text: text[:-20], lambda text: text[:9], lambda text: ""]
)
@pytest.mark.parametrize("cls", CLASSES)
def test_a_resumed_run_goes_on_in_its_file(tmp_path, cls, damage):
    """The file may have generations after the checkpoint, or an incomplete line."""
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
    evoopt.evolve(strategy(cls), sphere, max_generations=2, callback=evoopt.CSVLogger(path))  # a new start
    assert path.read_text().splitlines() == whole.splitlines()[:3]


def columns_of(path):
    with path.open(newline="") as file:
        lines = list(csv.DictReader(file))
    return {name: [float(line[name]) for line in lines] for name in lines[0]}


def assert_holds(path, history):
    columns = columns_of(path)
    assert list(columns) == list(history)
    for name, column in columns.items():
        np.testing.assert_array_equal(column, np.array(history[name], float))


@pytest.mark.parametrize("noisy", [False, True])
@pytest.mark.parametrize("method", ["auto", "ipop", "bipop", *(name.lower() for name in OURS)])
def test_every_method_has_a_file_and_a_picture(tmp_path, method, noisy):
    """Both `minimize` and `evolve` call the logger; or a program calls it with the result."""
    log, path, afterwards = evoopt.CSVLogger(tmp_path / "run.csv"), tmp_path / "run.csv", tmp_path / "end.csv"
    options = {"seed": 1, "maxfun": 400, "noisy": noisy}
    result = evoopt.minimize(rastrigin, [2.2, -1.3, 0.4], method=method, callback=log, options=options)
    assert len(columns_of(path)["best"]) >= len(result.history["best"]) - 1  # the last one may be cut short
    for _ in range(2):  # the second time the file is complete
        log(result)
        evoopt.CSVLogger(afterwards)(result)
        assert_holds(path, result.history)
        assert path.read_bytes() == afterwards.read_bytes()
    figure = evoopt.plot_history(result, Figure())
    shown = figure.axes[0].lines[-1].get_ydata() if not noisy else result.history["best_so_far"]
    np.testing.assert_array_equal(shown, result.history["best_so_far"])


def test_a_result_of_evolve_has_a_file(tmp_path):
    path, es = tmp_path / "run.csv", strategy()
    evoopt.CSVLogger(path)(evoopt.evolve(es, sphere, max_generations=5))
    assert_holds(path, es.history)


def test_a_logger_goes_on_with_its_own_run_only(tmp_path):
    """A file of two runs would lack the generations that the first one had."""
    path = tmp_path / "run.csv"
    log, es = evoopt.CSVLogger(path), strategy()
    evoopt.evolve(es, sphere, max_generations=5, callback=log)
    for generations in (3, 5, 9):
        with pytest.raises(ValueError, match=r"must be a CSV file of this run"):
            evoopt.evolve(strategy(seed=2), sphere, max_generations=generations, callback=log)
        assert_holds(path, es.history)
    evoopt.evolve(strategy(), sphere, max_generations=3, callback=log)  # the same run from its start
    assert len(columns_of(path)["best"]) == 3


def test_columns_may_come_later(tmp_path):
    """A later search may measure more than the one before."""
    path, log = tmp_path / "run.csv", evoopt.CSVLogger(tmp_path / "run.csv")
    history = {"generation": [], "best_so_far": []}
    log({"history": history})
    assert not path.exists()  # there are no numbers yet
    for i in range(6):
        history["generation"].append(i + 1)
        history["best_so_far"].append(0.1 * i)
        if i == 3:
            history["sigma"] = [math.nan] * 3
        if "sigma" in history:
            history["sigma"].append(0.5)
        log({"history": history})
        assert_holds(path, history)


@pytest.mark.parametrize("wrong", [3, np.ones(2), {"x": 1}, {"history": None}, None])
@pytest.mark.parametrize("use", [evoopt.CSVLogger("never.csv"), evoopt.plot_history], ids=["file", "picture"])
def test_what_has_no_history_is_refused(use, wrong):
    with pytest.raises(ValueError, match=rf"a history, got a {type(wrong).__name__}\.$"):
        use(wrong)


@pytest.mark.parametrize("text", ["my thesis", "generation\n1\n", None])
def test_a_file_of_something_else_stays_as_it_is(tmp_path, text):
    path = tmp_path / "run.csv"
    if text is None:  # the file of another run
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


@needs_jit
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
        with_restarts = restarted(evoopt.IPOP, cls, [3.0, -2.0, 1.0], 1.0, popsize=8, seed=1)
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
    assert len(fitness.lines) == 2  # noisy: the best so far is the generation's best
    assert fitness.get_yscale() == "linear"
    assert diversity.get_title().startswith("diversity")


NAN, INF = math.nan, math.inf
ODD_COLUMNS = {
    "nothing known": ([NAN] * 4, [NAN] * 4),
    "no median, sigma late": ([5.0, 4, 3, 2], [NAN, NAN, 0.5, 0.4]),
    "infinite": ([INF, INF, 3, -INF], [1.0, INF, NAN, 0.1]),
    "huge": ([1.7e308, 1e308, -1.7e308, 0], [1.7e308] * 4),
    "all magnitudes": ([1.7e308, 1e300, 1.0, 5e-324], [1e140, 1, 1e-140, 5e-324]),
    "constant": ([0.0] * 4, [0.0] * 4),
    "one generation": ([1.0], [0.3]),
}


@pytest.mark.parametrize("name", ODD_COLUMNS)
@pytest.mark.parametrize("with_median", [False, True])
def test_pictures_of_odd_columns(tmp_path, name, with_median):
    """Warnings are errors here."""
    best, sigma = ODD_COLUMNS[name]
    n = len(best)
    history = {"evaluations": list(range(n)), "best": best, "best_so_far": best, "sigma": sigma}
    history["median"] = best if with_median else [NAN] * n
    figure = evoopt.plot_history(history, Figure())
    figure.savefig(tmp_path / "run.png")
    with_values = with_median and np.isfinite(best).any()
    assert len(figure.axes[0].lines) == 1 + with_values
    assert len(figure.axes) == 1 + bool(np.isfinite(sigma).any())
    assert (figure.axes[0].lines[0].get_marker() == ".") == (n == 1)  # a line of one point is invisible


def test_plot_history_makes_a_figure(monkeypatch):
    from matplotlib import pyplot

    monkeypatch.setattr(pyplot, "figure", Figure)
    es = strategy(evoopt.OpenAIES)
    evoopt.evolve(es, sphere, max_generations=3)
    assert len(evoopt.plot_history(es).axes) == 2


def test_what_cannot_be_plotted():
    with pytest.raises(ValueError, match=r"got a list\.$"):
        evoopt.plot_history([1.0])
    with pytest.raises(ValueError, match=r"run must have .*, got an empty history\.$"):
        evoopt.plot_history(strategy().history)


def test_without_matplotlib(monkeypatch):
    es = strategy()
    evoopt.evolve(es, sphere, max_generations=1)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"pip install evoopt\[plot\]"):
        evoopt.plot_history(es)


@needs_jit
@pytest.mark.parametrize("method", ["auto", "ipop", *(name.lower() for name in OURS)])
def test_minimize_overwrites_no_file_of_another_run(tmp_path, method):
    """The first lines of two runs, x0 and a descent's, may be equal."""
    path = tmp_path / "run.csv"
    for seed, maxfun in ((1, 2500), (2, 2500), (1, 1200)):
        log, options = evoopt.CSVLogger(path), {"seed": seed, "maxfun": maxfun}
        if not path.exists():
            evoopt.minimize(rastrigin, [2.2, -1.3, 0.4], method=method, callback=log, options=options)
            text = path.read_text()
            continue
        with pytest.raises(ValueError, match=r"take another path, or remove the file\.$"):
            evoopt.minimize(rastrigin, [2.2, -1.3, 0.4], method=method, callback=log, options=options)
        assert path.read_text() == text


def test_panels_have_one_axis_of_evaluations():
    """Descents come first and have no sigma."""
    result = evoopt.minimize(rastrigin, [2.2, -1.3, 0.4], options={"seed": 1, "maxfun": 600})
    figure = evoopt.plot_history(result, Figure())
    assert len(figure.axes) == 3
    assert len({axes.get_xlim() for axes in figure.axes}) == 1


@pytest.mark.parametrize("wrong", ["run.png", 3])
def test_a_figure_is_one_of_matplotlib(wrong):
    es = strategy()
    evoopt.evolve(es, sphere, max_generations=2)
    with pytest.raises(ValueError, match=r"^figure must be a Figure of matplotlib, got .*savefig"):
        evoopt.plot_history(es, wrong)


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits of a process")
def test_a_log_writes_no_part_of_its_lines_on_a_full_disk(tmp_path):
    import resource  # which not every system has

    path, es = tmp_path / "run.csv", strategy(evoopt.SNES)
    log = evoopt.CSVLogger(path)
    evoopt.evolve(es, sphere, max_generations=2, callback=log)
    before = path.read_bytes()
    evoopt.evolve(es, sphere, max_generations=9)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    for room in (0, 1, 30, 100):
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + room, limits[1]))
        try:
            with pytest.raises(OSError, match="File too large"):
                log(es)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert path.read_bytes() == before
    log(es)
    fresh = tmp_path / "fresh.csv"
    evoopt.CSVLogger(fresh)(es)
    assert path.read_bytes() == fresh.read_bytes()
