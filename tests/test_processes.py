"""Forks, threads, caches, imports and read-only installs, each in a process of its own."""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import JIT_DISABLED, ROOT
from llvmlite.binding import get_host_cpu_features

from evoopt import threads

needs_jit = pytest.mark.skipif(JIT_DISABLED, reason="nothing is compiled")

SAMPLES, POPSIZE = (9, 4) if JIT_DISABLED else (300, 400)

WORK = f"""
import numpy as np
import evoopt

net = evoopt.Network([evoopt.Dense(24, "tanh"), evoopt.Dense(3)], input_shape=(8,))
rng = np.random.default_rng(0)
inputs, labels = rng.normal(size=({SAMPLES}, 8)).astype("f"), rng.integers(0, 3, {SAMPLES})
task = evoopt.Supervised(net, inputs, labels)

def work(seed=0):
    # bits of a few generations: noise, forward pass, loss, update
    es = evoopt.SNES(net.init(seed), sigma=0.1, popsize={POPSIZE}, seed=seed)
    for generation in range(3):
        population = es.ask()
        es.tell(population, task(population, generation))
    return es.mean.tobytes() + net.forward(population, inputs).tobytes()
"""


def test_import_compiles_and_prints_nothing(run_python):
    output = run_python(
        """
import numba.core.event as event
with event.install_recorder("numba:compile") as recorder:
    import evoopt
assert not recorder.buffer, recorder.buffer
import sys
extras = {"torch", "jax", "sklearn", "tqdm", "matplotlib", "gymnasium", "scipy.stats"} & set(sys.modules)
assert not extras, extras
"""
    )
    assert output == ""


def test_same_bits_for_any_number_of_threads(run_python):
    run_python(
        WORK
        + """
results = []
for threads in (1, 2, 3):
    evoopt.set_num_threads(threads)
    results.append(work())
assert results[0] == results[1] == results[2]
"""
    )


@needs_jit
@pytest.mark.parametrize("layer", ["default", "workqueue"])
def test_kernels_work_in_a_forked_child(run_python, layer):
    output = run_python(
        WORK
        + """
import os, warnings
evoopt.set_num_threads(2)
expected = work()
with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # of a fork with threads: just what is tested
    child = os.fork()
if child == 0:
    same = work() == expected
    os._exit(0 if same else 1)
_, status = os.waitpid(child, 0)
assert os.waitstatus_to_exitcode(status) == 0, status
assert work() == expected
print("same")
""",
        NUMBA_THREADING_LAYER=layer,
    )
    assert output == "same\n"


@pytest.mark.parametrize("layer", ["default", "workqueue"])
def test_kernels_work_from_four_python_threads_at_once(run_python, layer):
    output = run_python(
        WORK
        + """
from concurrent.futures import ThreadPoolExecutor
evoopt.set_num_threads(2)
with ThreadPoolExecutor(4) as executor:
    results = list(executor.map(work, range(8)))
assert results == [work(seed) for seed in range(8)]
print("same")
""",
        NUMBA_THREADING_LAYER=layer,
    )
    assert output == "same\n"


def test_works_in_a_process_pool(run_python):
    program = (
        WORK
        + """
if __name__ == "__main__":
    import multiprocessing, sys, types
    from concurrent.futures import ProcessPoolExecutor
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, context) as executor:
        result = evoopt.evolve(
            evoopt.SNES(net.init(0), sigma=0.1, popsize=8, seed=0), task, max_generations=2, executor=executor
        )
    again = evoopt.evolve(evoopt.SNES(net.init(0), sigma=0.1, popsize=8, seed=0), task, max_generations=2)
    assert np.array_equal(result.x, again.x)
    print("same")
"""
    )
    assert run_python(program) == "same\n"


CACHE_REPORT = """
import logging
records = []

class Keep(logging.Handler):
    def emit(self, record):
        records.append(record.getMessage())

logging.getLogger("evoopt").addHandler(Keep())
logging.getLogger("evoopt").setLevel(logging.INFO)
"""


def report(sizes):
    """Return a program that runs a network and prints the cache statistics of its kernels."""
    return (
        CACHE_REPORT
        + f"""
import gc
import numpy as np
import evoopt
from numba.core.dispatcher import Dispatcher

*hidden, last = {sizes}
net = evoopt.Network([evoopt.Dense(n, "tanh") for n in hidden] + [evoopt.Dense(last)], input_shape=(5,))
population = np.stack([net.init(0)] * 6)
evoopt.Supervised(net, np.ones((90, 5), "f"), np.zeros(90, int))(population)
net.forward(population, np.ones((2, 5)))
kernels = [f for f in gc.get_objects() if isinstance(f, Dispatcher) and "evoopt" in f.py_func.__module__]
stats = [k.stats for k in kernels if k.stats.cache_path]
print(sum(sum(s.cache_hits.values()) for s in stats), sum(sum(s.cache_misses.values()) for s in stats))
print(sum("compiling" in r for r in records))
"""
    )


