"""The device argument, and the errors for a device that cannot be used."""

import importlib.util

import pytest
from helpers import SIMULATED

from evoopt.devices.available import read_device, require_cuda

INSTALL = r'pip install "evoopt\[cuda\]"'

needs_package = pytest.mark.skipif(
    importlib.util.find_spec("numba_cuda") is None or SIMULATED,
    reason="the package numba-cuda is not installed, or CUDA is simulated",
)


@pytest.fixture(autouse=True)
def forgotten():
    """Forget the findings of other tests."""
    require_cuda.cache_clear()
    yield
    require_cuda.cache_clear()


def no_gpu():
    from numba import cuda

    return not cuda.is_available()


def test_cpu():
    assert read_device("cpu") == "cpu"


@pytest.mark.parametrize("word", ["gpu", "cuda:0", "CUDA", "", None, 0, True, [], {}])
def test_another_word(word):
    with pytest.raises(ValueError, match=r'^device must be "cpu" or "cuda", got .*\.$'):
        read_device(word)


@pytest.mark.parametrize(
    ("module", "package"),
    [("numba_cuda", "numba-cuda"), ("cuda", "cuda-core"), ("cuda.bindings", "cuda-bindings")],
)
def test_without_a_package(module, package, monkeypatch):
    there = importlib.util.find_spec("json")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == module else there)
    with pytest.raises(ImportError, match=rf"needs the package {package}, .*; {INSTALL}\.$"):
        read_device("cuda")


def test_where_numba_cuda_was_never_installed(run_python):
    output = run_python(
        """
from importlib.machinery import PathFinder

find = PathFinder.find_spec
hidden = ("numba_cuda", "cuda")
PathFinder.find_spec = lambda name, *more: None if name.split(".")[0] in hidden else find(name, *more)

import evoopt
from evoopt.devices.available import read_device

evoopt.SNES([0.0] * 3, sigma=1.0, popsize=4).ask()
try:
    read_device("cuda")
except ImportError as error:
    print(error)
"""
    )
    assert output == (
        'device="cuda" needs the package numba-cuda, which is not installed; pip install "evoopt[cuda]".\n'
    )


@needs_package
@pytest.mark.parametrize(("library", "package"), [("nvvm", "nvidia-nvvm"), ("nvrtc", "nvidia-cuda-nvrtc")])
def test_a_bare_numba_cuda_has_no_compiler(library, package, monkeypatch):
    from cuda import pathfinder

    found = pathfinder.load_nvidia_dynamic_lib

    def load(name):
        if name == library:
            raise pathfinder.DynamicLibNotFoundError(name)
        return found(name)

    monkeypatch.setattr(pathfinder, "load_nvidia_dynamic_lib", load)
    with pytest.raises(ImportError, match=rf"{library}, of the package {package}, .*; {INSTALL}\.$"):
        read_device("cuda")


@needs_package
def test_an_older_numba_cuda(monkeypatch):
    from numba import cuda

    monkeypatch.setattr(cuda, "implementation", "Built-in")
    with pytest.raises(ImportError, match=rf"an older numba\.cuda was imported before it; {INSTALL}\.$"):
        read_device("cuda")


@needs_package
def test_without_a_gpu():
    if not no_gpu():
        pytest.skip("there is a GPU")
    with pytest.raises(RuntimeError) as raised:
        read_device("cuda")
    message = str(raised.value)
    assert message.startswith('device="cuda" needs an NVIDIA GPU and its driver, but none was found (')
    assert message.endswith('); install the driver, or take device="cpu".')
    assert "\n" not in message
    assert ".)" not in message


@needs_package
@pytest.mark.gpu
def test_with_a_gpu():
    if no_gpu():
        pytest.skip("there is no GPU")
    assert read_device("cuda") == "cuda"


@pytest.mark.skipif(not SIMULATED, reason="CUDA is not simulated")
def test_the_simulator_needs_no_driver():
    assert read_device("cuda") == "cuda"


def test_importing_evoopt_imports_no_cuda(run_python):
    program = """
import sys
import evoopt
print([name for name in sys.modules if name.startswith(("cuda", "numba.cuda", "numba_cuda"))])
"""
    assert run_python(program, NUMBA_ENABLE_CUDASIM="0") == "[]\n"
