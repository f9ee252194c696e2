"""Builds by gcc: the driver, and the translations of kernels, which are kept in a folder."""

import functools
import hashlib
import importlib.util
import os
import platform
import re
import shutil
import site
import subprocess
import tempfile
from pathlib import Path

from .translation import translate
from .translation.source import Needs

HERE = Path(__file__).parent
DRIVER = HERE / "driver"
RESERVED = 1024  # bytes of shared memory that the system takes in each block, counted by cuobjdump
# PTX fuses no product and sum of two instructions, and its integers wrap.
FLAGS = ["-O1", "-march=native", "-ffp-contract=off", "-fwrapv", "-fno-strict-aliasing", "-w"]


def why_not() -> str | None:
    """Return why the machine cannot be built here; None if it can."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return "the PTX machine needs Linux on x86-64"
    return None if shutil.which("gcc") else "the PTX machine needs gcc, which is not installed"


def disassembler() -> Path | None:
    """Return the path of cuobjdump in its installed package; None if there is none."""
    tools = (Path(folder) / "nvidia" / "cu13" / "bin" / "cuobjdump" for folder in site.getsitepackages())
    return next((tool for tool in tools if tool.exists()), None)


def why_no_kernels() -> str | None:
    """Return why the machine cannot have kernels of numba-cuda; None if it can."""
    for module, package in (("numba_cuda", "numba-cuda"), ("cuda", "cuda-bindings")):
        if importlib.util.find_spec(module) is None:
            return f"the PTX machine needs the package {package}, which is not installed"
    return None if disassembler() else "the PTX machine needs nvidia-cuda-cuobjdump, which is not installed"


@functools.cache
def version() -> str:
    """Return the name of this version of the machine, which uses no files of other versions."""
    files = sorted(path for path in HERE.rglob("*") if path.suffix in (".py", ".c", ".h"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]


def compile_c(sources: list[Path], target: Path, *flags: str) -> None:
    """Compile a library, which appears in its place when it is complete."""
    made = target.with_suffix(f".{os.getpid()}")
    command = ["gcc", *flags, "-I", str(DRIVER), "-shared", "-fPIC", *map(str, sources), "-o", str(made)]
    subprocess.run([*command, "-ldl", "-lpthread", "-lm"], check=True)
    made.rename(target)


def build_driver(folder: Path) -> Path:
    """Build the driver in a folder, if it is not there."""
    library = folder / "libcuda.so.1"
    if not library.exists():
        compile_c(sorted(DRIVER.glob("*.c")), library, "-O2", "-Wall", "-Wextra", "-Wno-unused-parameter")
    return library


def build_kernel(folder: Path, ptx: str, needs: Needs) -> Path:
    """Translate and compile a kernel into a folder, if it is not there; return the file."""
    name = hashlib.sha256(f"{version()} {needs} {ptx}".encode()).hexdigest()[:20]
    library = folder / f"{name}.so"
    if not library.exists():
        source = folder / f"{name}.{os.getpid()}.c"
        source.write_text(translate(ptx, needs))
        compile_c([source], library, *FLAGS)
        source.unlink()
    return library


def needs_of(cubin: bytes) -> Needs:
    """Read the needs of a kernel from its machine code."""
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        command = [str(disassembler()), "-res-usage", file.name]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.findall(r"REG:(\d+) STACK:(\d+) SHARED:(\d+)", text)
    registers, stack, shared = (max(map(int, column)) for column in zip(*found, strict=True))
    return Needs(registers, stack, max(shared - RESERVED, 0))
