"""Kernels for CUDA, named as in `cpu/`; imported only for ``device="cuda"``."""

import importlib

import numpy as np
from numba.core import config


def _load_functions_of_numpy() -> None:
    """Import numba-cuda's functions of numpy; version 0.30 needs one that numpy 2.5 lacks."""
    missing = not hasattr(np, "row_stack")
    if missing:
        vars(np)["row_stack"] = np.vstack  # its former definition
    try:
        importlib.import_module("numba.cuda.np.arrayobj")
    finally:
        if missing:
            del vars(np)["row_stack"]


if not config.ENABLE_CUDASIM:
    _load_functions_of_numpy()
