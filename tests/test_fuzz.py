"""Generated calls over every public name; ``python -m tests.fuzz`` does the same for longer."""

import pytest
from fuzz.catalogue import CASES, public_names
from fuzz.judge import run
from fuzz.programs import good


def test_every_public_name_is_called():
    covered = {case.name for case in CASES}
    assert public_names() <= covered


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_call_works(case, tmp_path):
    program = good(case)
    outcome, found = run(program, tmp_path)
    assert outcome == "worked", (found, program.script())
