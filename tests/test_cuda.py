"""CUDA without a GPU: the tests of tests/cuda in the simulator, in a process of its own."""

import os
import subprocess
import sys

import pytest
from helpers import JIT_DISABLED, ROOT

pytest.importorskip("numba_cuda", reason="the package numba-cuda is not installed")


@pytest.mark.skipif(JIT_DISABLED, reason="the simulator has run beside the JIT")
def test_in_the_simulator():
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "tests/cuda", "-n", "0"],
        cwd=ROOT,
        env={**os.environ, "NUMBA_ENABLE_CUDASIM": "1", "NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
