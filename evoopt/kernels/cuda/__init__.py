"""Kernels for CUDA, with the names of those in `cpu/`; imported only where ``device="cuda"`` is asked for."""

import importlib

import numpy as np
from numba.core import config


def _load_functions_of_numpy() -> None:
    """Import numba-cuda's functions of numpy; version 0.30 wants one that numpy 2.5 has no more."""
    missing = not hasattr(np, "row_stack")
    if missing:
        vars(np)["row_stack"] = np.vstack  # (as it was defined)
    try:
        importlib.import_module("numba.cuda.np.arrayobj")
    finally:
        if missing:
            del vars(np)["row_stack"]


if not config.ENABLE_CUDASIM:
    _load_functions_of_numpy()
