"""README.md, CONTRIBUTING.md and docs/ are true: commands, Python, links and names."""

import ast
import re
import shlex
import shutil

import pytest
from helpers import JIT_DISABLED, ROOT, python_of, skip_without, why_no_cuda
from helpers.environments import BUILT_IN
from helpers.strategies import ON_DEVICE, OURS, REGISTERED

from evoopt import Integer, Strategy, envs
from evoopt.rules.box import WAYS
from evoopt.strategies import REGISTRY

README = (ROOT / "README.md").read_text()
DOCS = ROOT / "docs"
PAGES = {name: ROOT / name for name in ("README.md", "CONTRIBUTING.md")}
PAGES |= {path.relative_to(DOCS).as_posix(): path for path in sorted(DOCS.rglob("*.md"))}
PYTHON = [name for name, path in PAGES.items() if python_of(path).strip()]
NEEDS = {
    "guide/deploying.md": ("torch", "onnx", "onnxruntime"),
    "guide/elixir.md": ("safetensors",),
    "guide/frameworks.md": ("torch", "flax", "keras"),
    "guide/torch.md": ("torch",),
}
FILES = {"guide/elixir.md": ROOT / "tests/data/axon/model.safetensors"}  # that a page finds
PROMISES = {
    "README.md": r"'accuracy': 0\.9",
    "guide/control.md": r"'return': ([3-9]\d\d|1000)",
    "guide/elixir.md": r"'accuracy': (0\.9|1\.0)",
    "guide/frameworks.md": r"('accuracy': 0\.9[5-9](.|\n)*){4}'return': ([4-9]\d|\d\d\d)",
    "guide/gymnasium.md": r"'return': (4\d\d|500)",
    "guide/torch.md": r"'accuracy': 0\.9(.|\n)*'return': [2-5]\d\d",
    "guide/train_a_network.md": r"'accuracy': (0\.9|1\.0)",
    "guide/tune_a_simulation.md": r"} 0\.50(.|\n)*\n12 the limit of 12 evaluations is reached\n18 ",
    "guide/write_your_own.md": r"\('dense_0.bias', 'dense_0.kernel', 'square_0.gain'\)",
}
PEER = "python peer"  # code of another library
PATH = r"`((?:\.ci|benchmarks|docs|evoopt|examples|tests)/[\w./]*)`"


def test_the_first_block_is_two_commands():
    language, text = re.search(r"```(\w+)\n(.*?)```", README, re.DOTALL).groups()
    assert README.index("## Quick start") < README.index("```") < README.index("## What it is for")
    assert language == "sh"
    first, second = text.strip().splitlines()
    assert shlex.split(first)[-1] == "examples/04_digits.py"
    assert shlex.split(second)[-1] == "pytest"


@pytest.mark.skipif(JIT_DISABLED, reason="takes too long in plain Python")
@pytest.mark.parametrize(
    "page", [pytest.param(page, marks=pytest.mark.frameworks if page in NEEDS else ()) for page in PYTHON]
)
def test_the_python_of_a_page_runs(page, tmp_path, monkeypatch, capsys):
    """All blocks run in their order, in one namespace."""
    if page == "reference/cuda.md":  # tests/test_cuda_driver.py runs its first block without a GPU
        if reason := why_no_cuda():
            pytest.skip(reason)
        pytest.importorskip("torch")
    skip_without(NEEDS.get(page, ()))
    if page in FILES:
        shutil.copy(FILES[page], tmp_path)
    monkeypatch.setenv("KERAS_BACKEND", "jax")  # which a page sets, and which is undone then
    monkeypatch.chdir(tmp_path)
    exec(compile(python_of(PAGES[page]), PAGES[page], "exec"), {"__name__": page})
    assert re.search(PROMISES.get(page, ""), capsys.readouterr().out)


@pytest.mark.parametrize("name", BUILT_IN)
def test_each_environment_is_described(name):
    page = PAGES["reference/environments.md"].read_text()
    assert page.count(f"\n| `{name}` |") == 2  # the tables of definitions and of origins
    assert f"``{name}``" in envs.__doc__


