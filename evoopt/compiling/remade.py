"""Compiled functions made again from their Python code, and all that they call."""

from collections.abc import Callable
from types import CellType, CodeType, FunctionType, ModuleType
from typing import Any

from numba.core.dispatcher import Dispatcher


def remade(function: object, decorate: Callable[[Any], Any], made: dict[int, Any] | None = None) -> Any:
    """Decorate the Python code of a compiled function again; any other object is returned as it is.

    The compiled functions that it calls are made again in the same way: global functions, and
    functions in modules and closures. `made` has the functions made so far, by id().
    """
    made = {} if made is None else made
    if not isinstance(function, Dispatcher):
        return function
    if id(function) not in made:
        python = function.py_func
        scope, closure = dict(python.__globals__), python.__closure__ or ()
        cells = tuple(CellType() for _ in closure)
        again = FunctionType(python.__code__, scope, python.__name__, python.__defaults__, cells)
        made[id(function)] = decorate(again)  # noted before its callees, as it may call itself
        used = _names(python.__code__)
        for name in used & scope.keys():
            scope[name] = _remade_value(scope[name], used, decorate, made)
        for cell, original in zip(cells, closure, strict=True):
            cell.cell_contents = _remade_value(original.cell_contents, used, decorate, made)
    return made[id(function)]


def _remade_value(value: object, used: set[str], decorate: Callable[[Any], Any], made: dict[int, Any]) -> Any:
    """Return the new value of a global variable; a module with functions made again is copied."""
    if not isinstance(value, ModuleType):
        return remade(value, decorate, made)
    functions = {name: item for name, item in vars(value).items() if name in used}
    changed = {name: remade(item, decorate, made) for name, item in functions.items()}
    if all(changed[name] is functions[name] for name in changed):
        return value
    copy = ModuleType(value.__name__)
    vars(copy).update(vars(value) | changed)
    return copy


def _names(code: CodeType) -> set[str]:
    """Return the names of variables and attributes in a code, and in the codes within it."""
    inner = [_names(constant) for constant in code.co_consts if isinstance(constant, CodeType)]
    return set(code.co_names).union(*inner)
