"""Kernels for CUDA, compiled for real: no spills, the wide reads that were meant, room for two blocks."""

import cuda_compiler
import pytest
from cuda_compiler import CAPABILITIES

REASON = cuda_compiler.why_not()
CASES = {} if REASON else cuda_compiler.cases()
REGISTERS = 65536  # of a multiprocessor
pytestmark = pytest.mark.skipif(REASON is not None, reason=str(REASON))


@pytest.mark.parametrize("capability", CAPABILITIES, ids=lambda c: f"{c[0]}.{c[1]}")
@pytest.mark.parametrize("name", CASES)
def test_machine_code(name, capability):
    case = CASES[name]
    found = cuda_compiler.compile_case(case, capability)
    assert found.stack == 0
    assert not [instruction for instruction in found.instructions if instruction.startswith(("LDL", "STL"))]
    for instruction, least in case.wide.items():
        assert found.instructions[instruction] >= least
    if name.startswith("rollout") and case.dynamic:  # after other shared arrays, and read by 128 bits
        assert found.alignment == 16
    threads = case.kernel.targetoptions["launch_bounds"][0]
    assert 2 * threads * found.registers <= REGISTERS, "two blocks do not fit a multiprocessor"
