"""CUDA without a GPU: the tests of tests/cuda in the simulator, in a process of its own.

Each function of tests/cuda is a test here; all selected ones run in one process.
"""

import os
import re
import subprocess
import sys
from collections import defaultdict
from typing import NamedTuple
from xml.etree import ElementTree

import pytest
from helpers import JIT_DISABLED, ROOT

pytest.importorskip("numba_cuda", reason="the package numba-cuda is not installed")
pytestmark = pytest.mark.skipif(JIT_DISABLED, reason="the simulator has run beside the JIT")

FUNCTIONS = [
    f"{file.name}::{name}"
    for file in sorted((ROOT / "tests" / "cuda").glob("test_*.py"))
    for name in re.findall(r"^ *def (test_\w+)", file.read_text(), re.MULTILINE)
]
EMPTY_SECTION = re.compile(r"-+ Captured \w+ -+\s*(?=-+ Captured|\Z)")


class Simulated(NamedTuple):
    """The exit code of the process, its output, and JUnit's cases of each function."""

    exit_code: int
    output: str
    cases: dict[str, list[ElementTree.Element]]


@pytest.fixture(scope="module")
def simulated(request, tmp_path_factory):
    report = tmp_path_factory.mktemp("simulated") / "report.xml"
    items = [item for item in request.session.items if item.path == request.path]
    asked = [item.callspec.params["function"] for item in items if hasattr(item, "callspec")]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-n", "0", "-p", "no:cacheprovider", f"--junit-xml={report}"),
            *("-o", "junit_logging=all", "-o", "junit_log_passing_tests=false"),
            *(f"tests/cuda/{function}" for function in asked or FUNCTIONS),
        ],
        cwd=ROOT,
        env={**os.environ, "NUMBA_ENABLE_CUDASIM": "1", "NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    return Simulated(done.returncode, done.stdout[-5000:] + done.stderr[:2000], read(report))


def read(report):
    """Return the cases of each function; a killed process leaves no report."""
    cases = defaultdict(list)
    for case in ElementTree.parse(report).iter("testcase") if report.exists() else ():
        file, name = case.get("classname").rpartition(".")[2], case.get("name").partition("[")[0]
        cases[f"{file}.py::{name}"].append(case)
    return cases


def failures(cases):
    """Return the name, traceback and output of each failed case."""
    for case in cases:
        if case.find("failure") is not None or case.find("error") is not None:
            parts = (part.text or "" for part in case)
            yield EMPTY_SECTION.sub("", "\n".join([case.get("name"), *parts]))


def test_the_process_ends(simulated):
    if simulated.exit_code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        pytest.fail(f"exit code {simulated.exit_code}\n{simulated.output}", pytrace=False)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_in_the_simulator(function, simulated):
    cases = simulated.cases[function]
    if not cases:
        pytest.fail("it did not run, see test_the_process_ends", pytrace=False)
    if failed := list(failures(cases)):
        pytest.fail("\n".join(failed), pytrace=False)
    skipped = [case.find("skipped") for case in cases]
    if all(part is not None for part in skipped):
        pytest.skip(skipped[0].get("message"))
