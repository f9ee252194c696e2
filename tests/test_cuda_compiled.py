"""Kernels for CUDA, compiled without a GPU: nothing is spilled, and wide loads are wide."""

import pytest
from cuda_compiler import CAPABILITIES, compiled, kernels, why_not

KERNELS = {} if why_not() else kernels()

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))


@pytest.mark.parametrize("capability", CAPABILITIES, ids=lambda cc: f"{cc[0]}.{cc[1]}")
@pytest.mark.parametrize("name", KERNELS)
def test_machine_code(name, capability):
    kernel = KERNELS[name]
    code = compiled(kernel, capability)
    assert code.opcodes["EXIT"] > 0, "nothing was disassembled"
    assert code.stack == 0
    assert code.count("LDL") == code.count("STL") == 0
    assert code.registers <= kernel.registers
    for opcode, at_least in kernel.at_least.items():
        assert code.count(opcode) >= at_least, opcode


def test_a_spill_would_be_seen():
    """A table that a thread indexes by a number of its own has to be on the stack."""
    from cuda_compiler import Kernel
    from numba import cuda

    @cuda.jit
    def indexed(place, out):
        table = cuda.local.array(64, "f4")
        for i in range(64):
            table[(i * place) % 64] = i
        out[cuda.threadIdx.x] = table[out[cuda.threadIdx.x] % 64]

    code = compiled(Kernel(lambda: indexed, "i4 i4*"), CAPABILITIES[1])
    assert code.stack >= 256
    assert code.count("LDL") > 0
    assert code.count("STL") > 0


def test_a_small_grid_is_no_reason_for_a_warning():
    from numba import config, cuda

    from evoopt.kernels.cuda.launch import _configured

    kernel = cuda.jit(lambda: None)
    before = config.CUDA_LOW_OCCUPANCY_WARNINGS
    assert _configured(kernel, (1, 32)).griddim == (1, 1, 1)  # warnings are errors here
    assert before == config.CUDA_LOW_OCCUPANCY_WARNINGS
