"""Rules of the architecture: imports run downward, names are exported, docstrings run."""

import ast
import doctest
import importlib
import os
import pkgutil
import re
import subprocess
import sys
from graphlib import TopologicalSorter

import pytest
from helpers import ROOT, needs_jit

import evoopt

# A package imports only itself, `types` and the packages before it; strategies and networks are
# side by side.
MAY_IMPORT = {
    "types": set(),
    "memory": set(),
    "arrays": {"memory"},
    "calls": set(),
    "failures": set(),
    "packages": set(),
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
    "leaves": {"tree", "arguments"},
    "params": {"leaves", "tree", "arguments", "arrays"},
    "spaces": {"arguments", "arrays", "calls"},
    "safetensors": {
        *("params", "leaves", "tree", "files", "npz"),
        *("replacing", "arguments", "arrays", "calls", "packages"),
    },
    "strategies": {
        *("devices", "rules", "compiling", "spaces"),
        *("files", "npz", "params", "arguments", "arrays", "calls", "memory"),
    },
    "versions": {"devices", "compiling", "threads", "calls"},
    "networks": {"devices", "rules", "compiling", "params", "tree", "arguments", "arrays", "calls", "memory"},
    "interop": {"networks", "params", "arguments", "arrays", "calls", "memory", "packages", "replacing"},
    "tasks": {
        *("devices", "rules", "compiling", "memory"),
        *("networks", "arguments", "arrays", "calls", "failures"),
    },
    "selfcheck": {"tasks", "networks", "strategies", "devices"},
    "progress": {"compiling"},
    "result": set(),
    "outcome": {"result"},
    "loop": {"strategies", "arguments", "outcome"},
    "workers": {"strategies", "threads", "arguments", "arrays", "calls", "failures"},
    "evaluation": {"loop", "tasks", "strategies", "arguments", "arrays", "compiling", "workers", "failures"},
    "watch": {"evaluation", "strategies", "arguments"},
    "run_file": {"watch", "evaluation", "strategies", "arguments"},
    "evolve": {
        *("calls", "run_file", "watch", "workers", "evaluation", "loop", "strategies", "arguments"),
        *("outcome", "progress", "result"),
    },
    "history": {"strategies"},
    "callbacks": {"arguments", "calls", "history", "replacing", "strategies"},
    "plotting": {"calls", "history"},
    "portfolio": {
        *("strategies", "spaces", "arguments", "arrays", "calls", "threads", "loop"),
        *("outcome", "workers", "failures", "progress", "replacing", "result"),
    },
    "minimize": {
        *("calls", "portfolio", "spaces", "tasks", "outcome", "workers"),
        *("arguments", "arrays", "compiling", "result"),
    },
    "scipy_method": {"calls", "minimize", "portfolio", "result"},
}
MODULES = sorted(module.name for module in pkgutil.walk_packages(evoopt.__path__, "evoopt."))


SEE_INTERFACE = ("networks", "strategies", "tasks")  # packages that see no more than the interface of devices
OF_DEVICES = ("evoopt.devices.available.", "evoopt.devices.choose.", "evoopt.devices.interface.")
DOCUMENTED = {"_exit", "_replace", "_fields"}  # names of Python that begin with an underscore
OF_PEERS = {ROOT / "tests/test_mixed_peer.py"}  # tests that look into other packages
HOST_KERNELS = {  # files that compute on the host, whatever the device, and their kernels
    "strategies/cmaes.py": "evoopt.devices.cpu.covariance",
    "strategies/xnes.py": "evoopt.devices.cpu.covariance",
    "strategies/lmmaes.py": "evoopt.devices.cpu.directions",
    "strategies/ga.py": "evoopt.devices.cpu.genetic",
    "strategies/deepga.py": "evoopt.devices.cpu.genetic",
    "strategies/contract/space_box.py": "evoopt.devices.cpu.discrete",
    "strategies/parts/categories.py": "evoopt.devices.cpu.discrete",
    "strategies/parts/covariance.py": "evoopt.devices.cpu.covariance",
    "strategies/parts/genomes.py": "evoopt.devices.cpu.genetic",
    "strategies/parts/integers.py": "evoopt.devices.cpu.discrete",
    "strategies/parts/heredity.py": "evoopt.devices.cpu.genetic",
    "strategies/parts/late.py": "evoopt.devices.cpu.covariance",
    "strategies/parts/learning_rates.py": "evoopt.devices.cpu.covariance",
}


def imported(path):
    """Yield the full names that a file imports from evoopt."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{name}" for name in names]
        yield from (name for name in names if name.startswith("evoopt."))


def files_of(part):
    """Return the files of a package, or the file of a module."""
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


@pytest.mark.parametrize(("part", "other"), [("cpu", "cuda"), ("cuda", "cpu")])
def test_kernels_of_a_device_never_import_those_of_another(part, other):
    for file in files_of(f"kernels/{part}"):
        assert not [name for name in imported(file) if name.startswith(f"evoopt.kernels.{other}")], file


def test_there_is_no_circle_of_imports():
    """Imports for type checkers count, too."""
    graph = {module_of(file): modules_imported(file) for file in files_of(".")}
    TopologicalSorter(graph).prepare()


def module_of(file):
    """Return the name of a file's module."""
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def modules_imported(file):
    """Return the modules that a file imports: ``from a import b`` is a.b if a module, else a."""
    names = {name if name in MODULES else name.rpartition(".")[0] for name in imported(file)}
    return names - {module_of(file), "evoopt"}


