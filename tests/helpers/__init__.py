"""Helpers of tests of all subjects; each other file here serves one subject."""

import importlib.util
import shutil
from pathlib import Path

import numpy as np
import pytest
from numba import config

ROOT = Path(__file__).parents[2]
JIT_DISABLED = bool(config.DISABLE_JIT)
SIMULATED = bool(config.ENABLE_CUDASIM)

needs_jit = pytest.mark.skipif(JIT_DISABLED, reason="a whole optimization is slow in plain Python")
needs_bash = pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])


def why_no_cuda():
    """Return why tests/cuda cannot run here, on a GPU or simulated; None if it can."""
    if importlib.util.find_spec("numba_cuda") is None:
        return "the package numba-cuda is not installed"
    from numba import cuda

    return None if SIMULATED or cuda.is_available() else "there is no GPU, and the simulator is off"


def skip_without(packages):
    """Skip a test unless packages are installed, which the tests of .ci/optional have."""
    for package in packages:
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"the package {package} is not installed")


def python_of(page):
    """Return the Python blocks of a page; other lines become empty, so that line numbers stay."""
    lines, language = [], None
    for line in page.read_text().splitlines():
        fence = line.startswith("```")
        lines.append(line if language == "python" and not fence else "")
        if fence:
            language = None if language else line[3:] or "text"
    return "\n".join(lines)
