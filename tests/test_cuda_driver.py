"""The whole host side of CUDA on a stand-in driver: launches, memory, streams, errors.

The driver is compiled from tests/pretended_driver.c and runs no kernel. The tests in the simulator
check the numbers that kernels compute.
"""

import shutil
import subprocess

import pytest
from cuda_compiler import why_not
from helpers import ROOT, python_of

COMPILER = shutil.which("cc") or shutil.which("gcc")
pytestmark = [
    pytest.mark.skipif(why_not() is not None, reason=str(why_not())),
    pytest.mark.skipif(COMPILER is None, reason="there is no C compiler"),
]


@pytest.fixture(scope="module")
def pretended(tmp_path_factory):
    folder = tmp_path_factory.mktemp("driver")
    source, library = ROOT / "tests" / "pretended_driver.c", folder / "libcuda.so.1"
    subprocess.run([COMPILER, "-shared", "-fPIC", "-o", library, source], check=True)
    return folder


@pytest.fixture
def run_pretended(pretended, run_python, tmp_path):
    """Return a function that runs a program: its output, and the lines of the driver's log."""

    def run(program, **environment):
        log = tmp_path / "log"
        output = run_python(program, LD_LIBRARY_PATH=str(pretended), PRETENDED_LOG=str(log), **environment)
        return output, log.read_text().splitlines() if log.exists() else []

    return run


def test_kernels_get_what_numba_would_give_them(run_pretended):
    """The words of each argument equal the words that numba-cuda's own launch packs."""
    _, log = run_pretended(
        """
import os, warnings
import numpy as np
from numba import cuda
from evoopt.kernels.cuda.population import noise, rows, vectors
from evoopt.kernels.cuda.runtime.memory import DeviceArray
from evoopt.kernels.cuda.runtime.stream import Stream
from evoopt.strategies import snes

warnings.simplefilter("ignore")  # of numba, about small grids
stream = Stream()
f, u, i = stream.empty((5, 12), np.float32), stream.empty(5, np.uint64), stream.empty(5, np.int64)
d = [stream.empty(12, np.float64) for _ in range(6)]

def theirs(x):
    if isinstance(x, tuple):
        return tuple(map(theirs, x))
    return cuda.as_cuda_array(x, sync=False) if isinstance(x, DeviceArray) else x

for kernel, words, arguments in (
    (noise.sample_rows(np.dtype("f4")), 31, (np.uint64(2**63 + 9), u, d[0], d[1], f)),
    (rows.gather_rows, 36, (i, f, 3, f, np.float32(2.5), f)),
    (vectors.map_vectors(snes.step), 48, (tuple(d[:2]), (*d[2:], 1.5, -2.5, 3.5, 4.5, np.float64(5)), 12)),
):
    os.environ["PRETENDED_WORDS"] = str(words)
    stream.launch(kernel, (2 * kernel.per_block[0], 3), *arguments)
    kernel.compiled[(2, 3), kernel.threads](*map(theirs, arguments))
"""
    )
    launches = [line for line in log if line.startswith("launch")]
    assert len(launches) == 6
    for ours, numbas in zip(launches[::2], launches[1::2], strict=True):
        assert ours == numbas


