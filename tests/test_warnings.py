"""Warnings are errors in tests and their programs, except in the import of a dependency."""

import importlib
import warnings

import pytest

WARNS = "import warnings\ndef warn():\n    warnings.warn('old', DeprecationWarning)\nwarn()\n"


@pytest.fixture
def folder_of(tmp_path):
    """Return a function that writes a module that warns, at import and in a call, to a folder."""

    def write(folder, name):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"{name}.py").write_text(WARNS)
        return tmp_path / folder

    return write


def test_the_import_of_a_dependency_may_warn(folder_of, monkeypatch):
    monkeypatch.syspath_prepend(folder_of("site-packages", "warns_in_a_dependency"))
    warns = importlib.import_module("warns_in_a_dependency")
    with pytest.raises(DeprecationWarning):
        warns.warn()
    with pytest.raises(RuntimeWarning):
        warnings.warn("ours", RuntimeWarning, stacklevel=1)


def test_the_import_of_our_module_may_not(folder_of, monkeypatch):
    monkeypatch.syspath_prepend(folder_of("ours", "warns_in_a_module"))
    with pytest.raises(DeprecationWarning):
        importlib.import_module("warns_in_a_module")


def test_the_programs_of_tests_have_the_same_rule(folder_of, run_python):
    folders = [str(folder_of("site-packages", "warns_there")), str(folder_of("ours", "warns_here"))]
    run_python(f"""
import sys
sys.path += {folders}
import warns_there
for warn in (warns_there.warn, lambda: __import__("warns_here")):
    try:
        warn()
    except DeprecationWarning:
        continue
    raise AssertionError("no error")
""")
