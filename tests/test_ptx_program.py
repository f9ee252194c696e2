"""Whole programs on the PTX machine's command line; and CI on systems that cannot build it."""

import os
import shutil
import subprocess
import sys

import pytest
from cuda_compiler import why_not as why_not_compiled
from helpers import ROOT, needs_bash
from ptx_machine.build import why_not

MACHINE = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))
COMPILED = pytest.mark.skipif(why_not_compiled() is not None, reason=str(why_not_compiled()))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return a function that runs a program on a machine: exit code, output and messages."""
    environment = {**os.environ, "PTX_FOLDER": str(tmp_path_factory.mktemp("machine"))}

    def run(*program):
        command = [sys.executable, "-m", "tests.ptx_machine", *program]
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False
        )
        return done.returncode, done.stdout, done.stderr

    return run


@MACHINE
@COMPILED
def test_planted_errors_of_numba_kernels_are_found(run):
    code, output, told = run("tests/ptx_machine/programs/planted.py")
    found = {
        (name, wrong == "True"): text
        for name, wrong, text in (line.split("\t") for line in output.splitlines())
    }
    names = {name for name, _ in found}
    assert len(found) == 2 * len(names) == 12, told
    for name in names:
        assert found[name, True]
        assert not found[name, True].startswith("note")
        assert not found[name, False] or found[name, False].startswith("note")
    assert code == 3
    assert told.splitlines()[-1].endswith(", 8 findings")


@MACHINE
@COMPILED
def test_the_exit_code_is_that_of_the_program(run):
    code, output, told = run("-c", "import sys; print(sys.argv); sys.exit(5)", "-o", "--log")
    assert (code, output, told) == (5, "['-c', '-o', '--log']\n", "PTX machine: nothing ran, 0 findings\n")


@needs_bash
def test_without_gcc_the_step_of_ci_is_a_sentence(tmp_path):
    for name in ("bash", "dirname"):
        (tmp_path / name).symlink_to(shutil.which(name))
    command = [ROOT / ".ci" / "ptx", sys.executable]
    done = subprocess.run(command, env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("+ no kernels for CUDA on the CPU: the PTX machine needs ")
