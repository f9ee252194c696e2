"""The scripts of .ci find the oldest packages, the Pythons of the machine, and existing tests."""

import os
import re
import subprocess
import sys
import tomllib

import pytest
from helpers import ROOT
from packaging.requirements import Requirement

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_each_package_has_one_oldest_version_that_is_admitted(run_python):
    lines = run_python(".ci/oldest.py").split()
    oldest = dict(line.split("==") for line in lines)
    assert len(oldest) == len(lines)
    extras = PROJECT["optional-dependencies"].values()
    requirements = [Requirement(text) for texts in (PROJECT["dependencies"], *extras) for text in texts]
    limited = [requirement for requirement in requirements if requirement.specifier]
    assert {requirement.name for requirement in limited} == set(oldest)
    for requirement in limited:
        assert requirement.specifier.contains(oldest[requirement.name])


def pretend(path, answer):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{answer}\n")
    path.chmod(0o755)


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script")
def test_the_last_line_names_the_step_that_failed(tmp_path):
    copy = (
        'for folder; do :; done; mkdir "$folder"\n'
        "printf '```sh\\nfirst\\nexit 5\\n```\\n' >\"$folder/README.md\""
    )
    for answer, code, step in (("exit 3", 3, "the fresh copy"), (copy, 5, "bash -c exit 5")):
        pretend(tmp_path / "git", answer)
        path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path}
        done = subprocess.run(
            [ROOT / ".ci" / "run"], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == code
        assert done.stdout.splitlines()[-1] == f"FAILED with exit code {code}: {step}"


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script")
def test_pythons_that_do_not_run_are_left_out(run_python, tmp_path):
    pretend(tmp_path / "shims" / "python3.14", "echo 'pyenv: not installed' >&2; exit 127")
    pretend(tmp_path / "shims" / "python3.12", "echo 3 12")
    pretend(tmp_path / "shims" / "python3.9", "echo 3 9")
    pretend(tmp_path / "shims" / "python3-config", "echo 3 15")
    pretend(tmp_path / "versions" / "3.11.7" / "bin" / "python", "echo 3 11")
    pretend(tmp_path / "versions" / "3.12.1" / "bin" / "python", "echo 3 12")
    output = run_python(".ci/pythons.py", PATH=str(tmp_path / "shims"), PYENV_ROOT=str(tmp_path))
    found = [line.split(maxsplit=1) for line in output.splitlines()]
    assert found == [
        [version, str(tmp_path / "versions" / folder / "bin" / "python")]
        for version, folder in (("3.11", "3.11.7"), ("3.12", "3.12.1"))
    ]


def test_the_quick_tests_of_the_ptx_machine_are_there():
    found = re.findall(r'"(\w+\.py)::(\w+)\[', (ROOT / ".ci" / "ptx").read_text())
    assert len(found) == 7
    for file, test in found:
        assert f"def {test}(" in (ROOT / "tests" / "cuda" / f"test_cuda_{file}").read_text()
