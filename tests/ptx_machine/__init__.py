"""A strict machine that runs kernels for CUDA on the CPU, one PTX instruction after the other.

    python -m tests.ptx_machine [OPTION ...] SCRIPT|-m MODULE|-c CODE [ARGUMENT ...]
    python -m tests.ptx_machine -m pytest -o addopts= tests/cuda

numba-cuda compiles and links as usual. The linker optimizes the PTX, and makes the machine code
from it. This PTX is translated to C (`translation`), compiled by gcc and kept (`build`). The file's
name goes with the machine code (`hooks`) to a replacement of NVIDIA's libcuda.so.1 (`driver`),
which runs it.

The driver's memory is at addresses that the host cannot read. Each byte has a state (absent,
without a value, with a value), and each four bytes know who touched them last. The threads of a
block are coroutines that run from barrier to barrier, every other time the last one first. Streams
do their work only when the host waits for it. Freed memory is never used again. The machine finds:

- in kernels: misaligned accesses, accesses out of bounds, reads of memory that nobody wrote, races
  in shared and in global memory, barriers that differ within a block, integer divisions by 0,
  traps;
- in launches: more threads, registers or shared memory than a device has, or grids that it refuses;
- in the host's calls: destroyed streams and events, memory that is freed twice or while it is in
  use, copies out of bounds, calls without a context.

Instructions between the threads of a warp, atomic instructions, calls and constant tables are
refused (`UnsupportedError`), and so is every modifier that the machine does not know. No kernel of
evoopt has one.

The machine does not find: two streams that write the same memory without order; errors that depend
on another order of threads; and changes that the device's compiler makes after PTX, which may fuse
a product and a sum into one rounding. Threads that write different bytes of the same four count as
a race.
"""
