"""A filter of warnings that dependencies raise at import; every other warning is an error."""

import warnings
from importlib.machinery import SourceFileLoader
from pathlib import Path


def install():
    """Ignore warnings while a module of `site-packages` runs for the first time, from now on."""
    execute = SourceFileLoader.exec_module

    def exec_module(loader, module):
        if "site-packages" not in Path(loader.path).parts:
            return execute(loader, module)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return execute(loader, module)

    SourceFileLoader.exec_module = exec_module
