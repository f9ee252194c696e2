"""Optional packages."""

import importlib
from typing import Any


def require_package(name: str, call: str, install: str | None = None) -> Any:
    """Return a package that the function `call` needs; raise ImportError where it is missing.

    `install` is the argument of pip that brings the package, by default its name.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            f"{call} needs the package {name}, which is not installed: pip install {install or name}."
        ) from error
