"""Instructions with their results by the PTX manual; and instructions that the machine refuses."""

import math

import numpy as np

NAN, INF = math.nan, math.inf
SMALL = 1e-40  # a subnormal number of f32
LEAST, MOST = -(2**31), 2**31 - 1
COMPARISONS = ["eq", "ne", "lt", "le", "gt", "ge", "num", "nan", "equ", "neu", "ltu", "leu", "gtu", "geu"]
TRUE_WITH_NAN = ["nan", "equ", "neu", "ltu", "leu", "gtu", "geu"]
TRUE_OF_2_AND_1 = ["ne", "gt", "ge", "num", "neu", "gtu", "geu"]
CHOSEN = "selp.u32 %d, 1, 0, %p"
# Each has a result %d, sources %a, %b and %c, the kinds of these, the sources, and the result.
CASES = [
    # rounding to the nearest number, to the even one of two
    ("add.f32 %d, %a, %b", "f32 f32 f32", (2.0**24, 1.0), 2.0**24),
    ("add.rn.f32 %d, %a, %b", "f32 f32 f32", (2.0**24 + 2, 1.0), 2.0**24 + 4),
    ("sub.f64 %d, %a, %b", "f64 f64 f64", (1.0, 2.0**-54), 1.0),
    ("mul.f32 %d, %a, %b", "f32 f32 f32", (1e30, 1e30), INF),
    ("div.rn.f32 %d, %a, %b", "f32 f32 f32", (1.0, 3.0), np.float32(1) / np.float32(3)),
    ("div.rn.f64 %d, %a, %b", "f64 f64 f64", (1.0, 0.0), INF),
    ("sqrt.rn.f32 %d, %a", "f32 f32", (2.0,), np.sqrt(np.float32(2))),
    ("sqrt.rn.f64 %d, %a", "f64 f64", (-1.0,), NAN),
    ("rcp.rn.f64 %d, %a", "f64 f64", (3.0,), 1 / 3),
    # one rounding of fma, two of mul and add
    ("fma.rn.f32 %d, %a, %a, %b", "f32 f32 f32", (1 + 2.0**-12, -(1 + 2.0**-11)), 2.0**-24),
    ("mul.f32 %f, %a, %a; add.f32 %d, %f, %b", "f32 f32 f32", (1 + 2.0**-12, -(1 + 2.0**-11)), 0.0),
    ("fma.rn.f64 %d, %a, %a, %b", "f64 f64 f64", (1 + 2.0**-27, -(1 + 2.0**-26)), 2.0**-54),
    ("mad.rn.f32 %d, %a, %a, %b", "f32 f32 f32", (1 + 2.0**-12, -(1 + 2.0**-11)), 2.0**-24),
    # subnormal numbers
    ("mul.f32 %d, %a, %b", "f32 f32 f32", (1e-20, 1e-20), np.float32(1e-20) * np.float32(1e-20)),
    ("mul.ftz.f32 %d, %a, %b", "f32 f32 f32", (1e-20, -1e-20), -0.0),
    ("add.ftz.f32 %d, %a, %b", "f32 f32 f32", (SMALL, SMALL), 0.0),
    ("fma.rn.ftz.f32 %d, %a, %b, %a", "f32 f32 f32", (SMALL, 1e30), 0.0),
    ("abs.f32 %d, %a", "f32 f32", (-SMALL,), SMALL),
    ("abs.ftz.f32 %d, %a", "f32 f32", (-SMALL,), 0.0),
    ("neg.ftz.f32 %d, %a", "f32 f32", (SMALL,), -0.0),
    ("max.ftz.f32 %d, %a, %b", "f32 f32 f32", (SMALL, -1.0), 0.0),
    ("setp.gt.f32 %p, %a, 0f00000000; selp.u32 %d, 1, 0, %p", "u32 f32", (SMALL,), 1),
    ("setp.gt.ftz.f32 %p, %a, 0f00000000; selp.u32 %d, 1, 0, %p", "u32 f32", (SMALL,), 0),
    # NaN and signs
    ("add.f32 %f, %a, %b; mov.b32 %d, %f", "b32 f32 f32", (INF, -INF), 0x7FFFFFFF),
    ("min.f32 %d, %a, %b", "f32 f32 f32", (NAN, 1.0), 1.0),
    ("max.f32 %d, %a, %b", "f32 f32 f32", (1.0, NAN), 1.0),
    ("min.f64 %d, %a, %b", "f64 f64 f64", (NAN, NAN), NAN),
    ("min.f32 %d, %a, %b", "f32 f32 f32", (0.0, -0.0), -0.0),
    ("max.f64 %d, %a, %b", "f64 f64 f64", (-0.0, 0.0), 0.0),
    ("neg.f32 %d, %a", "f32 f32", (0.0,), -0.0),
    ("neg.f64 %d, %a", "f64 f64", (1.5,), -1.5),
    ("abs.f64 %d, %a", "f64 f64", (-0.0,), 0.0),
    ("copysign.f32 %d, %a, %b", "f32 f32 f32", (-1.0, 3.0), -3.0),
    *(
        (f"setp.{how}.f64 %p, %a, %b; {CHOSEN}", "u32 f64 f64", (NAN, 1.0), int(how in TRUE_WITH_NAN))
        for how in COMPARISONS
    ),
    *(
        (f"setp.{how}.f32 %p, %a, %b; {CHOSEN}", "u32 f32 f32", (2.0, 1.0), int(how in TRUE_OF_2_AND_1))
        for how in COMPARISONS
    ),
    *(
        (f"testp.{test}.f32 %p, %a; selp.u32 %d, 1, 0, %p", "u32 f32", (x,), result)
        for test, x, result in (
            ("finite", INF, 0), ("infinite", -INF, 1), ("number", NAN, 0), ("notanumber", NAN, 1),
            ("normal", SMALL, 0), ("subnormal", SMALL, 1),
        )
    ),
    # approximate division beyond its range
    ("div.approx.f32 %d, %a, %b", "f32 f32 f32", (1.0, 2.0**127), 0.0),
    ("div.approx.f32 %d, %a, %b", "f32 f32 f32", (INF, 2.0**127), NAN),
    ("div.approx.f32 %d, %a, %b", "f32 f32 f32", (-1.0, INF), -0.0),
    ("div.full.f32 %d, %a, %b", "f32 f32 f32", (1.0, 2.0**127), 2.0**-127),
    ("rcp.approx.ftz.f64 %d, %a", "f64 f64", (2.0,), 0.5),
    # integers
    ("add.s32 %d, %a, %b", "s32 s32 s32", (MOST, 1), LEAST),
    ("sub.u64 %d, %a, %b", "u64 u64 u64", (0, 1), 2**64 - 1),
    ("add.s16 %d, %a, %b", "s16 s16 s16", (32767, 1), -32768),
    ("mul.lo.s32 %d, %a, %b", "s32 s32 s32", (65536, 65537), 65536),
    ("mul.lo.u64 %d, %a, %b", "u64 u64 u64", (2**63 + 1, 3), 2**63 + 3),
    ("mul.hi.s32 %d, %a, %b", "s32 s32 s32", (LEAST, 2), -1),
    ("mul.hi.u32 %d, %a, %b", "u32 u32 u32", (2**31, 2), 1),
    ("mul.hi.s64 %d, %a, %b", "s64 s64 s64", (-1, 1), -1),
    ("mul.hi.u64 %d, %a, %b", "u64 u64 u64", (2**64 - 1, 2**64 - 1), 2**64 - 2),
    ("mul.wide.s32 %d, %a, %b", "s64 s32 s32", (LEAST, LEAST), 2**62),
    ("mul.wide.u32 %d, %a, %b", "u64 u32 u32", (2**32 - 1, 2**32 - 1), (2**32 - 1) ** 2),
    ("mul.wide.s16 %d, %a, %b", "s32 s16 s16", (-32768, 32767), -32768 * 32767),
    ("mad.lo.s32 %d, %a, %b, %c", "s32 s32 s32 s32", (MOST, 2, 3), 1),
    ("mad.hi.s32 %d, %a, %b, %c", "s32 s32 s32 s32", (-1, 1, 5), 4),
    ("mad.wide.u32 %d, %a, %b, %c", "u64 u32 u32 u64", (2**32 - 1, 2, 2**63), 2**63 + 2**33 - 2),
    ("div.s32 %d, %a, %b", "s32 s32 s32", (-7, 2), -3),
    ("rem.s32 %d, %a, %b", "s32 s32 s32", (-7, 2), -1),
    ("div.s32 %d, %a, %b", "s32 s32 s32", (LEAST, -1), LEAST),
    ("rem.s64 %d, %a, %b", "s64 s64 s64", (-(2**63), -1), 0),
    ("div.u32 %d, %a, %b", "u32 u32 u32", (2**32 - 1, 2), MOST),
    ("neg.s32 %d, %a", "s32 s32", (LEAST,), LEAST),
    ("abs.s64 %d, %a", "s64 s64", (-5,), 5),
    ("min.s32 %d, %a, %b", "s32 s32 s32", (-1, 1), -1),
    ("min.u32 %d, %a, %b", "u32 u32 u32", (2**32 - 1, 1), 1),
    ("max.s64 %d, %a, %b", "s64 s64 s64", (-1, 1), 1),
    ("and.b32 %d, %a, %b", "b32 b32 b32", (12, 10), 8),
    ("or.b64 %d, %a, %b", "b64 b64 b64", (12, 10), 14),
    ("xor.b16 %d, %a, %b", "b16 b16 b16", (12, 10), 6),
    ("not.b32 %d, %a", "b32 b32", (0,), 2**32 - 1),
    ("popc.b64 %d, %a", "u32 b64", (2**64 - 1,), 64),
    ("clz.b32 %d, %a", "u32 b32", (0,), 32),
    ("clz.b32 %d, %a", "u32 b32", (1,), 31),
    ("clz.b64 %d, %a", "u32 b64", (1,), 63),
    ("shf.l.wrap.b32 %d, %a, %b, 33", "b32 b32 b32", (2**31, 1), 3),
    ("shf.r.wrap.b32 %d, %a, %b, 1", "b32 b32 b32", (2, 1), 2**31 + 1),
    # shifts by all bits, and by more
    *((f"shl.b32 %d, %a, {n}", "b32 b32", (3,), 3 << n & 2**32 - 1 if n < 32 else 0) for n in (31, 32, 40)),
    *((f"shl.b64 %d, %a, {n}", "b64 b64", (3,), 3 << n & 2**64 - 1 if n < 64 else 0) for n in (63, 64, 100)),
    *((f"shr.u64 %d, %a, {n}", "u64 u64", (2**63,), 2**63 >> n) for n in (63, 64, 100)),
    *((f"shr.s32 %d, %a, {n}", "s32 s32", (LEAST,), -1) for n in (31, 32, 100)),
    ("shr.u32 %d, %a, 32", "u32 u32", (2**31,), 0),
    ("shr.b32 %d, %a, 31", "b32 b32", (2**31,), 1),
    ("shl.b16 %d, %a, 16", "b16 b16", (1,), 0),
    ("shr.s16 %d, %a, 20", "s16 s16", (-5,), -1),
    # predicates
    ("mov.pred %p, -1; mov.pred %q, 1; xor.pred %p, %p, %q; selp.u32 %d, 1, 0, %p", "u32", (), 0),
    ("mov.pred %p, 0; not.pred %q, %p; and.pred %p, %q, !%p; selp.u32 %d, 1, 0, %p", "u32", (), 1),
    ("mov.pred %p, 0; or.pred %q, %p, 1; selp.f64 %d, %a, %b, %q", "f64 f64 f64", (NAN, 2.0), NAN),
    ("setp.lt.s32 %p, %a, %b; selp.u32 %d, 1, 0, %p", "u32 s32 s32", (-1, 1), 1),
    ("setp.lt.u32 %p, %a, %b; selp.u32 %d, 1, 0, %p", "u32 u32 u32", (2**32 - 1, 1), 0),
    ("setp.hs.u32 %p, %a, %b; selp.u32 %d, 1, 0, %p", "u32 u32 u32", (2**32 - 1, 1), 1),
    ("mov.pred %q, 0; setp.eq.and.s32 %p|%q, %a, 1, %q; selp.u32 %d, 1, 0, %q", "u32 s32", (1,), 0),
    ("mov.pred %q, 1; setp.eq.xor.s32 %p|%q, %a, 1, !%q; selp.u32 %d, 1, 0, %q", "u32 s32", (2,), 1),
    ("mov.pred %p, 1; mov.u32 %d, 1; @%p mov.u32 %d, 2; @!%p mov.u32 %d, 3", "u32", (), 2),
    # conversions
    *(
        (f"cvt.{how}.s32.f32 %d, %a", "s32 f32", (x,), result)
        for how, x, result in (
            ("rni", 2.5, 2), ("rni", 3.5, 4), ("rni", -2.5, -2), ("rzi", -2.7, -2), ("rmi", -2.1, -3),
            ("rpi", 2.1, 3), ("rzi", 1e20, MOST), ("rzi", -INF, LEAST), ("rzi", NAN, 0),
        )
    ),
    ("cvt.rzi.u32.f32 %d, %a", "u32 f32", (-1.0,), 0),
    ("cvt.rzi.u64.f64 %d, %a", "u64 f64", (1e30,), 2**64 - 1),
    ("cvt.rzi.s64.f32 %d, %a", "s64 f32", (NAN,), -(2**63)),
    ("cvt.rzi.s32.f64 %d, %a", "s32 f64", (NAN,), LEAST),
    ("cvt.rni.f64.f64 %d, %a", "f64 f64", (2.5,), 2.0),
    ("cvt.rmi.f32.f32 %d, %a", "f32 f32", (-2.5,), -3.0),
    ("cvt.rn.f32.s32 %d, %a", "f32 s32", (2**24 + 1,), 2.0**24),
    ("cvt.rn.f32.s64 %d, %a", "f32 s64", (2**54 + 2**30 + 1,), 2.0**54 + 2.0**31),
    ("cvt.rn.f64.u64 %d, %a", "f64 u64", (2**64 - 1,), 2.0**64),
    ("cvt.rn.f32.f64 %d, %a", "f32 f64", (1 + 2.0**-24,), 1.0),
    ("cvt.rn.f32.f64 %d, %a", "f32 f64", (1e300,), INF),
    ("cvt.ftz.f64.f32 %d, %a", "f64 f32", (SMALL,), 0.0),
    ("cvt.s8.s32 %d, %a", "s32 s32", (200,), -56),
    ("cvt.u8.s32 %d, %a", "u32 s32", (-1,), 255),
    ("cvt.s64.s32 %d, %a", "s64 s32", (-1,), -1),
    ("cvt.u64.u32 %d, %a", "u64 u32", (2**32 - 1,), 2**32 - 1),
    ("cvt.u32.u64 %d, %a", "u32 u64", (2**32 + 5,), 5),
    ("mov.b64 %d, {%a, %b}", "b64 b32 b32", (1, 2), 2**33 + 1),
    ("mov.b64 {_, %d}, %a", "b32 b64", (2**33 + 1,), 2),
    ("mov.b32 %d, %a", "b32 f32", (1.0,), 0x3F800000),
    ("mov.f64 %d, 0d3FF8000000000000", "f64", (), 1.5),
    # memory: %i is the address of the first source
    ("ld.global.s8 %d, [%i]", "s32 s32", (200,), -56),
    ("ld.global.u8 %d, [%i]", "u32 s32", (-1,), 255),
    ("ld.global.v2.b32 {_, %d}, [%i]", "b32 b64", (2**33 + 1,), 2),
    ("cvta.global.u64 %l, %i; ld.f32 %d, [%l+0]", "f32 f32", (1.5,), 1.5),
    (
        "st.shared.v4.f32 [many], {%a, %b, %c, %a}; ld.shared.v2.f32 {%f, %d}, [many+8]",
        "f32 f32 f32 f32", (1, 2, 3), 1.0,
    ),
    ("mov.u32 %r, many; st.shared.f64 [%r+8], %a; ld.shared.f64 %d, [many+8]", "f64 f64", (1.5,), 1.5),
    (
        "mov.u64 %l, many; cvta.shared.u64 %l, %l; st.u32 [%l], %a; ld.shared.u32 %d, [many]",
        "u32 u32", (7,), 7,
    ),
    (
        "st.shared.u32 [many], -1; st.shared.u8 [many+1], 0; ld.shared.u32 %d, [many]",
        "u32", (), 2**32 - 1 - 0xFF00,
    ),
    ("st.local.u32 [own+4], %a; ld.local.u32 %d, [own+4]", "u32 u32", (7,), 7),
    ("st.local.u32 [own], %a; st.local.u32 [other], 8; ld.local.u32 %d, [own]", "u32 u32", (7,), 7),
    (
        "mov.u64 %l, other; cvta.local.u64 %l, %l; st.u32 [%l+4], %a; ld.local.u32 %d, [other+4]",
        "u32 u32", (9,), 9,
    ),
    # labels, branches and scopes
    ("mov.u32 %d, 0; $loop: add.s32 %d, %d, 1; setp.lt.s32 %p, %d, %a; @%p bra $loop", "s32 s32", (5,), 5),
    ("{ .reg .b32 %a; mov.u32 %a, 3; mov.u32 %d, %a; } add.u32 %d, %d, %a", "u32 u32", (4,), 7),
    ("mov.u32 %d, %ntid.x; mov.u32 %r, %tid.y; add.u32 %d, %d, %r", "u32", (), 1),
]  # fmt: skip
REFUSED = [
    "add.rz.f32 %f, %f, %f", "add.sat.f32 %f, %f, %f", "min.NaN.f32 %f, %f, %f",
    "min.xorsign.abs.f32 %f, %f, %f", "fma.rm.f64 %g, %g, %g, %g", "sqrt.rp.f32 %f, %f",
    "mul24.lo.s32 %r, %r, %r", "cvt.rz.f32.f64 %f, %g", "cvt.sat.u8.s32 %r, %r", "cvt.rn.f16.f32 %h, %f",
    "cvt.s32.f32 %r, %f", "add.cc.u32 %r, %r, %r", "addc.u32 %r, %r, %r", "shf.l.clamp.b32 %r, %r, %r, %r",
    "lop3.b32 %r, %r, %r, %r, 1", "prmt.b32 %r, %r, %r, %r", "atom.global.add.u32 %r, [%l], %r",
    "red.global.add.u32 [%l], %r", "shfl.sync.bfly.b32 %r, %r, 1, 31, -1", "vote.sync.any.pred %p, %p, -1",
    "bar.sync 1", "bar.sync 0, 64", "bar.arrive 0, 64", "bar.warp.sync -1", "call f, (%r)",
    "brx.idx %r, targets", "ld.const.f32 %f, [table]", "ld.acquire.gpu.global.u32 %r, [%l]",
    "ld.volatile.global.u32 %r, [%l]", "ld.global.f32 %f, [table]", "mov.u64 %l, table",
    "mov.u32 %r, %clock", "ld.param.u64 %l, [input+4]", "cp.async.ca.shared.global [%l], [%l], 4",
    "ex2.approx.f16 %h, %h", "mov.u32 %unknown, 1", "tanh.approx.bf16 %h, %h",
]  # fmt: skip
APPROXIMATE = {
    "sqrt": np.sqrt, "rcp": np.reciprocal, "rsqrt": lambda x: 1 / np.sqrt(x), "ex2": np.exp2, "lg2": np.log2,
    "sin": np.sin, "cos": np.cos, "tanh": np.tanh,
}  # fmt: skip
ENDS = ["trap", "exit", "bar", "barrier", "membar", "fence", "nanosleep", "prefetch"]