@needs_jit
def test_a_warm_cache_serves_a_network_not_seen_before(run_python, tmp_path):
    def counts(sizes):
        first, compiled = run_python(report(sizes), NUMBA_CACHE_DIR=str(tmp_path)).splitlines()
        return *map(int, first.split()), int(compiled)

    hits, misses, compiled = counts([16, 3])
    assert (hits, misses > 5, compiled) == (0, True, misses)
    hits, misses, compiled = counts([7, 30, 30, 2])
    assert (hits > 5, misses, compiled) == (True, 0, 0)


@needs_jit
def test_an_edited_kernel_source_is_not_served_stale(run_python, tmp_path):
    install = tmp_path / "install"
    shutil.copytree(ROOT / "evoopt", install / "evoopt", ignore=shutil.ignore_patterns("__pycache__"))
    program = """
import numpy as np
from evoopt.kernels.cpu.population.fingerprint import sum_mixed_words  # compiles in a moment
found = np.zeros(1, np.uint64)
sum_mixed_words(np.full((1, 1), 7, np.uint32), 0, found, 0, 1)
print(found[0] == 7)
"""
    environment = {"NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": str(install)}
    assert run_python(program, cwd=tmp_path, **environment) == "False\n"
    rules = install / "evoopt" / "rules" / "fingerprint.py"
    rules.write_text(rules.read_text().replace("return sum_of_words(first, ", "return word + 0 * ("))
    assert run_python(program, cwd=tmp_path, **environment) == "True\n"


@pytest.mark.parametrize("home", ["blocked", "relative"])  # a "~" without a home stays relative
def test_a_read_only_install_without_a_home(run_python, tmp_path, home):
    install = tmp_path / "install"
    shutil.copytree(ROOT / "evoopt", install / "evoopt", ignore=shutil.ignore_patterns("__pycache__"))
    blocked = tmp_path / "file"
    blocked.write_text("a file cannot hold a folder, even for root")
    nowhere = str(blocked / "home") if home == "blocked" else "nowhere"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for path in [install, *install.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    output = run_python(
        """
import warnings
import evoopt
with warnings.catch_warnings(record=True) as warned:
    warnings.simplefilter("always")
    for seed in (0, 1):  # two kernels, which are compiled at the first
        evoopt.SNES([0.0] * 3, 1.0, seed=seed).ask()
print(evoopt.__file__)
print(*(f"{w.category.__name__}: {w.message}" for w in warned), sep="\\n", end="")
""",
        cwd=elsewhere,
        PYTHONPATH=str(install),
        HOME=nowhere,
        XDG_CACHE_HOME=nowhere,
        NUMBA_CACHE_DIR="",
        PYTHONDONTWRITEBYTECODE="1",
    )
    file, *warned = output.splitlines()
    assert Path(file).is_relative_to(install)
    assert len(warned) == (0 if JIT_DISABLED else 1), warned
    for warning in warned:
        assert warning.startswith("RuntimeWarning: Compiled kernels cannot be kept on disk")
        assert "every process" in warning
        assert "NUMBA_CACHE_DIR" in warning
    assert not list(elsewhere.iterdir())


@needs_jit
def test_the_first_use_on_a_machine_is_announced_to_those_who_asked(tmp_path):
    pytest.importorskip("tqdm")
    program = """
import numpy as np
import evoopt
def train(strategy, progress=False):
    evoopt.evolve(strategy, lambda rows: (rows**2).sum(axis=1), max_generations=3, progress=progress)

train(evoopt.SNES(np.ones(3), 0.5, seed=1))
for seed in (1, 2):
    train(evoopt.DeepGA(np.ones(3), 0.5, seed=seed), progress=True)
for seed in (1, 2):
    options = {"disp": True, "maxiter": 2, "seed": seed}
    evoopt.minimize(lambda x: (x**2).sum(), np.ones(3), method="ga", options=options)
"""

    def said():
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", program],
            cwd=ROOT,
            env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        )
        return [text.count("Compiling kernels") for text in (done.stderr, done.stdout)]

    assert said() == [1, 1]  # the progress bar and disp each print once
    assert said() == [0, 0]


