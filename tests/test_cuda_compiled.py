"""Kernels for CUDA, compiled for real: no spills, the wide reads that were meant, room for two blocks."""

import pytest
from conftest import JIT_DISABLED, SIMULATED

pytest.importorskip("numba_cuda", reason="the package numba-cuda is not installed")

import cuda_compiler
from cuda_compiler import CAPABILITIES

CASES = {} if JIT_DISABLED or SIMULATED else cuda_compiler.cases()
REGISTERS = 65536  # of a multiprocessor
pytestmark = [
    pytest.mark.skipif(JIT_DISABLED or SIMULATED, reason="nothing is compiled"),
    pytest.mark.skipif(cuda_compiler.tools() is None, reason="the packages of the disassemblers are missing"),
]


@pytest.mark.parametrize("capability", CAPABILITIES, ids=lambda c: f"{c[0]}.{c[1]}")
@pytest.mark.parametrize("name", CASES)
def test_machine_code(name, capability):
    case = CASES[name]
    found = cuda_compiler.compile_case(case, capability)
    assert found.stack == 0
    assert not [instruction for instruction in found.instructions if instruction.startswith(("LDL", "STL"))]
    for instruction, least in case.wide.items():
        assert found.instructions[instruction] >= least
    threads = case.kernel.targetoptions["launch_bounds"][0]
    assert 2 * threads * found.registers <= REGISTERS, "two blocks do not fit a multiprocessor"
