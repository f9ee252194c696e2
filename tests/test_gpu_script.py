"""benchmarks/gpu.sh, with a Python that only pretends."""

import os
import shutil
import subprocess

import pytest
from conftest import ROOT

PRETENDER = """#!/bin/sh
case "$*" in
    *forward*) echo "no forward | pass"; exit 3;;
    *tests/cuda*) echo "4 skipped in 0.1s";;
    *) echo "2 passed in 0.1s";;
esac
"""


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_a_step_that_fails_is_reported_and_the_next_one_runs(tmp_path):
    python = tmp_path / "python"
    python.write_text(PRETENDER)
    python.chmod(0o755)
    done = subprocess.run(
        [ROOT / "benchmarks" / "gpu.sh", tmp_path / "results"],
        env={**os.environ, "PYTHON": str(python), "WHEELS": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    summary = (tmp_path / "results" / "summary.md").read_text()
    assert done.returncode == 1
    assert "| tests | **all skipped** |" in summary
    assert "| tests-device | ok |" in summary
    assert "| forward | **failed (3)** |" in summary
    assert "no forward \\| pass" in summary
    assert "| neuro | ok |" in summary
