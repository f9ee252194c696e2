"""Groups of random numbers of a row, as many lanes at once as a vector of the host has float32 numbers."""

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from evoopt.kernels.cpu.lanes import Lanes, element_type
from evoopt.kernels.cpu.simd import host_vectors
from evoopt.kernels.jit import JIT_DISABLED, inline
from evoopt.kernels.philox import COLUMNS, LANES, block_words, box_muller


class _Group:
    """Emits the code for some lanes of a group, and stores rows of (4, LANES)."""

    def __init__(self, context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> None:
        self.builder, self.width = builder, min(LANES, host_vectors()[0] // 4)
        self.arguments = [Lanes(builder, argument, np.uint64) for argument in arguments[:4]]
        array = signature.args[4]
        self.dtype = np.dtype(str(array.dtype))
        self.data = context.make_array(array)(context, builder, arguments[4]).data

    def for_lanes(self, emit: Callable[["_Group", ir.Value], None]) -> None:
        """Emit a loop over the lanes, `width` at a time."""
        intp = self.arguments[0].value.type
        with cgutils.for_range_slice(self.builder, intp(0), intp(LANES), intp(self.width), intp) as (lane, _):
            emit(self, lane)

    def words(self, lane: ir.Value) -> Any:
        """Emit the words of lanes from `lane` on."""
        key, row, group, purpose = self.arguments
        count = ir.Constant(ir.VectorType(lane.type, self.width), list(range(self.width)))
        block = group * LANES + Lanes(self.builder, lane, np.uint64) + Lanes(self.builder, count, np.uint64)
        return block_words(key, row, block, purpose)

    def store(self, row: int, lane: ir.Value, numbers: Lanes) -> None:
        at = self.builder.gep(self.data, [self.builder.add(lane, lane.type(row * LANES))])
        vector = ir.VectorType(element_type(self.dtype), self.width)
        self.builder.store(
            numbers.value, self.builder.bitcast(at, vector.as_pointer()), align=self.dtype.itemsize
        )


def _emit_words(group: _Group, lane: ir.Value) -> None:
    for row, word in enumerate(group.words(lane)):
        group.store(row, lane, word)


def _emit_pair(group: _Group, pair: int, words: Any, lane: ir.Value) -> None:
    for row, deviates in enumerate(box_muller(*words[pair : pair + 2], group.dtype)):
        group.store(pair + row, lane, deviates)


@intrinsic
def _store_words(_typing, key, row, group, purpose, out):
    def emit(context, builder, signature, arguments):
        _Group(context, builder, signature, arguments).for_lanes(_emit_words)
        return context.get_dummy_value()

    i = types.uint64
    return types.void(i, i, i, i, out), emit


@intrinsic
def _store_normals(_typing, key, row, group, purpose, out, all_of_them):
    def emit(context, builder, signature, arguments):
        def pairs(group: _Group, lane: ir.Value) -> None:
            words = group.words(lane)
            _emit_pair(group, 0, words, lane)
            with builder.if_then(arguments[5]):
                _emit_pair(group, 2, words, lane)

        _Group(context, builder, signature, arguments).for_lanes(pairs)
        return context.get_dummy_value()

    i = types.uint64
    return types.void(i, i, i, i, out, types.boolean), emit


def _store_words_python(key, row, group, purpose, out):
    blocks = group * np.uint64(LANES) + np.arange(LANES, dtype=np.uint64)
    out[:] = block_words(key, row, blocks, purpose)


def _store_normals_python(key, row, group, purpose, out, all_of_them):
    words = np.empty((4, LANES), np.uint32)
    _store_words_python(key, row, group, purpose, words)
    for pair in range(0, 4 if all_of_them else 2, 2):
        out[pair : pair + 2] = box_muller(words[pair], words[pair + 1], out.dtype)


if JIT_DISABLED:
    _store_words, _store_normals = _store_words_python, _store_normals_python


@inline
def words(key, row, group, purpose, out):
    """Fill `out` (4, LANES) uint32 with the words of one group of blocks of a row."""
    _store_words(key, row, np.uint64(group), np.uint64(purpose), out)


@inline
def normals(key, row, group, purpose, out, wanted=COLUMNS):
    """Fill `out` (4, LANES) with the normal deviates of columns [64 group, 64 group + 64) of a row.

    If only the first `wanted` of them are of use, the second half may be left out.
    """
    _store_normals(key, row, np.uint64(group), np.uint64(purpose), out, wanted > 2 * LANES)
