"""A warning that a dependency raises while it is imported is not an error of ours; every other warning is."""

import warnings
from importlib.machinery import SourceFileLoader
from pathlib import Path


def install():
    """Ignore warnings while a module of `site-packages` runs for the first time, here and from now on."""
    execute = SourceFileLoader.exec_module

    def exec_module(loader, module):
        if "site-packages" not in Path(loader.path).parts:
            return execute(loader, module)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return execute(loader, module)

    SourceFileLoader.exec_module = exec_module
