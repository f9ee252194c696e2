"""CUDA kernels compiled and linked without a driver: the needs and instructions of their code.

Numba-cuda optimizes once more at the link. The code here is the result, as a device runs it.

``python tests/cuda_compiler.py`` prints the table of docs/benchmarks/cuda.md.
"""

import functools
import importlib.util
import itertools
import math
import re
import subprocess
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import numba
import numpy as np
from numba.core import config

CAPABILITIES = [(8, 0), (9, 0), (10, 0)]
SHARED_BYTES = 163 * 1024  # bytes of a block at compute capability 8.0; others have as much or more


class Case(NamedTuple):
    """A kernel, the kinds of its arguments (see `driver`), and the least counts of wide reads."""

    kernel: Any
    kinds: tuple[Any, ...]
    wide: dict[str, int] = {}  # noqa: RUF012  (nobody changes it)


class Compiled(NamedTuple):
    """Registers of a thread, bytes of its stack, a block's shared memory, counts of instructions.

    Dynamic shared memory starts at a multiple of `alignment` bytes; `parameters` are the bytes of
    each parameter.
    """

    registers: int
    stack: int
    shared: int
    instructions: Counter[str]
    alignment: int
    parameters: list[int]


def array(dtype, dimensions=1):
    return np.dtype(dtype), dimensions


def layers(*units):
    from evoopt.kernels.cuda.networks.dense import DenseLayer

    found, at = [], 0
    for i, (n_in, n_out) in enumerate(itertools.pairwise(units)):
        activation = "tanh" if i < len(units) - 2 else "linear"
        found.append(DenseLayer(n_in, n_out, at + n_out, False, at, False, activation))
        at += n_out + n_in * n_out
    return tuple(found), at


