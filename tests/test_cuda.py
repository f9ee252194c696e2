"""CUDA without a GPU: the tests of tests/cuda in the simulator, in processes of their own."""

import os
import subprocess
import sys

import pytest
from conftest import JIT_DISABLED, ROOT

pytest.importorskip("numba_cuda", reason="the package numba-cuda is not installed")

FILES = sorted(path.name for path in (ROOT / "tests" / "cuda").glob("test_*.py"))


@pytest.mark.skipif(JIT_DISABLED, reason="the simulator has run beside the JIT")
@pytest.mark.parametrize("file", FILES)
def test_in_the_simulator(file):
    done = subprocess.run(
        [sys.executable, "-m", "pytest", f"tests/cuda/{file}", "-n", "0"],
        cwd=ROOT,
        env={**os.environ, "NUMBA_ENABLE_CUDASIM": "1", "NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