@needs_jit
def test_a_cache_that_can_be_read_but_not_written_is_used(run_python, tmp_path):
    """Cached kernels are used; others are compiled, and one warning says so."""
    program = """
import sys
import warnings
import evoopt
from evoopt.compiling.cache import KernelLocator

def refuse(self):
    raise PermissionError(13, "read-only")

first, *others = sys.argv[1:]
if first == "read-only":
    KernelLocator.ensure_cache_path = refuse
for name in others:
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        getattr(evoopt, name)([0.0] * 3, 1.0).ask()
    print(name, *(w.category.__name__ for w in warned))
"""

    def warned(*arguments):
        return run_python(program, *arguments, NUMBA_CACHE_DIR=str(tmp_path)).splitlines()

    assert warned("writable", "SNES") == ["SNES"]
    assert warned("read-only", "SNES", "XNES", "OpenAIES") == ["SNES", "XNES RuntimeWarning", "OpenAIES"]


@needs_jit
def test_a_users_function_works_in_any_process(run_python):
    """A function's address is valid in one process; a pickled network makes its own."""
    run_python(
        """
import pickle, numba, numpy as np
import evoopt

@numba.njit
def cube(x):
    return x * x * x

net = evoopt.Network([evoopt.Dense(2, cube)], input_shape=(2,))
population, inputs = np.ones((3, net.spec.size)), np.ones((20, 2))
assert (net.forward(population, inputs) == 27).all()
assert (pickle.loads(pickle.dumps(net)).forward(population, inputs) == 27).all()
"""
    )


@needs_jit
@pytest.mark.skipif(platform.machine() not in {"x86_64", "AMD64"}, reason="names features of x86")
@pytest.mark.parametrize(
    ("features", "dtypes", "vectors"),  # both dtypes, vectors of both widths, with and without "fma"
    [
        ("", "float32 float64", "16 2 False"),
        ("+avx", "float32", "32 2 False"),
        ("+avx,+avx2,+fma", "float64", "32 2 True"),
    ],
)
def test_tiles_follow_the_host(run_python, tmp_path, features, dtypes, vectors):
    """The code for another machine is tested as far as this one can run it."""
    missing = [name for name in features.split(",") if name and not get_host_cpu_features()[name[1:]]]
    if missing:
        pytest.skip(f"this machine has no {missing}")
    program = """
import sys
import numpy as np
import evoopt
from evoopt.kernels.cpu.emit.vectors import host_vectors

rng = np.random.default_rng(0)
net = evoopt.Network([evoopt.Dense(21, "tanh"), evoopt.Dense(9)], input_shape=(5,))
for dtype in map(np.dtype, sys.argv[1:]):
    tolerance = {4: 1e-5, 8: 1e-13}[dtype.itemsize]
    population = rng.normal(size=(3, net.spec.size)).astype(dtype)
    params = net.spec.unravel(population.astype(float))
    first, second = params["dense_0"], params["dense_1"]
    for batch in (3, 50, 77):
        inputs = rng.normal(size=(batch, 5))
        hidden = np.tanh(inputs @ first["kernel"] + first["bias"][:, None])
        expected = hidden @ second["kernel"] + second["bias"][:, None]
        assert np.abs(net.forward(population, inputs) - expected).max() < tolerance * np.abs(expected).max()
print(*host_vectors())
"""
    environment = {
        "NUMBA_CPU_NAME": "generic",
        "NUMBA_CPU_FEATURES": features,
        "NUMBA_CACHE_DIR": str(tmp_path),
    }
    assert run_python(program, *dtypes.split(), **environment).strip() == vectors


@pytest.mark.parametrize(("n_threads", "grain"), [(1, 1), (2, 1), (5, 1), (2, 300)])
def test_ranges_cover_everything_once(n_threads, grain):
    before = threads.get_num_threads()
    threads.set_num_threads(n_threads)
    try:
        for n in (1, 2, 7, 1000, 7424):
            ranges = []
            threads.run(lambda found, lo, hi: found.append((lo, hi)), n, ranges, grain=grain)
            assert [i for lo, hi in sorted(ranges) for i in range(lo, hi)] == list(range(n))
            assert len(ranges) <= min(2 * n_threads * threads.SMALLEST_SHARE, -(-n // grain))
    finally:
        threads.set_num_threads(before)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a fork")
def test_a_process_of_a_pool_looks_after_its_parent_before_its_first_job(run_python):
    code = """
import multiprocessing, threading
from concurrent.futures import ProcessPoolExecutor
from evoopt.workers.crew import Crew
from evoopt.workers.workers import Workers

with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as pool:
    Crew(Workers(pool), "task")
    print(pool.submit(threading.active_count).result())
"""
    assert run_python(code) == "2\n"