def test_everything_runs_and_all_memory_goes_back(run_pretended):
    output, log = run_pretended(
        """
import ctypes, gc
import numpy as np
import evoopt
from evoopt.kernels.cuda.runtime.stream import Stream
from helpers.strategies import ON_DEVICE, injects

net = evoopt.Network([evoopt.Dense(256, "tanh"), evoopt.Dense(10)], input_shape=(64,), device="cuda")
inputs, labels = np.ones((300, 64)), np.arange(300) % 10
tasks = [evoopt.Supervised(net, inputs, labels, batch_size=size) for size in (None, 100)]
player = evoopt.Network([evoopt.Dense(2)], input_shape=(4,), device="cuda")
tasks.append(evoopt.Rollout(player, evoopt.envs.cartpole))
for cls in (*ON_DEVICE.values(), evoopt.CMAES):
    for task in tasks:
        if cls is evoopt.CMAES and task.net is net:
            continue
        options = {"noisy": task.noisy, "maximize": task.maximize, "device": "cuda"}
        es = cls(task.net.init(seed=0), 0.1, popsize=8, seed=1, **options)
        assert evoopt.evolve(es, task, max_generations=3).nit == 3
own = Stream().to_device(np.ones((8, 3, 4)), np.float32)
assert player.forward(Stream().empty((8, player.spec.size), np.float32), own).shape == (8, 3, 2)

# (each formula of a strategy becomes a kernel: all that there are)
for name, options in (
    ("OpenAIES", {"optimizer": "sgd", "sigma_decay": 0.9, "weight_decay": 0.1}),
    ("OpenAIES", {"optimizer": "clipup"}),
    ("PGPE", {"optimizer": "adam"}),
    ("GA", {"crossover": "sbx", "mutation": "polynomial", "mutation_rate": 0.5}),
    ("GA", {"crossover": "uniform", "self_adaptation": False, "sigma_decay": 0.9, "elites": 2}),
    ("SNES", {"maximize": True}),
    *((name, {}) for name in ON_DEVICE),
):
    for dtype in (np.float32, np.float64):
        for bounds in (None, (-3.0, 3.0)):
            es = getattr(evoopt, name)(
                np.zeros(6, dtype), 0.5, popsize=8, seed=1, bounds=bounds, device="cuda", **options
            )
            if injects(type(es)):  # at first, as all rows have the same fingerprint here
                es.tell(np.full((3, 6), 0.25, dtype), np.arange(3.0))
            late = es.ask_ids(4)
            for _ in range(2):
                rows = es.ask()
                es.tell(rows, np.arange(8.0))
                es.stop()
            es.tell(late, np.arange(4.0))

del es, task, tasks, net, player, own, rows
gc.collect()
print(ctypes.CDLL("libcuda.so.1").pretended_allocations())
"""
    )
    assert output == "0\n"
    launches = [line.split() for line in log if line.startswith("launch")]
    assert max(int(words[-1]) for words in launches) > 48 * 1024  # refused without a request


def test_every_choice_compiles(run_pretended):
    """The compiler may refuse losses, environments or activations that the simulator accepts."""
    run_pretended(
        """
import numpy as np
import evoopt
from evoopt.rules.losses import LOSSES
from evoopt.rules.math import ELEMENTWISE

def network(n_in, *units):
    return evoopt.Network([evoopt.Dense(*n) for n in units], input_shape=(n_in,), device="cuda")

def rows(net):
    return np.ones((2, net.spec.size), np.float32)

inputs, ones = np.ones((12, 4)), np.ones((12, 3))
targets = dict.fromkeys(("signs", "chances", "values"), ones)
targets |= {"labels": np.arange(12) % 3, "probabilities": ones / 3}
for loss, meaning in ((name, meaning) for name in LOSSES for meaning in LOSSES[name]):
    net, numbers = network(4, (3,)), targets[meaning]
    if (loss, meaning) == ("error_rate", "signs"):
        net, numbers = network(4, (1,)), ones[:, :1]
    evoopt.Supervised(net, inputs, numbers, loss)(rows(net))
for name in ("cartpole_swingup_hard", "pendulum", "mountain_car", "mountain_car_continuous"):
    env = getattr(evoopt.envs, name)  # (others are in tests/cuda_compiler.py)
    net = network(env.observation_size, (env.n_actions,))
    evoopt.Rollout(net, env, max_steps=3)(rows(net))
everything = [*ELEMENTWISE, "softmax", "linear"]
for activations, batch in ((["softmax"], 1), (everything, 12)):  # a few samples of each row, and tiles
    net = network(4, *((3, activation) for activation in activations))
    net.forward(rows(net), np.ones((batch, 4)))
"""
    )


def test_the_page_about_cuda_runs(run_pretended):
    """All blocks run but the one that needs torch and a GPU, which test_docs.py runs there."""
    code, found, _ = python_of(ROOT / "docs" / "reference" / "cuda.md").partition("import torch")
    _, log = run_pretended(code)
    assert found
    assert any(line.startswith("launch") for line in log)


def test_the_device_has_a_name(run_pretended):
    output, _ = run_pretended(
        """
import evoopt
evoopt.show_versions()
"""
    )
    (line,) = (line for line in output.splitlines() if line.startswith("CUDA"))
    assert line.split() == ["CUDA", "pretended"]


def test_streams_wait_for_each_other(run_pretended):
    """A kernel runs after queued work on its arrays' streams, and before later work there."""
    _, log = run_pretended(
        """
import numpy as np
from evoopt.kernels.cuda.population.rows import mean_rows
from evoopt.kernels.cuda.runtime.stream import Stream

ours, theirs = Stream(), Stream()
numbers, out = theirs.empty(6, np.float64), ours.empty(3, np.float64)
ours.launch(mean_rows, 3, numbers, 2, 2.0, out)
with open("/dev/stdout", "w") as file:
    print(hex(ours.number), hex(theirs.number), file=file)
"""
    )
    kinds = [line.split()[0] for line in log]
    assert kinds == ["record", "wait", "launch", "record", "wait"]
    (before, event), (ours, waited), (same, done), (theirs, awaited) = (
        line.split()[1:] for line in log if not line.startswith("launch")
    )
    assert (before, same, event, done) == (theirs, ours, waited, awaited)
    assert ours != theirs


