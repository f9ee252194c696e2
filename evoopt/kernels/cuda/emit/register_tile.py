"""Register tiles: sums for some samples and units that stay in the registers of a thread.

Their code is written out for LLVM, because the compiler does not unroll loops over tuples, and an
index that may be negative costs three instructions. Here the address of each read is a constant
distance from the last one. Each function has a twin in plain Python, for the simulator.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.base import BaseContext
from numba.core.typing.templates import Signature
from numba.extending import intrinsic

from evoopt.kernels.cuda.emit.intrinsics import address_of, load_vector, store_vector
from evoopt.kernels.cuda.runtime.jit import twin_of

UNROLL = 2  # inputs that are read together; with more, registers would spill on some devices
_INDEX = ir.IntType(32)


class RegisterTile(NamedTuple):
    """The functions of a register tile, whose sums are a tuple, sample by sample.

    Arrays are 1-d float32.

    Attributes
    ----------
    start : (bias, index) -> sums
        Sums that begin with the biases of the units, from bias[index] on.
    zero : tuple
        Sums that begin with 0.
    multiply_add : (sums, weights, start, weights_stride, x, at, x_stride) -> sums
        The sums plus the products for all inputs. The weights of the first input begin at
        weights[start], and its samples at x[at]; the next input is a stride farther in both.
    store : (sums, x, at, stride, skip)
        Write the sums of unit u to x[at + u * stride] and its neighbours, without the first `skip`
        units.
    """

    start: Callable[..., Any]
    zero: tuple[Any, ...]
    multiply_add: Callable[..., Any]
    store: Callable[..., None]


@functools.cache
def _compiled_tile(n_in: int, n_samples: int, n_units: int, far: int, width: int) -> RegisterTile:
    sums_type, group = types.UniTuple(types.float32, n_samples * n_units), min(n_samples, 4)
    starts = [(0, 0), (4, far)][: n_samples // group]  # the first sample and the place of each vector

    @intrinsic
    def start(_typing, bias, index):
        def emit(
            context: BaseContext, builder: ir.IRBuilder, _signature: Signature, arguments: Sequence[ir.Value]
        ) -> ir.Value:
            at = address_of(context, builder, bias, arguments)
            one = [number for u in range(n_units) for number in _load(builder, at, u, 1)]
            return context.make_tuple(builder, sums_type, one * n_samples)

        return sums_type(bias, types.intp), emit

    @intrinsic
    def multiply_add(_typing, sums, weights, start, weights_stride, x, at, x_stride):
        def emit(
            context: BaseContext, builder: ir.IRBuilder, _signature: Signature, arguments: Sequence[ir.Value]
        ) -> ir.Value:
            def add_input(state: list[ir.Value]) -> list[ir.Value]:
                w_at, x_at, *total = state
                a = [z for _, place in starts for z in _load(builder, x_at, place, group)]
                w = [z for u in range(0, n_units, width) for z in _load(builder, w_at, u, width)]
                following = builder.gep(w_at, [arguments[3]]), builder.gep(x_at, [arguments[6]])
                sums = (_fma(builder, a[i // n_units], w[i % n_units], z) for i, z in enumerate(total))
                return [*following, *sums]

            begin = [
                address_of(context, builder, weights, arguments[1:3]),
                address_of(context, builder, x, arguments[4:6]),
                *cgutils.unpack_tuple(builder, arguments[0]),
            ]
            return context.make_tuple(builder, sums_type, _repeated(builder, n_in, add_input, begin)[2:])

        signature = sums, weights, types.intp, types.intp, x, types.intp, types.intp
        return sums_type(*signature), emit

    @intrinsic
    def store(_typing, sums, x, at, stride, skip):
        def emit(
            context: BaseContext, builder: ir.IRBuilder, _signature: Signature, arguments: Sequence[ir.Value]
        ) -> ir.Value:
            values = cgutils.unpack_tuple(builder, arguments[0])
            unit_at = address_of(context, builder, x, arguments[1:3])
            for u in range(n_units):
                with builder.if_then(builder.icmp_signed("<=", arguments[4], arguments[4].type(u))):
                    for first, place in starts:
                        numbers = [values[(first + s) * n_units + u] for s in range(group)]
                        store_vector(builder, builder.gep(unit_at, [_INDEX(place)]), numbers)
                unit_at = builder.gep(unit_at, [arguments[3]])
            return context.get_dummy_value()

        return types.void(sums, x, types.intp, types.intp, types.intp), emit

    return RegisterTile(start, (np.float32(0),) * (n_samples * n_units), multiply_add, store)


def _repeated(
    builder: ir.IRBuilder, times: int, emit: Callable[[list[ir.Value]], list[ir.Value]], state: list[ir.Value]
) -> list[ir.Value]:
    """Emit code that updates values so many times, as a loop with UNROLL updates in its body."""
    if times >= UNROLL:
        before, body = builder.block, builder.append_basic_block("inputs")
        builder.branch(body)
        builder.position_at_end(body)
        now = [builder.phi(value.type) for value in [_INDEX(0), *state]]
        for phi, value in zip(now, [_INDEX(0), *state], strict=True):
            phi.add_incoming(value, before)
        state = list(now[1:])
        for _ in range(UNROLL):
            state = emit(state)
        count = builder.add(now[0], _INDEX(1))
        after = builder.append_basic_block("rest")
        builder.cbranch(builder.icmp_signed("<", count, _INDEX(times // UNROLL)), body, after)
        for phi, value in zip(now, [count, *state], strict=True):
            phi.add_incoming(value, builder.block)
        builder.position_at_end(after)
    for _ in range(times % UNROLL):
        state = emit(state)
    return state


def _load(builder: ir.IRBuilder, start: ir.Value, place: int, n: int) -> list[ir.Value]:
    return load_vector(builder, builder.gep(start, [_INDEX(place)]), n)


def _fma(builder: ir.IRBuilder, a: ir.Value, b: ir.Value, c: ir.Value) -> ir.Value:
    kind = ir.FunctionType(a.type, [a.type] * 3)
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.fma.f32"), [a, b, c])


@twin_of(_compiled_tile)
def make_register_tile(n_in: int, n_samples: int, n_units: int, far: int, width: int) -> RegisterTile:
    """Make a register tile that reads weights by `width`, and samples by up to four.

    If there are 8 samples, the second four are `far` numbers from the first.
    """
    places = [s if s < 4 else s - 4 + far for s in range(n_samples)]
    group = min(n_samples, 4)

    def start(bias, index):
        return tuple(bias[index + u] for _ in range(n_samples) for u in range(n_units))

    def multiply_add(sums, weights, start, weights_stride, x, at, x_stride):
        wide = [n % width for n in (start, weights_stride)] + [n % group for n in (at, x_stride, far)]
        assert not any(wide), "a vector begins at a multiple of its width"
        for _ in range(n_in):
            a, w = [x[at + place] for place in places], [weights[start + u] for u in range(n_units)]
            sums = tuple(value + a[i // n_units] * w[i % n_units] for i, value in enumerate(sums))
            start, at = start + weights_stride, at + x_stride
        return sums

    def store(sums, x, at, stride, skip):
        for i, value in enumerate(sums):
            if i % n_units >= skip:
                x[at + i % n_units * stride + places[i // n_units]] = value

    return RegisterTile(start, (np.float32(0),) * (n_samples * n_units), multiply_add, store)
