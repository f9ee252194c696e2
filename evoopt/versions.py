"""Facts for a bug report: versions, devices, threads, and the folder of kernels."""

import os
import platform
from importlib import metadata
from pathlib import Path

from evoopt.calls import called
from evoopt.compiling.cache import KernelCache
from evoopt.compiling.jit import JIT_DISABLED
from evoopt.devices.available import described, why_no_cuda
from evoopt.threads import get_num_threads

NEEDED = ("numba", "llvmlite", "numpy", "scipy")
OPTIONAL = ("numba-cuda", "gymnasium", "tqdm", "matplotlib", "torch", "jax")


@called
def show_versions() -> None:
    """Print versions, devices, threads and the kernel cache, for a bug report.

    ``python -m evoopt`` prints the same, and then checks that evoopt works on this machine.

    Examples
    --------
    >>> import evoopt
    >>> evoopt.show_versions()  # doctest: +ELLIPSIS
    evoopt        ...
    Python        ...
    """
    found = {**_of_packages(), **_of_machine()}
    width = max(map(len, found))
    print("\n".join(f"{name:{width}}  {text}" for name, text in found.items()))


def _of_packages() -> dict[str, str]:
    """Return the versions of Python and of packages, none of which is imported for that."""
    import evoopt  # noqa: PLC0415  (which imports this file)

    versions = {name: _version(name) for name in (*NEEDED, *OPTIONAL)}
    return {"evoopt": evoopt.__version__, "Python": platform.python_version(), **versions}


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _of_machine() -> dict[str, str]:
    return {
        "platform": platform.platform(),
        "CPU": described("cpu"),
        "CUDA": f"not available: {why}" if (why := why_no_cuda()) else described("cuda"),
        "threads": str(get_num_threads()),
        "kernel cache": _kernel_cache(),
    }


def _kernel_cache() -> str:
    """Return the folder where kernels are kept, or why there is none."""
    if JIT_DISABLED:
        return "none: NUMBA_DISABLE_JIT is set, so nothing is compiled"
    folder = KernelCache(show_versions).cache_path  # the same for all functions
    if folder is None:
        return "none: the folder cannot be used, see the warning"
    if not os.access(_nearest_that_exists(Path(folder)), os.W_OK):
        return f"none: {folder} cannot be written"
    return folder


def _nearest_that_exists(folder: Path) -> Path:
    return next(each for each in (folder, *folder.parents) if each.exists())