def test_streams_of_other_libraries(run_pretended):
    """Their stream waits for arrays that we lend; we wait for a library that names no stream."""
    output, log = run_pretended(
        """
import numpy as np
from lender import Lender
from evoopt.kernels.cuda.population.rows import mean_rows
from evoopt.kernels.cuda.runtime.stream import Stream

ours, theirs = Stream(), Stream()
for number in (theirs.number, None, 1, -1):
    capsule = ours.empty(3, np.float64).__dlpack__(stream=number)
    del capsule
lent = ours.adopt(Lender(theirs.empty(6, np.float64)))
ours.launch(mean_rows, 3, lent, 2, 2.0, ours.empty(3, np.float64))
print(hex(ours.number), hex(theirs.number))
"""
    )
    ours, theirs = output.split()
    kinds = [" ".join(line.split()[:2]) if "launch" not in line else "launch" for line in log]
    assert kinds == [
        *(f"record {ours}", f"wait {theirs}", "synchronize"),
        *(f"record {ours}", "wait 0x1") * 2,  # the default stream, which our stream waits for
        "synchronize",
        *(f"record {theirs}", f"wait {ours}"),  # waits that the other library was asked for
        *(f"record {ours}", f"wait {ours}", "launch", "synchronize"),
    ]


def test_too_much_memory_and_other_errors(run_pretended):
    output, _ = run_pretended(
        """
import numpy as np
import evoopt
from evoopt.kernels.cuda.population.rows import mean_rows
from evoopt.kernels.cuda.runtime.stream import Stream

es = evoopt.SNES(np.zeros(1000, np.float32), 0.1, popsize=1000, seed=1, device="cuda")
try:
    es.ask()
except MemoryError as error:
    print(error)
stream = Stream()
numbers, out = stream.empty(6, np.float64), stream.empty(3, np.float64)
try:
    stream.launch(mean_rows, 0, numbers, 2, 2.0, out)
except RuntimeError as error:
    print(error)
""",
        PRETENDED_MEMORY="1000000",
    )
    assert output.splitlines() == [
        "4,000,000 bytes of the device's memory were asked for, but 1,073,741,824 are free; take fewer rows.",
        "CUDA failed: pretended, pretended.",
    ]


def test_what_the_pool_keeps_is_given_back_when_memory_is_short(run_pretended):
    output, _ = run_pretended(
        """
import numpy as np
from evoopt.kernels.cuda.runtime.stream import Stream

stream = Stream()
for size in (700, 600, 800, 900):  # of 1000 bytes
    stream.empty(size, np.uint8)
held = stream.empty(300, np.uint8)
try:
    stream.empty(701, np.uint8)
except MemoryError as error:
    print(error)
""",
        PRETENDED_DEVICE="1000",
    )
    assert output.startswith("701 bytes of the device's memory were asked for, but ")


def test_pinned_memory_may_change_after_a_copy(run_pretended):
    """The driver reads pinned memory when the host waits, and other memory before it returns."""
    output, _ = run_pretended(
        """
import ctypes
import numpy as np
from evoopt.kernels.cuda.runtime.stream import Stream

stream, host = Stream(), np.arange(6.0)
ctypes.CDLL("libcuda.so.1").pretended_pin(ctypes.c_void_p(host.ctypes.data), ctypes.c_size_t(host.nbytes))
whole, part = stream.to_device(host, np.float64), stream.to_device(host[2:4], np.float64)
stream.copy(host[:2], whole[4:])
host[:] = 7
print(np.asarray(whole).tolist(), np.asarray(part).tolist())
"""
    )
    assert output == "[0.0, 1.0, 2.0, 3.0, 0.0, 1.0] [2.0, 3.0]\n"


OWNERS = """
import gc
import numpy as np
import evoopt
from evoopt.kernels.cuda.runtime.stream import Stream

net = evoopt.Network([evoopt.Dense(3)], input_shape=(4,), device="cuda")
tasks = evoopt.Supervised(net, np.ones((9, 4)), np.arange(9) % 3), evoopt.Rollout(
    evoopt.Network([evoopt.Dense(2)], input_shape=(4,), device="cuda"), evoopt.envs.cartpole, max_steps=3
)
es = evoopt.SNES(net.init(seed=0), 0.1, popsize=4, seed=1, device="cuda")
rows = es.ask()
fitness = tasks[0](rows)
es.tell(rows, fitness)
array = Stream().to_device(np.ones(3), np.float64)
"""


