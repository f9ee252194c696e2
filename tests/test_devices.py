"""Engines of devices have the methods of the interface, no more and no less."""

import ast

import pytest
from helpers import ROOT

DEVICES = ROOT / "evoopt" / "devices"
# An engine's file in `interface` has the Protocol, and in each device a class with its methods.
ENGINES = {"population": ("PopulationEngine", {"cpu": "CpuPopulation", "cuda": "CudaPopulation"})}
COPYING = {"population": ("cuda/copying.py", "CopyingPopulation")}  # the CPU's, but for declared differences


def methods(path, name):
    """Return the public methods of a class with their parameters and defaults."""
    tree = ast.parse((DEVICES / path).read_text())
    found = next(node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.name == name)
    functions = [node for node in found.body if isinstance(node, ast.FunctionDef) and node.name[0] != "_"]
    for function in functions:
        for part in ast.walk(function.args):
            if isinstance(part, ast.arg):
                part.annotation = None
    return {function.name: ast.unparse(function.args) for function in functions}


@pytest.mark.parametrize("subject", ENGINES)
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_device_has_the_methods_of_the_interface(subject, device):
    protocol, classes = ENGINES[subject]
    expected = methods(f"interface/{subject}.py", protocol)
    assert expected
    assert methods(f"{device}/{subject}.py", classes[device]) == expected


@pytest.mark.parametrize("subject", COPYING)
def test_what_copies_has_no_other_methods(subject):
    own = methods(*COPYING[subject])
    assert own
    assert own.items() <= methods(f"interface/{subject}.py", ENGINES[subject][0]).items()
