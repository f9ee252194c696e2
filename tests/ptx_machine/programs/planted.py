"""Kernels of numba-cuda with planted errors, which are found exactly if the number is wrong.

It prints a line for each launch: the kernel, whether the number was wrong, and the findings.
"""

import ctypes
from typing import Any

import numpy as np
from numba import cuda, float32

from evoopt.kernels.cuda.emit.intrinsics import load4
from evoopt.kernels.cuda.runtime.jit import kernel
from evoopt.kernels.cuda.runtime.stream import Stream

THREADS = 64


@kernel(1)
def misaligned(out: Any, number: int) -> None:
    a, b, c, d = load4(out, number)
    out[cuda.threadIdx.x] = a + b + c + d


@kernel(THREADS)
def out_of_bounds(out: Any, number: int) -> None:
    out[cuda.threadIdx.x + number] = 1.0


@kernel(THREADS)
def race(out: Any, number: int) -> None:
    shared = cuda.shared.array(THREADS, float32)
    t = cuda.threadIdx.x
    shared[t] = t
    if number:
        cuda.syncthreads()
    out[t] = shared[THREADS - 1 - t]


@kernel(THREADS)
def race_of_blocks(out: Any, number: int) -> None:
    out[cuda.threadIdx.x] = cuda.blockIdx.x * number


@kernel(THREADS)
def unwritten(out: Any, number: int) -> None:
    shared = cuda.shared.array(THREADS, float32)
    t = cuda.threadIdx.x
    if t < number:
        shared[t] = 1.0
    cuda.syncthreads()
    out[t] = shared[t]


@kernel(THREADS)
def diverging(out: Any, number: int) -> None:
    t = cuda.threadIdx.x
    if t < number:
        cuda.syncthreads()
        out[t] = 1.0
        cuda.syncthreads()
    else:
        cuda.syncthreads()
        out[t] = out[t] + 2.0
        cuda.syncthreads()


# A kernel, the wrong number, a right one, the blocks; two blocks may write the same value.
PLANTED = [
    (misaligned, 1, 4, 1), (out_of_bounds, 1, 0, 1), (race, 0, 1, 1), (race_of_blocks, 1, 0, 2),
    (unwritten, 63, 64, 1), (diverging, 1, 0, 1),
]  # fmt: skip


def main() -> None:
    driver = ctypes.CDLL("libcuda.so.1")
    driver.machine_finding.restype = ctypes.c_char_p
    stream = Stream()
    for planted, wrong, right, blocks in PLANTED:
        for number in (right, wrong):
            out = stream.to_device(np.zeros(THREADS), np.float32)
            driver.machine_forget()
            stream.launch(planted, blocks, out, number)
            np.asarray(out)
            found = driver.machine_finding(0) or b""
            name = planted.compiled.py_func.__name__
            print(name, number == wrong, found.decode().partition(" |")[0], sep="\t")
    del out
    driver.machine_forget()


main()