@pytest.mark.parametrize(
    "end",
    [
        "",  # globals at the end of Python
        "import sys\nfor name in ('net', 'es', 'array'): setattr(np, 'kept_' + name, globals()[name])",
        "things = [net, tasks, es, rows, fitness, array]\nthings.append(things)\n"
        "del net, tasks, es, rows, fitness, array, things\ngc.collect()\n"
        # a cycle with arrays before their stream, and one with arrays after it
        "a, b = Stream(), Stream()\nfirst = [a, a.empty(3, np.float64)]\nlast = [b.empty(3, np.float64), b]\n"
        "first.append(first), last.append(last)\ndel a, b, first, last\ngc.collect()\n"
        "import threading\nthings = [Stream().empty(3, np.float64)]\n"
        "thread = threading.Thread(target=things.clear)\nthread.start()\nthread.join()",
    ],
    ids=["globals", "in a module", "cycles and a thread"],
)
def test_no_memory_goes_back_on_a_stream_that_is_gone(end, run_pretended):
    _, log = run_pretended(OWNERS + end)
    assert any(line.startswith("launch") for line in log)
    assert not [line for line in log if "destroyed" in line]


def test_the_next_object_gets_the_stream(run_pretended):
    output, _ = run_pretended(
        """
from evoopt.kernels.cuda.runtime.stream import Stream

numbers = set()
for _ in range(20):
    numbers.add(Stream().number)
both = {Stream().number for _ in [Stream()]} | {Stream().number}
print(len(numbers), len({stream.number for stream in [Stream(), Stream(), Stream()]}))
"""
    )
    assert output == "1 3\n"


def test_a_forked_process_has_no_device(run_pretended):
    """The child says so, and forgets its parent's objects, with which the parent goes on."""
    output, _ = run_pretended(
        OWNERS
        + """
import os, warnings
warnings.simplefilter("ignore")  # of forks beside threads
if (child := os.fork()) == 0:
    try:
        es.ask()
    except RuntimeError as error:
        print(error, flush=True)
    del rows, fitness, array, net, tasks, es
    gc.collect()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
es.tell(es.ask(), np.arange(4.0))
print("the parent goes on")
"""
    )
    assert output.splitlines() == [
        "CUDA must be used in the process that first used it, got a fork of that process; start "
        'processes by multiprocessing.get_context("spawn").',
        "the parent goes on",
    ]


def test_more_than_a_grid_has_is_launched_in_parts(run_pretended):
    """Samples of each row, and episodes, are blocks along y, of which a device takes 65,535."""
    _, log = run_pretended(
        """
import numpy as np
import evoopt
from evoopt.kernels.cuda.runtime.stream import Stream

net = evoopt.Network([evoopt.Dense(1)], input_shape=(1,), device="cuda")
rows = np.ones((2, net.spec.size), np.float32)
assert net.forward(rows, Stream().empty((2, 524_290, 1), np.float32)).shape == (2, 524_290, 1)
player = evoopt.Network([evoopt.Dense(1)], input_shape=(2,), device="cuda")
task = evoopt.Rollout(player, evoopt.envs.mountain_car_continuous, episodes=524_290, max_steps=1)
assert task(np.ones((2, player.spec.size), np.float32)).shape == (2,)
"""
    )
    grids = [line.split()[2] for line in log if line.startswith("launch")]
    assert grids[:4] == ["1,65535,1", "1,2,1"] * 2
    assert grids[-5:-1] == ["1,65535,1", "1,2,1"] * 2


@pytest.mark.parametrize("environment", [{}, {"PRETENDED_NO_POOLS": "1"}])
def test_python_threads_do_not_disturb_each_other(environment, run_pretended):
    output, _ = run_pretended(
        """
import ctypes, gc
from concurrent.futures import ThreadPoolExecutor
import numpy as np
import evoopt

def search(seed):
    es = evoopt.SNES(np.zeros(50, np.float32), 0.1, popsize=8, seed=seed, device="cuda")
    for _ in range(20):
        rows = es.ask()
        es.tell(rows, np.arange(8.0))
    return es.generation

with ThreadPoolExecutor(4) as pool:
    assert list(pool.map(search, range(8))) == [20] * 8
gc.collect()
print(ctypes.CDLL("libcuda.so.1").pretended_allocations())
""",
        **environment,
    )
    assert output == "0\n"
