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
    "kernels": {"rules", "compiling", "threads", "arrays"},
    "devices": {"kernels", "rules", "compiling", "threads", "memory", "arrays"},
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
        *("devices", "rules", "compiling"),
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
MODULES = sorted(module.name for module in pkgutil.walk_packages(evoopt.__path__, "evoopt."))


SEE_INTERFACE = ("networks", "strategies")  # of the devices no more than these
OF_DEVICES = ("evoopt.devices.available.", "evoopt.devices.choose.", "evoopt.devices.interface.")
HOST_KERNELS = {  # and what these compute with on the host, whatever the device
    "strategies/cmaes.py": "evoopt.devices.cpu.covariance",
    "strategies/xnes.py": "evoopt.devices.cpu.covariance",
    "strategies/lmmaes.py": "evoopt.devices.cpu.directions",
    "strategies/ga.py": "evoopt.devices.cpu.genetic",
    "strategies/deepga.py": "evoopt.devices.cpu.genetic",
    "strategies/parts/genomes.py": "evoopt.devices.cpu.genetic",
}


def imported(path):
    """Full names of what a file imports of evoopt."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{name}" for name in names]
        yield from (name for name in names if name.startswith("evoopt."))


def files_of(part):
    """Return the files of a package, or the one of a module."""
    folder = ROOT / "evoopt" / part
    files = list(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]
    assert files
    return files


@pytest.mark.parametrize("part", MAY_IMPORT)
def test_imports_run_downward(part):
    for file in files_of(part):
        parts = {name.split(".")[1] for name in imported(file)}
        assert parts <= MAY_IMPORT[part] | {part, "types"}, file


@pytest.mark.parametrize("part", SEE_INTERFACE)
def test_devices_are_seen_through_their_interface(part):
    for file in files_of(part):
        names = [name for name in imported(file) if name.startswith("evoopt.devices")]
        on_host = HOST_KERNELS.get(file.relative_to(ROOT / "evoopt").as_posix(), OF_DEVICES[0])
        assert all(name.startswith((*OF_DEVICES, on_host)) for name in names), file


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
