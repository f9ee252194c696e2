"""Shared by all tests."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from numba import config

JIT_DISABLED = bool(config.DISABLE_JIT)

settings.register_profile("evoopt", deadline=None, derandomize=True)  # compilation is slow at the first call
settings.load_profile("evoopt")

ROOT = Path(__file__).parents[1]


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def run_python():
    """Run a program in a new process and give its output; fails with its errors."""

    def run(program, *arguments, cwd=None, **environment):
        command = [
            sys.executable,
            *(["-W", "error", "-c", program] if "\n" in program else [program]),
            *arguments,
        ]
        done = subprocess.run(
            command,
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
