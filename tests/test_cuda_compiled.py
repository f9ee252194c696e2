"""Compiled CUDA kernels: no spills, the intended wide reads, room for two blocks."""

import math
import re

import cuda_compiler
import pytest
from cuda_compiler import CAPABILITIES

REASON = cuda_compiler.why_not()
CASES = {} if REASON else cuda_compiler.cases()
REGISTERS = 65536  # registers of a multiprocessor
pytestmark = pytest.mark.skipif(REASON is not None, reason=str(REASON))


def parameters_of(case):
    """Return the bytes of each parameter as the launch packs them, in places of eight."""
    from evoopt.kernels.cuda.runtime import driver

    packed = "".join(map(driver.format_of, case.kinds))
    numbers = [code for count, code in re.findall(r"(\d*)([qQdf])", packed) for _ in range(int(count or 1))]
    return [4 if code == "f" else 8 for code in numbers]


@pytest.mark.parametrize("capability", CAPABILITIES, ids=lambda c: f"{c[0]}.{c[1]}")
@pytest.mark.parametrize("name", CASES)
def test_machine_code(name, capability):
    case = CASES[name]
    found = cuda_compiler.compile_case(case, capability)
    assert found.stack == 0
    assert not [instruction for instruction in found.instructions if instruction.startswith(("LDL", "STL"))]
    for instruction, least in case.wide.items():
        assert found.instructions[instruction] >= least
    if name.startswith("rollout") and case.kernel.shared:  # follows other arrays; 128-bit reads
        assert found.alignment == 16
    assert found.parameters == parameters_of(case)
    assert 2 * math.prod(case.kernel.threads) * found.registers <= REGISTERS, (
        "two blocks do not fit a multiprocessor"
    )
