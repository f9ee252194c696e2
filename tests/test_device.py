"""Asking for a device: words, packages and drivers that are missing."""

import importlib.util

import numpy as np
import pytest
from conftest import SIMULATED

import evoopt
from evoopt.kernels import device
from evoopt.kernels.device import read_device

HAS_PACKAGE = importlib.util.find_spec("numba_cuda") is not None
with_package = pytest.mark.skipif(not HAS_PACKAGE or SIMULATED, reason="needs numba-cuda, not simulated")


@pytest.fixture(autouse=True)
def forget():
    device._require_cuda.cache_clear()
    yield
    device._require_cuda.cache_clear()


def hide(monkeypatch, *names):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name in names else found(name, *a)
    )


def test_other_words_are_refused():
    for word in ("gpu", "cuda:0", None, 0):
        with pytest.raises(ValueError, match='A device of "cpu" or "cuda" was expected'):
            read_device(word)
    assert read_device("cpu") == "cpu"


def test_without_the_package(monkeypatch):
    hide(monkeypatch, "numba_cuda")
    with pytest.raises(
        ImportError, match=r'numba-cuda, which is not installed; pip install "evoopt\[cuda\]"'
    ):
        read_device("cuda")
    for make in (
        lambda: evoopt.SNES(np.zeros(2), 1.0, device="cuda"),
        lambda: evoopt.Network([evoopt.Dense(1)], (2,), device="cuda"),
    ):
        with pytest.raises(ImportError, match="numba-cuda"):
            make()


@with_package
def test_without_the_bindings(monkeypatch):
    hide(monkeypatch, "cuda.bindings")
    with pytest.raises(ImportError, match=r'cuda-bindings, which is missing; pip install "evoopt\[cuda\]"'):
        read_device("cuda")


@with_package
def test_without_the_compiler(monkeypatch):
    from numba.cuda.cudadrv import nvvm

    monkeypatch.setattr(nvvm, "is_available", lambda: False)
    with pytest.raises(ImportError, match=r'compiler NVVM, which is missing; pip install "evoopt\[cuda\]"'):
        read_device("cuda")


@with_package
def test_without_a_driver(monkeypatch):
    from numba import cuda

    monkeypatch.setattr(cuda, "is_available", lambda: False)
    with pytest.raises(RuntimeError, match=r'needs a GPU of NVIDIA and its driver.*take device="cpu"'):
        read_device("cuda")


def test_importing_does_not_import_cuda(run_python):
    program = (
        "import sys\nimport evoopt\nprint([name for name in sys.modules if name.startswith('numba.cuda')])"
    )
    assert run_python(program).strip() == "[]"


def test_the_cpu_is_the_default():
    net = evoopt.Network([evoopt.Dense(1)], (2,))
    task = evoopt.Supervised(net, np.zeros((2, 2)), np.zeros(2), loss="mse")
    assert (net.device, task.device, evoopt.SNES(np.zeros(2), 1.0).device) == ("cpu", "cpu", "cpu")