def test_each_way_into_a_box_is_described():
    described = re.findall(r"^- \*\*(\w+)\*\*", PAGES["design/bounds.md"].read_text(), re.MULTILINE)
    assert {word.lower() for word in described} == WAYS.keys()


def test_the_readme_has_a_row_for_each_strategy():
    rows = re.findall(r"^\| (.*`) \| .* \| .* \|$", README, re.MULTILINE)
    assert set(REGISTERED) <= {name for names in rows for name in re.findall(r"`(\w+)`", names)}


def test_where_strategies_compute_is_described():
    """The page says the same as each strategy's `_computes_on_device`."""
    page = PAGES["reference/cuda.md"].read_text()
    there, copied = (
        set(re.findall(r"`(\w+)`", *re.findall(rf"^\| (.*) \| rows{how}", page, re.MULTILINE)))
        for how in (", ranks and updates are made on the device", " are made and learned from on the CPU")
    )
    assert there == set(ON_DEVICE)
    assert copied == set(REGISTERED) - there
    (listed,) = re.findall(r'With "cuda", (.*?) keep\s+their state on the GPU', Strategy.__doc__, re.DOTALL)
    assert set(re.findall(r"\w+", listed)) - {"and"} == there


def test_which_strategies_search_integers_is_described():
    """The page says the same as each strategy's `_kinds`."""
    page = PAGES["guide/variables.md"].read_text()
    rows = re.findall(r"^\| (`[A-Z].*`) \| yes \| (\w+).* \| yes \|$", page, re.MULTILINE)
    answers = {name: answer for names, answer in rows for name in re.findall(r"`(\w+)`", names)}
    expected = {name: "yes" if Integer in cls._kinds else "refused" for name, cls in OURS.items()}
    assert answers == expected | {"IPOP": "if", "BIPOP": "if"}


@pytest.mark.parametrize("page", PAGES)
def test_every_block_says_its_language(page):
    fences = re.findall(r"^```(.*)$", PAGES[page].read_text(), re.MULTILINE)
    assert set(fences[::2]) <= {"elixir", "python", "sh", "text", PEER}
    assert set(fences[1::2]) <= {""}


def test_code_of_peers_is_python_and_stands_beside_ours():
    """It does not run, because the other libraries are not installed."""
    blocks = re.findall(
        r"^```(.+)\n((?:(?!```).*\n)*)", PAGES["guide/coming_from.md"].read_text(), re.MULTILINE
    )
    languages = [language for language, _ in blocks]
    assert languages == ["python", *[PEER, "python"] * 6]
    for language, text in blocks:
        if language == PEER:
            ast.parse(text)


def prose_of(path):
    return re.sub(r"^```.*?^```", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)


def anchors_of(path):
    """Return the anchors of a page's headings, which links use."""
    headings = re.findall(r"^#+ (.*)$", prose_of(path), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_links_and_paths_lead_to_files(page):
    prose = prose_of(PAGES[page])
    for target, _, anchor in re.findall(r"\]\(([^)#]*)(#([^)]*))?\)", prose):
        path = PAGES[page].parent / target if target else PAGES[page]
        assert "://" in target or path.exists(), target
        assert not anchor or anchor in anchors_of(path), f"{target}#{anchor}"
    for target in re.findall(PATH, prose):
        assert (ROOT / target).exists(), target


def test_tests_that_contributors_are_told_of_exist():
    named = re.findall(r"`(test_\w+)`", PAGES["CONTRIBUTING.md"].read_text())
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    assert len(named) > 8
    assert [name for name in named if f"def {name}(" not in tests] == []


def test_files_that_the_readme_names_can_be_clicked():
    linked = re.sub(r"\[`?[^\]]*`?\]\([^)]*\)", "", README)
    assert not re.findall(rf"{PATH}|`\w+\.(?:py|md)`", linked)


def test_every_design_page_can_be_reached():
    linked = re.findall(r"\]\((design/\w+\.md)\)", PAGES["architecture.md"].read_text())
    assert {*linked} == {name for name in PAGES if name.startswith("design/")}


def test_the_map_names_what_is_there():
    for name in re.findall(r"^\| \[?`([^`]+)`", README, re.MULTILINE):
        assert name in REGISTRY or (ROOT / name).exists(), name
