"""Strategies that compute on CUDA run the same search as on the CPU, up to rounding."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from helpers.strategies import ON_DEVICE, REGISTERED, injects, make_registered, those

import evoopt
from evoopt.devices.choose import population_engine
from evoopt.kernels.cuda.runtime.foreign import is_device_array
from evoopt.kernels.cuda.runtime.stream import Stream
from evoopt.rules.box import WAYS
from evoopt.strategies.contract.bounds import Box
from evoopt.strategies.contract.registry import REGISTRY

OPTIONS = {  # options with which strategies compute more
    "OpenAIES": {"weight_decay": 0.1, "sigma_decay": 0.9},
    "PGPE": {"learning_rate": 0.3},
    "GA": {"elites": 2},
}
N = 5


def sphere(rows):
    return ((np.asarray(rows, float) - 1) ** 2).sum(axis=1)


def run(name, device, generations=4, tell=sphere, **options):
    mean = np.linspace(-1, 2, N).astype(options.pop("dtype", np.float32))
    es = REGISTRY[name](mean, 0.5, popsize=8, seed=3, device=device, **options)
    for _ in range(generations):
        population = es.ask()
        assert is_device_array(population) == (device == "cuda")
        es.tell(population, tell(population))
        es.stop()
    return es


def agree(one, other, rtol=1e-4):
    np.testing.assert_allclose(one.mean, other.mean, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(one.sigma, other.sigma, rtol=rtol)
    np.testing.assert_allclose(one.best.x, other.best.x, rtol=rtol, atol=rtol)
    for column, values in one.history.items():
        np.testing.assert_allclose(values, other.history[column], rtol=10 * rtol, err_msg=column)


@pytest.mark.parametrize("name", ON_DEVICE)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_search_is_that_of_the_cpu(name, dtype):
    runs = [run(name, device, dtype=dtype, **OPTIONS.get(name, {})) for device in ("cpu", "cuda")]
    agree(*runs, rtol=1e-3 if dtype == np.float32 else 1e-10)


@pytest.mark.parametrize("name", ON_DEVICE)
def test_bounds_and_maximize(name):
    options = {"bounds": [(-1.5, 2.1)] * N, "maximize": True, "tell": lambda rows: -sphere(rows)}
    runs = [run(name, device, dtype=np.float64, **options) for device in ("cpu", "cuda")]
    agree(*runs, rtol=1e-9)
    assert runs[1].best.x.max() <= 2.1


@pytest.mark.parametrize("name", ON_DEVICE)
def test_late_partial_and_foreign_rows(name):
    runs = []
    for device in ("cpu", "cuda"):
        es = REGISTRY[name](np.zeros(N), 0.5, popsize=6, seed=3, device=device)
        late = es.ask_ids(4)
        es.ask_ids(2)
        early = es.ask()
        es.tell(early, sphere(early))
        rows = np.asarray(es.rows(es.ask_ids(6)))  # told as an array of the host
        es.tell(rows, [np.nan, *sphere(rows)[1:]])
        es.tell(late, sphere(es.rows(late)))
        if injects(REGISTRY[name]):
            mixed = np.concatenate([np.asarray(es.ask())[:3], np.full((2, N), 3.0)])
            es.tell(mixed, sphere(mixed))
        runs.append(es)
    agree(*runs, rtol=1e-9)


@pytest.mark.parametrize("name", [*ON_DEVICE, "CMAES", "DeepGA"])
def test_a_row_is_told_once(name, tmp_path):
    es = REGISTRY[name](np.zeros(N), 0.5, popsize=6, seed=3, device="cuda")
    told = [es.ask() for _ in range(2)]
    es.tell(told[0], sphere(told[0]))
    es.tell(np.asarray(told[1])[::-1], sphere(told[1])[::-1])
    es.save(tmp_path / "run.npz")
    for one in (es, evoopt.load(tmp_path / "run.npz"), copy.deepcopy(es)):
        for rows in told:
            with pytest.raises(ValueError, match="got 6 of 6 that were told before"):
                one.tell(rows, sphere(rows))
        rows = one.ask()
        one.tell(rows, sphere(rows))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_go_into_a_box_as_on_the_cpu(way, dtype, monkeypatch):
    monkeypatch.setattr(Box, "way", way)
    box = Box([(-1.0, 2.0), (None, 1.0), (0.5, 0.5)], 3, np.dtype(dtype), reflects=False)
    found = []
    for device in ("cpu", "cuda"):
        engine = population_engine(device, computes_there=True)
        rows = engine.rows((3 * np.random.default_rng(1).normal(size=(40, 3))).astype(dtype), np.dtype(dtype))
        engine.enclose(box, rows)
        found.append(np.array(engine.host(rows)))
    np.testing.assert_allclose(*found, rtol=1e-6 if dtype == np.float32 else 1e-13)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_noisy_ga_judges_the_mean_of_its_parents(dtype):
    rtol = 1e-3 if dtype == np.float32 else 1e-10
    runs = [run("GA", device, dtype=dtype, elites=2, noisy=True) for device in ("cpu", "cuda")]
    agree(*runs, rtol=rtol)
    np.testing.assert_allclose(runs[0].solution, runs[1].solution, rtol=rtol, atol=rtol)
    for es in runs:
        np.testing.assert_allclose(np.asarray(es.ask())[2], es.mean, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("name", those(ON_DEVICE, injects))
def test_foreign_rows_alone_draw_the_mean_to_them(name):
    rows = 1 + 0.05 * np.random.default_rng(1).standard_normal((12, N))
    for device in ("cpu", "cuda"):
        es = REGISTRY[name](np.zeros(N), 0.5, seed=3, device=device)
        for _ in range(4):
            es.tell(rows, sphere(rows))
        np.testing.assert_allclose(es.mean, 1, atol=0.1)


@pytest.mark.parametrize("name", [name for name in REGISTERED if name not in ON_DEVICE])
def test_others_compute_on_the_cpu_and_copy(name):
    runs = []
    for device in ("cpu", "cuda"):
        es = make_registered(name, np.zeros(N), popsize=8, seed=3, device=device)
        for _ in range(3):
            population = es.ask()
            assert is_device_array(population) == (device == "cuda")
            es.tell(population, sphere(population))
        runs.append(es)
    np.testing.assert_array_equal(runs[0].mean, runs[1].mean)


@pytest.mark.parametrize("name", ON_DEVICE)
def test_checkpoints_and_copies_go_on(name, tmp_path):
    es = run(name, "cuda", generations=2)
    es.save(tmp_path / "run.npz")
    others = [evoopt.load(tmp_path / "run.npz"), pickle.loads(pickle.dumps(es)), copy.deepcopy(es)]
    population = es.ask()
    es.tell(population, sphere(population))
    for other in others:
        again = other.ask()
        np.testing.assert_array_equal(again, population)
        other.tell(again, sphere(again))
        np.testing.assert_array_equal(other.mean, es.mean)


@pytest.mark.parametrize("name", ["SNES", "GA"])
def test_a_run_is_resumed_after_an_interruption(name, tmp_path):
    def make():
        return REGISTRY[name](np.ones(N), 0.5, popsize=4, seed=3, device="cuda")

    left = {2}

    def interrupted(population, generation):
        if generation in left:
            left.clear()
            raise KeyboardInterrupt
        return sphere(population)

    options = {"checkpoint": tmp_path / "run.npz", "max_generations": 4}
    assert evoopt.evolve(make(), interrupted, **options).status == 130
    found = evoopt.evolve(make(), interrupted, **options)
    expected = evoopt.evolve(make(), sphere, max_generations=4)
    assert (found.x.tobytes(), repr(found.history)) == (expected.x.tobytes(), repr(expected.history))


def test_out_is_filled_and_others_are_refused():
    es = evoopt.SNES(np.zeros(N, np.float32), 0.5, popsize=4, seed=1, device="cuda")
    out = Stream().to_device(np.full((4, N), np.nan), np.float32)
    assert es.ask(out=out) is out
    assert np.isfinite(np.asarray(out)).all()
    with pytest.raises(ValueError, match="out must be an array of the device"):
        es.ask(out=np.empty((4, N), np.float32))
    with pytest.raises(ValueError, match=r"array of float32 \(4, 5\), got float64"):
        es.ask(out=Stream().empty((4, N), np.float64))


def test_an_executor_is_refused():
    es = evoopt.SNES(np.zeros(N), 0.5, popsize=8, seed=3, device="cuda")
    with (
        ThreadPoolExecutor(1) as executor,
        pytest.raises(ValueError, match='device="cpu", or leave executor'),
    ):
        evoopt.evolve(es, evoopt.Objective(sphere), executor=executor, max_generations=1)
    assert es.generation == 0


def test_evolve_on_the_device():
    es = evoopt.SNES(np.zeros(N), 0.5, seed=1, device="cuda")
    result = evoopt.evolve(es, sphere, max_generations=5)
    other = evoopt.evolve(evoopt.SNES(np.zeros(N), 0.5, seed=1), sphere, max_generations=5)
    np.testing.assert_allclose(result.x, other.x)
    assert isinstance(result.x, np.ndarray)
    es = evoopt.SNES(np.zeros(N), 0.5, popsize=8, seed=1, device="cuda")
    chunked = evoopt.evolve(es, sphere, max_generations=2, chunk_size=3)
    es = evoopt.SNES(np.zeros(N), 0.5, popsize=8, seed=1, device="cuda")
    np.testing.assert_array_equal(chunked.x, evoopt.evolve(es, sphere, max_generations=2).x)


@pytest.mark.parametrize("name", ON_DEVICE)
def test_a_space_is_searched_on_the_cpu(name):
    space = evoopt.Space(x=evoopt.Real(0, 1))
    with pytest.raises(ValueError, match=rf'^{name} of a Space must be .* on the CPU, got device="cuda"\.$'):
        REGISTRY[name](space, device="cuda")