def cases():
    """Return all kernels by name, at the sizes of the benchmarks."""
    from evoopt import envs
    from evoopt.kernels.cuda.networks import loss, tiles
    from evoopt.kernels.cuda.networks.samples import forward_samples
    from evoopt.kernels.cuda.population import genetic, moments, noise, ranking, rows, vectors
    from evoopt.kernels.cuda.rollouts.episode import KernelGame
    from evoopt.kernels.cuda.rollouts.plan import Plan
    from evoopt.kernels.cuda.rollouts.rollout import rollout_rows
    from evoopt.rules import genetic as rules
    from evoopt.rules.box import WAYS
    from evoopt.strategies import snes

    f, d, i, u = np.float32, float, int, np.uint64
    f1, d1, f2, d2, i1, u1 = (
        array("f4"),
        array("f8"),
        array("f4", 2),
        array("f8", 2),
        array("i8"),
        array("u8"),
    )
    found = {
        "noise, float32": Case(noise.sample_rows(np.dtype("f4")), (u, u1, d1, d1, f2)),
        "noise, float64": Case(noise.sample_rows(np.dtype("f8")), (u, u1, d1, d1, d2)),
        "noise, pairs": Case(noise.sample_rows(np.dtype("f4"), True), (u, u1, d1, d1, f2)),
        "ranks": Case(ranking.rank_rows(False), (d1, d1, d1)),
        "centred ranks": Case(ranking.rank_rows(True), (d1, d1, d1)),
        "moments": Case(moments.weighted_moments, (f2, d1, d1, d1, d1, d1)),
        "lengths": Case(moments.squared_lengths, (f2, d1, d1, d1)),
        "fingerprints": Case(rows.fingerprint_rows, (array("u4", 2), u1)),
        "gather": Case(rows.gather_rows, (i1, f2, i, f2, f, f2)),
        **{f"box, {way}": Case(rows.enclose_rows(way), (*[d1] * 6, f2)) for way in WAYS},
        "update of SNES": Case(vectors.map_vectors(snes.step), ((d1, d1), (*[d1] * 4, *[d] * 5), i)),
        "norm": Case(vectors.reduce_vectors(_square), (d2, (d1,), i)),
    }
    for crossover, name in ((rules.SBX, "SBX"), (rules.TENSOR, "tensor")):
        breed = genetic.breed(np.dtype("f4"), crossover, rules.POLYNOMIAL, False)
        found[f"children, {name}"] = Case(breed, (u, u1, array("i8", 2), f2, d1, d1, i1, u, f, f2))
    net, _ = layers(8, 64, 64, 4)
    for samples in (1, 8):
        forward = forward_samples(net, samples, True, 4)
        found[f"forward, {samples} own, 8-64-64-4"] = Case(forward, (f1, i, f1, f1, i, f1), {"LDG.E.128": 7})
    for units in ((64, 256, 256, 10), (64, 32, 10), (784, 64, 10), (4, 16, 16, 2)):
        net, n_params = layers(*units)
        plan, name = tiles.choose_plan(net, SHARED_BYTES), "-".join(map(str, units))
        wide, losses = {"LDG.E.128": 2, "LDS.128": 2}, (f1, i, f1, f1, f1, f1, i, d1)
        named = ("cross_entropy", "labels")
        tile = tiles.loss_tiles(net, plan, math.gcd(n_params, 4), named)
        found[f"loss, {name}"] = Case(tile, losses, {**wide, "LDG.E.64": 8})
        if units[-2] == 256:
            for alignment in (1, 4):
                tile = tiles.loss_tiles(net, plan, alignment, named)
                found[f"loss, {name}, rows aligned to {alignment}"] = Case(tile, losses, wide)
            forward = tiles.forward_tiles(net, plan, math.gcd(n_params, 4))
            found[f"forward, {name}"] = Case(forward, (f1, i, f1, f1, i, i, f1), wide)
    net, n_params = layers(64, 32, 10)
    plan, own = tiles.choose_plan(net, SHARED_BYTES), loss.own_loss(_largest_error, "vectors", 10, 10)
    tile = tiles.loss_tiles(net, plan, math.gcd(n_params, 4), own)
    found["loss of one's own, 64-32-10"] = Case(tile, losses, wide)
    found["pack"] = Case(tiles.pack, (f1, i1, i, i, i, f1))
    signature = (f1, i, f1, d1, i, d1, i, i, (d1, i1, d1))
    for env, units, episodes, normalizes in (
        ("cartpole", (4, 32, 32, 2), 1, False),
        ("cartpole_swingup", (5, 64, 64, 1), 8, False),
        ("acrobot", (6, 32, 3), 1, True),
    ):
        net, n_params = layers(*units)
        played = getattr(envs, env)
        game = KernelGame(
            played.reset, played.observe, played.step, played.state_size, played.observation_size,
            played.n_actions, played.discrete, played.uniforms,
        )  # fmt: skip
        threads = min(256, 32 * -(-episodes * max(units[1:]) // 32))
        name = f"rollout, {env} {'-'.join(map(str, units))}{', normalized' if normalizes else ''}"
        kernel = rollout_rows(net, game, normalizes, Plan(episodes, threads, n_params), 1)
        found[name] = Case(kernel, signature, {"LDS.128": 5})
        if episodes > 1:  # a case with rows left in global memory
            kernel = rollout_rows(net, game, normalizes, Plan(1, 64, 0), 2)
            found[f"{name}, large"] = Case(kernel, signature, {"LDG.E.64": 5})
    return found


def _square(x):
    return x * x


@numba.njit
def _largest_error(outputs, target):
    largest = abs(outputs[0] - target[0])
    for i in range(1, len(outputs)):
        largest = max(largest, abs(outputs[i] - target[i]))
    return largest


def why_not():
    """Return why nothing can be compiled here; None if it can."""
    if config.DISABLE_JIT or config.ENABLE_CUDASIM:
        return "the JIT is off, or CUDA is simulated"
    for package in ("numba_cuda", "cuda"):
        if importlib.util.find_spec(package) is None:
            return f"the package {package} is not installed"
    return None if tools() else "the packages of the disassemblers are not installed"


def tools():
    """Return the folder of NVIDIA's disassemblers in their packages; None if there is none."""
    import site

    folders = [Path(p) / "nvidia" / "cu13" / "bin" for p in site.getsitepackages()]
    return next((p for p in folders if (p / "cuobjdump").exists() and (p / "nvdisasm").exists()), None)


@functools.lru_cache(maxsize=1)  # tests and tables compile one kernel for several capabilities in turn
def _library(kernel, kinds):
    """Translate a kernel to LLVM code and PTX; the library links for any compute capability."""
    from numba.cuda import codegen, dispatcher

    from evoopt.kernels.cuda.runtime import driver

    device = mock.Mock(compute_capability=CAPABILITIES[0])
    with (
        mock.patch.object(dispatcher, "get_current_device", return_value=device),
        mock.patch.object(codegen.CUDACodeLibrary, "_ensure_cc", return_value=_target(CAPABILITIES[0])),
    ):
        compiled, signature = kernel.compiled, tuple(map(driver.type_of, kinds))
        library = dispatcher._Kernel(compiled.py_func, signature, **compiled.targetoptions).library
        return library, library.get_asm_str()


def _target(capability):
    return *capability, "a" if capability >= (9, 0) else ""


def compile_case(case, capability):
    """Compile and link a kernel for a compute capability, with numba-cuda's usual options."""
    library, text = _library(case.kernel, case.kinds)
    cubin = library.get_cubin(_target(capability)).code
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        usage = _output("cuobjdump", "-res-usage", file.name)
        code = _output("nvdisasm", "--no-dataflow", file.name)
    # Library functions that are not inlined have lines of their own, without registers.
    lines = re.findall(r"REG:(\d+) STACK:(\d+) SHARED:(\d+)", usage)
    registers, stack, shared = (max(int(number) for number in column) for column in zip(*lines, strict=True))
    names = re.findall(r"/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\d\s+)?([A-Z][A-Z0-9_.]+)", code)
    alignments = re.findall(r"\.extern \.shared \.align (\d+)", text)
    entry = text[text.index(".entry") :]
    parameters = [int(bits) // 8 for bits in re.findall(r"\.param \.[a-z](\d+)", entry[: entry.index(")")])]
    return Compiled(
        registers, stack, shared, Counter(names), max(map(int, alignments), default=0), parameters
    )


def _output(tool, *arguments):
    command = [str(tools() / tool), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def table(capability):
    """Return the table of docs/benchmarks/cuda.md."""
    lines = [
        "| kernel | registers | shared memory, bytes | stack | `LDG.128` | `LDS.128` |",
        "|---|---|---|---|---|---|",
    ]
    for name, case in cases().items():
        found = compile_case(case, capability)
        wide = found.instructions["LDG.E.128"], found.instructions["LDS.128"]
        shared = f"{found.shared:,}" + (f" + {case.kernel.shared:,}" if case.kernel.shared else "")
        lines.append(f"| {name} | {found.registers} | {shared} | {found.stack} | {wide[0]} | {wide[1]} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table((9, 0)))
