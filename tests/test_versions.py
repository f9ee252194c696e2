"""The report of `show_versions`, and ``python -m evoopt``, which also tests that evoopt works."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from helpers import JIT_DISABLED, ROOT
from numba import config

import evoopt
from evoopt import selfcheck, versions
from evoopt.compiling import cache

FAULT = """
import runpy
import evoopt
forward = evoopt.Network.forward
evoopt.Network.forward = lambda *arguments: forward(*arguments) + 0.1
runpy.run_module("evoopt", run_name="__main__")
"""


@pytest.fixture
def shown(capsys):
    """Return a function that returns the output of `show_versions` as a dict."""

    def show():
        evoopt.show_versions()
        lines = capsys.readouterr().out.splitlines()
        width = max(map(len, (*versions.OPTIONAL, "kernel cache")))
        return {line[:width].rstrip(): line[width + 2 :] for line in lines}

    return show


def test_versions_and_the_machine(shown):
    found = shown()
    assert [*found][:6] == ["evoopt", "Python", "numba", "llvmlite", "numpy", "scipy"]
    assert found["evoopt"] == evoopt.__version__
    assert found["numpy"] == np.__version__
    assert found["Python"] in sys.version
    assert found["threads"] == str(evoopt.get_num_threads())
    assert " bits" in found["CPU"]
    assert all(found.values())


def test_a_package_that_is_missing(shown, monkeypatch):
    monkeypatch.setattr(versions, "OPTIONAL", ("no-such-package",))
    assert shown()["no-such-package"] == "not installed"


def test_optional_packages_are_not_imported(run_python):
    program = """
import sys
import evoopt
evoopt.show_versions()
print(*sys.modules, file=sys.stderr)
assert not {"gymnasium", "tqdm", "matplotlib", "torch", "jax"} & set(sys.modules)
"""
    assert run_python(program).startswith("evoopt ")


@pytest.mark.skipif(JIT_DISABLED, reason="nothing is compiled")
def test_the_kernel_cache(shown, monkeypatch, tmp_path):
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path / "cache"))
    assert shown()["kernel cache"] == str(tmp_path / "cache" / f"evoopt-kernels-{cache.source_stamp()}")
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path)  # root may write anywhere
    assert shown()["kernel cache"] == f"none: {cache.kernel_folder()} cannot be written"


@pytest.mark.skipif(JIT_DISABLED or sys.platform == "win32", reason="nothing is compiled, or no modes")
def test_a_kernel_cache_that_is_not_used(shown, monkeypatch, tmp_path):
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(cache, "first_warning", threading.Lock())
    tmp_path.chmod(0o777)
    with pytest.warns(RuntimeWarning, match="other users may write into"):
        assert shown()["kernel cache"].startswith("none: ")


@pytest.mark.skipif(not JIT_DISABLED, reason="the JIT is on")
def test_without_the_jit(shown):
    assert "NUMBA_DISABLE_JIT" in shown()["kernel cache"]


def test_the_module_checks_itself(run_python):
    *_, empty, last = run_python("-m", "evoopt").partition("\n\n")
    assert empty == "\n\n"
    checked = [line for line in last.splitlines() if not line.startswith("Compiling")]
    assert [line for line in checked if "cpu: " in line] == [
        f"ok      cpu: {what}" for what in selfcheck.CHECKS
    ]
    assert all(line.startswith("ok ") for line in checked)


def test_a_fault_ends_the_module_with_a_sentence():
    done = subprocess.run(
        [sys.executable, "-c", FAULT], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 1
    assert (
        "\nFAILED  cpu: a forward pass agrees with NumPy. The forward pass of a network must be"
        in done.stdout
    )
    assert "\nok      cpu: CMAES" in done.stdout
    assert done.stderr.endswith("evoopt does not work on this machine: 1 of its checks failed.\n")


def fails(*_):
    raise OSError("broken")


def near_nothing(task, population):
    return np.full(len(population), np.nan)


@pytest.mark.parametrize(
    ("part", "fault", "number", "text"),
    [
        (evoopt.Objective, near_nothing, 0, "The optimum of a sphere must be right to"),
        (
            evoopt.Rollout,
            near_nothing,
            2,
            "The return of a pole that is kept upright must be",
        ),
        (evoopt.Rollout, lambda *_: np.array([100.0, 100.0]), 2, "The return of a pole that is pushed"),
        (evoopt.Rollout, fails, 2, "OSError: broken"),
    ],
)
def test_each_check_finds_a_fault(part, fault, number, text, monkeypatch):
    monkeypatch.setattr(part, "__call__", fault)
    monkeypatch.setattr(selfcheck, "why_no_cuda", lambda: "there is none")
    faults = [fault for _, fault in selfcheck.run_checks()]
    assert [place for place, fault in enumerate(faults) if fault] == [number]
    assert faults[number].startswith(text)
