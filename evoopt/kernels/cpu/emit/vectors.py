"""Vectors of the host: their width, the width of tiles, and LLVM code that uses them."""

import functools
from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.base import BaseContext
from numba.core.registry import cpu_target

from evoopt.compiling.jit import JIT_DISABLED, inline
from evoopt.rules.bits import constant

AHEAD = 2048  # bytes: how far ahead a product prefetches numbers that it reads once


class Vectors(NamedTuple):
    """The vectors that a host computes with."""

    bytes: int  # the size of a register
    of_tile: int  # vectors in a row of a tile
    fused: bool  # whether there is a fused multiply-add


_NARROW = Vectors(16, 2, False)  # any host has these


@functools.cache
def host_vectors() -> Vectors:
    """Return the vectors of this host; without the JIT, the narrowest, which suit loops in Python.

    They follow from the features that numba compiles for (``NUMBA_CPU_FEATURES`` included), which
    are part of the key of its disk cache.
    """
    if JIT_DISABLED:
        return _NARROW
    triple, _, features = cpu_target.target_context.codegen().magic_tuple()
    enabled = set(features.split(","))
    if "+avx512f" in enabled:
        return Vectors(64, 4, True)  # 32 registers: 24 of C, 4 of B, and the broadcasts
    if "+avx" in enabled:
        return Vectors(32, 2, "+fma" in enabled)  # 16 registers: 12 of C, 2 of B
    if triple.startswith(("aarch64", "arm64")):
        return Vectors(16, 4, True)  # 32 registers
    return _NARROW


def tile_shape(dtype: np.dtype) -> tuple[int, int]:
    """Return the columns of a tile, which are samples side by side, and the lanes of a vector."""
    lanes = host_vectors().bytes // dtype.itemsize
    return host_vectors().of_tile * lanes, lanes


_COLUMNS32, _LANES32 = tile_shape(np.dtype(np.float32))
_COLUMNS64, _LANES64 = tile_shape(np.dtype(np.float64))
columns_of, lanes_of = constant(_COLUMNS32, _COLUMNS64), constant(_LANES32, _LANES64)


@inline
def tile_width(samples, columns, lanes):
    """Return the columns of a tile for so many samples: all, or whole vectors in the last tile."""
    return min(columns, (samples + lanes - 1) // lanes * lanes)


class VectorCode:
    """An emitter of code for vectors of a dtype, at positions counted in elements."""

    def __init__(self, context: BaseContext, builder: ir.IRBuilder, dtype: types.Type) -> None:
        self.builder = builder
        self.element = context.get_value_type(dtype)
        self.itemsize = context.get_abi_sizeof(self.element)
        self.lanes = host_vectors().bytes // self.itemsize
        self.type = ir.VectorType(self.element, self.lanes)
        self.name = f"v{self.lanes}f{8 * self.itemsize}"  # its name in functions of LLVM
        self._mask: ir.Value | None = None

    def use_only(self, count: ir.Value) -> None:
        """Load and store only the first `count` lanes from here on; the others are 0."""
        lanes = ir.Constant(ir.VectorType(count.type, self.lanes), list(range(self.lanes)))
        self._mask = self.builder.icmp_signed("<", lanes, self.broadcast(count))

    def _masked(self, verb: str, returns: ir.Type, *arguments: ir.Value) -> ir.Value:
        signature = ir.FunctionType(returns, [argument.type for argument in arguments])
        name = f"llvm.masked.{verb}.{self.name}.p0"
        return self.builder.call(
            cgutils.get_or_insert_function(self.builder.module, signature, name), arguments
        )

    def pointer(self, data: ir.Value, at: ir.Value) -> ir.Value:
        return self.builder.bitcast(self.builder.gep(data, [at]), self.type.as_pointer())

    def load(self, data: ir.Value, at: ir.Value) -> ir.Value:
        if self._mask is None:
            return self.builder.load(self.pointer(data, at), align=self.itemsize)
        align, others = ir.Constant(ir.IntType(32), self.itemsize), ir.Constant(self.type, None)
        return self._masked("load", self.type, self.pointer(data, at), align, self._mask, others)

    def prefetch(self, data: ir.Value, at: ir.Value) -> None:
        """Prefetch the cache line at a position, which need not exist."""
        byte, int32 = ir.IntType(8).as_pointer(), ir.IntType(32)
        signature = ir.FunctionType(ir.VoidType(), [byte, int32, int32, int32])
        prefetch = cgutils.get_or_insert_function(self.builder.module, signature, "llvm.prefetch.p0")
        place = self.builder.bitcast(self.builder.gep(data, [at]), byte)
        self.builder.call(prefetch, [place, int32(0), int32(3), int32(1)])  # a read, all caches, data

    def store(self, vector: ir.Value, data: ir.Value, at: ir.Value) -> None:
        if self._mask is None:
            self.builder.store(vector, self.pointer(data, at), align=self.itemsize)
            return
        align = ir.Constant(ir.IntType(32), self.itemsize)
        self._masked("store", ir.VoidType(), vector, self.pointer(data, at), align, self._mask)

    def broadcast(self, scalar: ir.Value) -> ir.Value:
        int32 = ir.IntType(32)
        undefined = ir.Constant(ir.VectorType(scalar.type, self.lanes), ir.Undefined)
        first_lane = self.builder.insert_element(undefined, scalar, int32(0))
        lane_zero = ir.Constant(ir.VectorType(int32, self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(first_lane, undefined, lane_zero)

    def multiply_add(self, x: ir.Value, y: ir.Value, z: ir.Value) -> ir.Value:
        if not host_vectors().fused:  # otherwise llvm.fma would call libm for each lane
            return self.builder.fadd(self.builder.fmul(x, y), z)
        signature = ir.FunctionType(self.type, [self.type] * 3)
        fma = cgutils.get_or_insert_function(self.builder.module, signature, f"llvm.fma.{self.name}")
        return self.builder.call(fma, [x, y, z])
