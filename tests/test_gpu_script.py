"""The script benchmarks/gpu.sh with a stand-in for Python, and the ten kernels to compare."""

import os
import subprocess
import sys
import tarfile

import pytest
from helpers import ROOT, needs_bash

sys.path.append(str(ROOT))  # benchmarks are not part of the installed package

from benchmarks.harness import smoke
from benchmarks.harness.smoke import CHECKS, Check

PRETENDER = """#!/bin/sh
case "$*" in
    *purelib*) echo "$PACKAGES";;
    *read_device*) echo "home ${CUDA_HOME:-none}"; exit "${DEVICE:-0}";;
    *forward*--own*) echo "no forward | pass"; exit 3;;
    *tests/cuda*) echo "4 skipped in 0.1s";;
    *) echo "done: $*";;
esac
"""


def program(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def run(tmp_path):
    """Return a function that runs the script and returns exit code and table, step by step."""
    python = program(tmp_path / "python", PRETENDER)

    def run(*arguments, path=(), **environment):
        outside = {**os.environ, "CUDA_ROOT": str(tmp_path / "no"), "PACKAGES": str(tmp_path / "site")}
        outside = {key: text for key, text in outside.items() if key not in ("CUDA_HOME", "CUDA_PATH")}
        outside["PATH"] = os.pathsep.join([*map(str, path), os.environ["PATH"]])
        done = subprocess.run(
            [ROOT / "benchmarks" / "gpu.sh", *arguments, tmp_path / "results"],
            env={**outside, "PYTHON": str(python), **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        summary = (tmp_path / "results" / "summary.md").read_text()
        rows = [line.split(" | ") for line in summary.splitlines() if line.startswith("| ")]
        return done.returncode, {row[0].strip("| "): row[1:] for row in rows if row[0] != "| step"}

    return run


STEPS = ["versions", "device", "smoke", "own-noise", "own-forward", "own-fitness", "own-rollout", "own-neuro"]
STEPS += ["tests", "tests-device", "memcheck", *(step.replace("own", "peers") for step in STEPS[3:])]


@needs_bash
def test_a_step_that_fails_is_reported_and_the_next_one_runs(run, tmp_path):
    sanitizer = program(tmp_path / "bin" / "compute-sanitizer", '#!/bin/sh\necho "checked: $*"\n')
    code, rows = run(path=[sanitizer.parent], WHEELS=str(tmp_path))
    assert code == 1
    assert [*rows] == ["wheels", *STEPS]
    assert rows["tests"][0] == "**all skipped**"
    assert rows["own-forward"][0] == "**failed (3)**"
    assert rows["own-forward"][2].startswith("no forward \\| pass")
    others = rows.keys() - {"tests", "own-forward"}
    assert {rows[step][0] for step in others} == {"ok"}
    assert "--own" in rows["own-neuro"][2]
    assert "--own" not in rows["peers-neuro"][2]
    assert "checked: --tool memcheck" in rows["memcheck"][2]
    assert "benchmarks.harness.smoke" in rows["memcheck"][2]


@needs_bash
@pytest.mark.parametrize("environment", [{"DEVICE": "1"}, {"LIMIT": "4"}])
def test_without_a_device_nothing_else_runs(environment, run):
    code, rows = run(**environment)
    assert code == 1
    assert [*rows] == ["versions", "device"]
    assert rows["device"][0] == ("**failed (1)**" if "DEVICE" in environment else "**not run**")


@needs_bash
def test_parts_of_the_script(run):
    assert [*run("smoke")[1]] == STEPS[:3]
    assert [*run("tests", "smoke")[1]] == [*STEPS[:2], "tests", "tests-device", "smoke"]


@needs_bash
def test_everything_is_in_one_archive(run, tmp_path):
    assert run("smoke", WHEELS=str(tmp_path))[0] == 0
    with tarfile.open(tmp_path / "results.tar.gz") as archive:
        names = set(archive.getnames())
        summary = archive.extractfile("results/summary.md").read().decode()
    assert {f"results/{name}.log" for name in STEPS[:3]} | {"results/summary.md"} < names
    assert not [name for name in names if "packages" in name]
    assert "done: -m benchmarks.harness.smoke" in summary.partition("## smoke")[2]


@needs_bash
@pytest.mark.parametrize("place", ["CUDA_HOME", "nvcc", "CUDA_ROOT", "wheels", None])
def test_the_toolkit_is_found(place, run, tmp_path):
    """A folder with libnvvm is the toolkit; a folder with nvcc alone is not."""
    folder = tmp_path / ("site/nvidia/cu13" if place == "wheels" else "toolkit")
    library = folder / "nvvm" / ("lib" if place == "wheels" else "lib64") / "libnvvm.so.4"
    program(folder / "bin" / "nvcc", "#!/bin/sh\n")
    if place is not None:
        program(library, "")
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    (bin_ / "nvcc").symlink_to(folder / "bin" / "nvcc")
    environment = {place: str(folder)} if place in ("CUDA_HOME", "CUDA_ROOT") else {}
    _, rows = run("smoke", path=[bin_] if place in ("nvcc", None) else [], **environment)
    assert rows["device"][2].strip(" |") == f"home {folder if place else 'none'}"


def test_the_command_of_the_ten_kernels_fails_where_one_is_off(capsys):
    def compute(value):
        return lambda device, sizes: value if device == "cuda" else 1.0

    def raises(device, sizes):
        raise RuntimeError("no device\nat all")

    right, off = Check("right", compute(1.0 + 1e-5), 1e-4), Check("off", compute(1.1), 1e-4)
    missing = Check("missing", compute(float("nan")), 1e-4)
    assert smoke.main([right]) == 0
    assert "1 kernels as on the CPU" in capsys.readouterr().out
    assert smoke.main([right, off, missing, Check("raises", raises, 1e-4)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert ["OFF" in line for line in lines[:4]] == [False, True, True, True]
    assert lines[3].endswith("RuntimeError: no device")
    assert lines[4] == "4 kernels, 3 of them off"
    assert len({check.name for check in CHECKS}) == 10
