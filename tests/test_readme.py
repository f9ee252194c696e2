"""The README is true: its commands are two, and its Python runs, as does that of the page about control."""

import re
import shlex

import pytest
from conftest import JIT_DISABLED, ROOT

from evoopt.strategies import REGISTRY

README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.DOTALL)


def test_the_first_block_is_two_commands():
    language, text = BLOCKS[0]
    assert README.index("## Quick start") < README.index("```") < README.index("## What it is for")
    assert language == "sh"
    first, second = text.strip().splitlines()
    assert shlex.split(first)[-1] == "examples/04_digits.py"
    assert shlex.split(second)[-1] == "pytest"


@pytest.mark.skipif(JIT_DISABLED, reason="takes too long in plain Python")
def test_the_snippets_run(run_python, tmp_path):
    snippets = "\n".join(text for language, text in BLOCKS if language == "python")
    output = run_python(snippets, cwd=tmp_path)
    assert "'accuracy': 0.9" in output
    assert (tmp_path / "digits.npz").exists()


@pytest.mark.skipif(JIT_DISABLED, reason="takes too long in plain Python")
def test_the_page_about_control_runs(run_python, tmp_path):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "control.md").read_text(), re.DOTALL)
    output = run_python("\n".join([*blocks, "print(action.shape, es.generation)"]), cwd=tmp_path)
    assert float(re.match(r"{'return': (\d+)", output)[1]) > 300
    assert output.endswith("(1,) 3\n")


def test_the_map_names_what_is_there():
    for name in re.findall(r"^\| `([^`]+)`", README, re.MULTILINE):
        assert name in REGISTRY or (ROOT / name).exists(), name
