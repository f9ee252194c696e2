"""Rules that keep the house in order: imports run downward, names are exported, docstrings run."""

import ast
import doctest
import importlib
import pkgutil
import re

import pytest
from helpers import ROOT

import evoopt

# A package imports only itself, `types` and what stands before it; strategies and networks side by side.
MAY_IMPORT = {
    "types": set(),
    "memory": set(),
    "arrays": {"memory"},
    "calls": set(),
    "failures": set(),
    "arguments": {"arrays"},
    "threads": {"arrays", "calls"},
    "compiling": set(),
    "rules": {"compiling"},
    "kernels": {"rules", "compiling", "arrays"},
    "devices": {"kernels", "rules", "compiling", "threads", "arrays"},
    "tree": {"arguments", "arrays"},
    "npy": {"arrays"},
    "npz": {"npy", "arguments", "arrays"},
    "replacing": {"arguments"},
    "files": {"tree", "arrays", "calls", "npz", "replacing"},
    "leaves": {"tree"},
    "params": {"leaves", "tree", "arguments", "arrays"},
    "strategies": {
        *("devices", "rules", "compiling"),
        *("files", "npz", "params", "arguments", "arrays", "calls", "memory"),
    },
    "networks": {
        *("devices", "kernels", "compiling", "threads"),
        *("params", "tree", "arguments", "arrays", "calls", "memory"),
    },
    "tasks": {
        *("devices", "kernels", "rules", "compiling", "threads", "memory"),
        *("networks", "arguments", "arrays", "calls", "failures"),
    },
    "progress": {"compiling"},
    "result": set(),
    "outcome": {"result"},
    "loop": {"strategies", "arguments", "outcome"},
    "executors": {"failures"},
    "evaluation": {"tasks", "strategies", "arguments", "arrays", "compiling", "threads", "executors"},
    "watch": {"evaluation", "strategies", "arguments"},
    "evolve": {"calls", "watch", "evaluation", "loop", "strategies", "arguments", "outcome", "progress"},
    "history": {"strategies"},
    "callbacks": {"arguments", "calls", "history", "strategies"},
    "plotting": {"calls", "history"},
    "portfolio": {
        *("strategies", "arguments", "arrays", "calls", "threads", "loop"),
        *("outcome", "executors", "failures", "progress"),
    },
    "minimize": {"calls", "portfolio", "tasks", "outcome", "arguments", "compiling"},
    "scipy_method": {"calls", "minimize", "portfolio"},
}
# What describes sees `devices` through these files of it, and what computes on the host whatever the device
# also through one of `devices/cpu`.
SEEN = {"interface", "choose"}
HOST_KERNELS = {
    "strategies/cmaes.py": "covariance",
    "strategies/xnes.py": "covariance",
    "strategies/lmmaes.py": "directions",
    "strategies/ga.py": "genetic",
    "strategies/deepga.py": "genetic",
    "strategies/parts/genomes.py": "genetic",
}
MODULES = sorted(module.name for module in pkgutil.walk_packages(evoopt.__path__, "evoopt."))


def imported(path):
    """Names of what a file imports of evoopt, without that of evoopt."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{name}" for name in names]
        yield from (name.split(".")[1:] for name in names if name.startswith("evoopt."))


@pytest.mark.parametrize("part", MAY_IMPORT)
def test_imports_run_downward(part):
    folder = ROOT / "evoopt" / part
    files = list(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]
    assert files
    for file in files:
        assert {name[0] for name in imported(file)} <= MAY_IMPORT[part] | {part, "types"}, file


@pytest.mark.parametrize("part", ["strategies", "networks", "tasks"])
def test_devices_are_seen_through_their_interface(part):
    for file in (ROOT / "evoopt" / part).rglob("*.py"):
        own = HOST_KERNELS.get(file.relative_to(ROOT / "evoopt").as_posix())
        seen = {tuple(name[1:3]) for name in imported(file) if name[0] == "devices"}
        assert {names[0] for names in seen - {("cpu", own)}} <= SEEN, file


def test_every_part_has_its_place():
    parts = {
        path.stem
        for path in (ROOT / "evoopt").iterdir()
        if path.name[0] not in "_." and path.name != "py.typed"
    }
    assert parts == set(MAY_IMPORT)


def test_public_names():
    assert evoopt.__all__ == sorted(
        evoopt.__all__, key=lambda name: (not name.isupper(), name[0].islower(), name)
    )
    for name in evoopt.__all__:
        assert getattr(evoopt, name).__doc__, name


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples_run(name):
    module = importlib.import_module(name)
    result = doctest.testmod(module, extraglobs={"np": importlib.import_module("numpy")})
    assert result.failed == 0


@pytest.mark.parametrize("name", evoopt.__all__)
def test_public_docstrings_have_an_example(name):
    """Of their own, or they say whose."""
    assert re.search(r">>>|See `\w+` for an example", getattr(evoopt, name).__doc__)


def test_no_test_module_is_imported():
    """What several test modules use stands in tests/helpers."""
    imports = re.compile(r"^\s*(?:from|import) +(?:tests\.)?(?:test_\w+|conftest)\b.*", re.MULTILINE)
    for file in (ROOT / "tests").rglob("*.py"):
        assert not imports.findall(file.read_text()), file
