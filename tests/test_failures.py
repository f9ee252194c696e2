"""Exceptions as values: what a pickle keeps of them, whatever other packages tell pickle."""

import copyreg
import json
import pickle
import sys
from types import ModuleType

import pytest

from evoopt.failures import Failure, attempt


class PickyError(Exception):
    """An exception whose constructor takes other arguments than it keeps."""

    def __init__(self, one, two):
        super().__init__(one + two)
        self.one = one


class OddError(Exception):
    def __reduce__(self):
        return "no tuple"


class SlotsError(Exception):
    """An exception with attributes of its own places, and a way to reduce itself."""

    __slots__ = ("code",)

    def __init__(self, text, code):
        super().__init__(text)
        self.code = code

    def __reduce_ex__(self, protocol):
        return SlotsError, (*self.args, self.code), vars(self)


class HopelessError(Exception):
    """An exception that nobody can make again, neither by its arguments nor by none."""

    def __new__(cls, *args):
        if args != ("at first",):
            raise TypeError("not again")
        return super().__new__(cls)

    def __init__(self, text):
        super().__init__("unpickled")

    def __reduce_ex__(self, protocol):
        raise TypeError("not at all")


def raising(error):
    raise error


def sent(error):
    return pickle.loads(pickle.dumps(attempt(raising, error)))


@pytest.mark.parametrize(
    "error",
    [
        SystemExit(3),
        UnicodeDecodeError("utf-8", b"x", 0, 1, "reason"),
        OSError(2, "no such file", "here"),
        KeyError("a"),
        PickyError("a", "b"),
        OddError("text"),
        ExceptionGroup("several", [ValueError("a")]),
        json.JSONDecodeError("text", "{", 1),  # reduces itself without its notes
        SlotsError("a", 3),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("told", [False, True])
def test_an_exception_arrives_as_it_was(error, told, monkeypatch):
    if told:  # as tblib does for Dask: the constructor is not called
        monkeypatch.setitem(copyreg.dispatch_table, type(error), lambda each: (BaseException, ("lost",)))
    found = sent(error)
    assert isinstance(found, Failure)
    assert type(found.error) is type(error)
    assert (str(found.error), repr(found.error.args)) == (str(error), repr(error.args))
    own = {"__notes__": error.__notes__} if isinstance(error, OddError) else vars(error)
    assert vars(found.error) == own
    for name in ("code", "reason", "filename", "errno"):
        assert getattr(found.error, name, None) == getattr(error, name, None)
    assert "in raising" in found.error.__notes__[0]


def test_what_cannot_be_pickled_is_told():
    found = sent(HopelessError("at first"))
    assert type(found.error) is RuntimeError
    assert "cannot be pickled" in str(found.error)
    assert "HopelessError" in str(found.error)


def test_an_exception_of_a_module_that_only_workers_have(monkeypatch):
    """The process that gets it goes on, where a pool would break."""
    plugin = ModuleType("plugin")
    exec("class PluginError(Exception): pass", vars(plugin))
    monkeypatch.setitem(sys.modules, "plugin", plugin)
    content = pickle.dumps(attempt(raising, plugin.PluginError("text")))
    monkeypatch.delitem(sys.modules, "plugin")
    found = pickle.loads(content)
    assert type(found.error) is RuntimeError
    assert "cannot be made here: ModuleNotFoundError" in str(found.error)
    assert "PluginError: text" in str(found.error)