def test_every_file_is_imported():
    """A new file that no module imports, such as a strategy without export, would be dead code."""
    named = set().union(*(modules_imported(file) for file in files_of(".")))
    files = {module_of(file) for file in files_of(".") if file.stem not in ("__init__", "__main__")}
    assert files - named == set()


def test_parameters_say_what_they_take():
    """Bare Any is allowed only where nothing else is true."""
    annotated = [
        annotation
        for file in files_of(".")
        for function in ast.walk(ast.parse(file.read_text()))
        if isinstance(function, ast.FunctionDef)
        for annotation in annotations_of(function)
    ]
    bare = [each for each in annotated if isinstance(each, ast.Name) and each.id == "Any"]
    assert len(bare) <= 0.03 * len(annotated)


def annotations_of(function):
    """Return the annotations of a function's parameters."""
    taken = function.args
    named = [*taken.posonlyargs, *taken.args, *taken.kwonlyargs, taken.vararg, taken.kwarg]
    return [each.annotation for each in named if each is not None and each.annotation is not None]


def test_files_are_short():
    lengths = {file: len(file.read_text().splitlines()) for file in files_of(".")}
    assert max(lengths.values()) <= 400, max(lengths, key=lengths.get)


def test_every_part_has_its_place():
    parts = {
        path.stem
        for path in (ROOT / "evoopt").iterdir()
        if path.name[0] not in "_." and path.name != "py.typed"
    }
    assert parts == set(MAY_IMPORT)


def test_the_map_lists_each_part_above_what_it_imports():
    page = (ROOT / "docs" / "architecture.md").read_text()
    rows = re.findall(r"^\| (`.*?) \|", page, re.MULTILINE)
    place = {part: i for i, row in enumerate(rows) for part in re.findall(r"`(\w+)(?:\.py|/)`", row)}
    assert place.keys() - {"__main__"} == MAY_IMPORT.keys()
    for part, others in MAY_IMPORT.items():
        assert [other for other in others if place[other] < place[part]] == [], part


def test_public_names():
    assert evoopt.__all__ == sorted(
        evoopt.__all__, key=lambda name: (not name.isupper(), name[0].islower(), name)
    )
    for name in evoopt.__all__:
        assert getattr(evoopt, name).__doc__, name


@needs_jit
@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples_run(name):
    module = importlib.import_module(name)
    result = doctest.testmod(module, extraglobs={"np": importlib.import_module("numpy")})
    assert result.failed == 0


@pytest.mark.parametrize("name", evoopt.__all__)
def test_public_docstrings_have_an_example(name):
    """The example is in the docstring, or in another one that it names."""
    assert re.search(r">>>|See `\w+` for an example", getattr(evoopt, name).__doc__)


def test_no_test_module_is_imported():
    """Code for several test modules stands in tests/helpers."""
    imports = re.compile(r"^\s*(?:from|import) +(?:tests\.)?(?:test_\w+|conftest)\b.*", re.MULTILINE)
    for file in (ROOT / "tests").rglob("*.py"):
        assert not imports.findall(file.read_text()), file


def private_names(file):
    """Return the private names of others that a file uses or imports, like ``thing._name``."""
    nodes = [*ast.walk(ast.parse(file.read_text()))]
    taken = [node.attr for node in nodes if isinstance(node, ast.Attribute) and not is_own(node.value)]
    imported = [alias.name for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names]
    return [name for name in (*taken, *imported) if re.match("_[^_]", name)]


def is_own(value):
    return isinstance(value, ast.Name) and value.id in ("self", "cls")


def test_tests_need_few_private_names():
    """Tests use public names; Python documents `os._exit` and the names of named tuples."""
    files = sorted({*(ROOT / "tests").rglob("*.py")} - OF_PEERS)
    used = [(file, name) for file in files for name in private_names(file) if name not in DOCUMENTED]
    assert len(used) < 25, "\n".join(f"{file.relative_to(ROOT)}: {name}" for file, name in used)


def test_functions_for_other_formats_are_imported_at_their_first_use():
    script = """
import sys, evoopt
assert not [name for name in sys.modules if name.startswith("evoopt.interop")]
assert evoopt.to_python is evoopt.to_python and "evoopt.interop.python.source" in sys.modules
"""
    subprocess.run([sys.executable, "-c", script], check=True, env=os.environ)
    with pytest.raises(AttributeError, match=r"^module 'evoopt' has no attribute 'to_keras'$"):
        evoopt.to_keras  # noqa: B018
