"""Kernels for CUDA compiled to machine code without a GPU or a driver, and what is in it.

``python tests/cuda_compiler.py`` prints the table of docs/cuda.md.
"""

import collections
import functools
import importlib.util
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
from numba import config, from_dtype, types

CAPABILITIES = ((8, 0), (9, 0), (10, 0))  # A100, H100 and H200, B200


class Compiled(NamedTuple):
    """What one kernel became: the largest of its functions, and how often each opcode stands in it."""

    registers: int
    stack: int  # bytes of a thread; spilled registers are there
    shared: int  # bytes of a block, without the dynamic ones
    opcodes: collections.Counter[str]

    def count(self, opcode: str) -> int:
        """Count an opcode with any modifiers: LDG is LDG.E too, and LDG.E.128 also LDG.E.128.CONSTANT."""
        return sum(n for found, n in self.opcodes.items() if f"{found}.".startswith(f"{opcode}."))


class Kernel(NamedTuple):
    """A kernel, the types of its arguments, and what must hold of its machine code."""

    make: Callable[[], Any]
    arguments: str  # dtypes, with a star for each axis of an array: "u8 f4**"
    registers: int = 255  # at most
    at_least: Mapping[str, int] = {}  # opcode -> count


def kernels() -> dict[str, Kernel]:
    """Give all that is compiled and looked at, by name."""
    from evoopt.kernels.cuda.noise import sample_rows

    rows = "u8 u8* f8* f8*"
    return {
        "noise float32": Kernel(lambda: sample_rows(np.float32), f"{rows} f4**", registers=72),
        "noise float32, pairs": Kernel(lambda: sample_rows(np.float32, True), f"{rows} f4**", registers=72),
        "noise float64": Kernel(lambda: sample_rows(np.float64), f"{rows} f8**", registers=88),
        "noise float64, pairs": Kernel(lambda: sample_rows(np.float64, True), f"{rows} f8**", registers=88),
    }


def why_not() -> str | None:
    """Say why nothing can be compiled here; None if it can."""
    if config.DISABLE_JIT or config.ENABLE_CUDASIM:
        return "the JIT is off, or CUDA is simulated"
    if importlib.util.find_spec("numba_cuda") is None:
        return "the package numba-cuda is not installed"
    if importlib.util.find_spec("cuda") is None:
        return "the package cuda-bindings is not installed"
    missing = [name for name in ("cuobjdump", "nvdisasm") if _tool(name) is None]
    return f"the package nvidia-cuda-{missing[0]} is not installed" if missing else None


def compiled(kernel: Kernel, capability: tuple[int, int]) -> Compiled:
    """Compile for a compute capability and disassemble."""
    from numba import cuda
    from numba.cuda import dispatcher

    made = kernel.make()
    target = (*capability, "a") if capability >= (9, 0) else capability  # as numba-cuda does on a device
    device = mock.Mock(compute_capability=capability)
    with mock.patch.object(dispatcher, "get_current_device", return_value=device):  # parts ask for it
        ptx, _ = cuda.compile_ptx(
            made.py_func,
            types_of(kernel.arguments),
            cc=target,
            launch_bounds=made.targetoptions.get("launch_bounds"),
        )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "kernel.cubin"
        file.write_bytes(_linked(ptx, target))
        usage, code = _run("cuobjdump", "-res-usage", file), _run("nvdisasm", "-c", file)
    found = {
        name: max(map(int, re.findall(rf"\b{name}:(\d+)", usage))) for name in ("REG", "STACK", "SHARED")
    }
    # /*00f0*/  @!P0 LDG.E.128 R4, ...
    opcodes = re.findall(r"/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?([A-Z][A-Z0-9_.]*)", code)
    return Compiled(found["REG"], found["STACK"], found["SHARED"], collections.Counter(opcodes))


def table() -> str:
    """Give the kernels and what they became, in Markdown; numbers are for each compute capability."""
    columns: dict[str, Callable[[Compiled], int]] = {
        "registers": lambda code: code.registers,
        "shared bytes": lambda code: code.shared,
        "instructions": lambda code: code.opcodes.total(),
        "multiply-adds": lambda code: sum(map(code.count, ("FFMA", "FFMA2", "DFMA"))),
        "global loads": lambda code: code.count("LDG"),
        "of 128 bits": lambda code: code.count("LDG.E.128"),
        "shared loads": lambda code: code.count("LDS"),
        "of 128 bits ": lambda code: code.count("LDS.128"),
    }
    lines = ["| kernel | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name, kernel in kernels().items():
        codes = [compiled(kernel, capability) for capability in CAPABILITIES]
        cells = [list(map(value, codes)) for value in columns.values()]
        shown = [" / ".join(map(str, cell if len(set(cell)) > 1 else cell[:1])) for cell in cells]
        lines.append(f"| {name} | " + " | ".join(shown) + " |")
    return "\n".join(lines)


def types_of(arguments: str) -> tuple[Any, ...]:
    """Give numba's types of arguments in the words of `Kernel`."""
    return tuple(map(_type, arguments.split()))


def _type(word: str) -> Any:
    number = from_dtype(np.dtype(word.rstrip("*")))
    return types.Array(number, word.count("*"), "C") if word.endswith("*") else number


def _linked(ptx: str, target: tuple[Any, ...]) -> bytes:
    from cuda.bindings import nvjitlink

    code = ptx.encode()
    handle = nvjitlink.create(1, [f"-arch=sm_{''.join(map(str, target))}"])
    try:
        nvjitlink.add_data(handle, nvjitlink.InputType.PTX, code, len(code), "kernel")
        nvjitlink.complete(handle)
        cubin = bytearray(nvjitlink.get_linked_cubin_size(handle))
        nvjitlink.get_linked_cubin(handle, cubin)
    finally:
        nvjitlink.destroy(handle)
    return bytes(cubin)


@functools.cache
def _tool(name: str) -> Path | None:
    """Find a disassembler: its package has it beside the libraries of the toolkit."""
    spec = importlib.util.find_spec("nvidia")
    folders = (spec.submodule_search_locations or []) if spec else []
    return next((path for folder in folders for path in Path(folder).glob(f"cu*/bin/{name}")), None)


def _run(tool: str, *arguments: Any) -> str:
    command = [str(_tool(tool)), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    sys.exit(why_not()) if why_not() else print(table())
