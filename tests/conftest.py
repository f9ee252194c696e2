"""Fixtures of all tests, and the choice of tests to collect; helpers stand in tests/helpers."""

import importlib.util
import os
import subprocess
import sys

import quiet_imports

quiet_imports.install()

import numpy as np
import pytest
from hypothesis import settings

pytest.register_assert_rewrite("helpers")

from helpers import ROOT, SIMULATED, why_no_cuda

from evoopt import memory

settings.register_profile("evoopt", deadline=None, derandomize=True)  # compilation is slow at the first call
settings.load_profile("evoopt")

QUIET_IMPORTS = f"""
import sys
sys.path.append({str(ROOT / "tests")!r})
import quiet_imports
quiet_imports.install()
"""
if SIMULATED:
    from cuda_simulator import take_turns

    take_turns()


def pytest_ignore_collect(collection_path):
    """Ignore files that cannot even be imported."""
    without = importlib.util.find_spec("numba_cuda") is None
    return True if without and collection_path.name == "cuda" else None


def pytest_collection_modifyitems(items):
    for item in items:
        if "cuda" in item.path.parts and (reason := why_no_cuda()):
            item.add_marker(pytest.mark.skip(reason=reason))
        elif "gpu" in item.keywords and SIMULATED:
            item.add_marker(pytest.mark.skip(reason="real sizes need a GPU"))


@pytest.fixture
def poisoned():
    """Return a function that makes device arrays of NaN, so that unwritten numbers are seen."""
    from evoopt.kernels.cuda.runtime.stream import Stream

    stream = Stream()
    return lambda shape, dtype=np.float32: stream.to_device(np.full(shape, np.nan), dtype)


@pytest.fixture(scope="session")
def ptx_driver(tmp_path_factory):
    """Return the driver of the PTX machine, which tests call directly."""
    from ptx_machine.client import Client

    return Client(tmp_path_factory.mktemp("machine"))


@pytest.fixture
def ptx_client(ptx_driver):
    """Return the client of the driver, with no findings so far."""
    ptx_driver.findings()
    return ptx_driver


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def run_python():
    """Return a function that runs a program or file in a new process and returns its output.

    It fails with the errors of the process. In a program warnings are errors, as in the tests.
    """

    def run(program, *arguments, cwd=None, **environment):
        strict = ["-W", "error", "-c", QUIET_IMPORTS + program]
        done = subprocess.run(
            [sys.executable, *(strict if "\n" in program else [program]), *arguments],
            cwd=cwd or ROOT,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.fixture
def container(monkeypatch, tmp_path):
    """Return a function that sets the memory limit of the container around this process."""
    limit = tmp_path / "memory.max"

    def set_limit(text):
        limit.write_text(f"{text}\n")
        memory.available.cache_clear()

    monkeypatch.setattr(memory, "CONTAINER_LIMIT", limit)
    yield set_limit
    memory.available.cache_clear()
