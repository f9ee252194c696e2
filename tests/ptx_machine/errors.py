"""PTX kernels with planted errors, each with a number that triggers it and one that does not."""

from typing import NamedTuple

THREADS = 64
# Each thread %t, of two warps, has four bytes at %mine in the memory at %out, and four at %own in
# the shared array `many`. %n, and %m of 32 bits, are the launch's number.
_KERNEL = """.version 9.0
.target sm_90a
.address_size 64
.extern .shared .align 4 .b8 dynamic[];
.visible .entry planted(.param .u64 out, .param .u64 n) .maxntid {threads}
{{
    .reg .b64 %out, %n, %mine, %a;
    .reg .b32 %t, %m, %own, %r, %s;
    .reg .pred %p;
    .reg .f32 %f, %g, %h, %k;
    .shared .align 16 .b8 many[256];
    .local .align 16 .b8 few[16];
    ld.param.u64 %out, [out];
    ld.param.u64 %n, [n];
    cvt.u32.u64 %m, %n;
    mov.u32 %t, %tid.x;
    mul.wide.u32 %mine, %t, 4;
    add.u64 %mine, %out, %mine;
    shl.b32 %own, %t, 2;
    mov.u32 %r, many;
    add.u32 %own, %own, %r;
    {body}
    ret;
}}
"""


def kernel_of(body: str = "", threads: int = 1024) -> str:
    """Return the PTX of a kernel with a body, for blocks of at most so many threads."""
    return _KERNEL.format(body=body, threads=threads)


class Planted(NamedTuple):
    """A kernel's body, the finding with the wrong number, this number, and a right one."""

    body: str
    found: str
    wrong: int
    right: int


DIVERGING = "setp.lt.u32 %p, %t, %m; @%p bra A; bar.sync 0; bra B; A: bar.sync 0; B:"
READ_AND_WRITTEN = """
    ld.global.f32 %f, [%out]; setp.eq.u32 %p, %m, 1; @%p bra ON; bar.sync 0;
    ON: mov.u32 %r, %ntid.x; sub.u32 %r, %r, 1; setp.eq.u32 %p, %t, %r;
    @%p st.global.f32 [%out], 0f3F800000;
"""
PLANTED = {
    "a misaligned read": Planted(
        "add.u64 %a, %out, %n; ld.global.v4.f32 {%f, %g, %h, %k}, [%a];", "MISALIGNED", 4, 16
    ),
    "a misaligned write": Planted(
        "setp.eq.u32 %p, %t, 0; add.u32 %r, %own, %m; @%p st.shared.v2.b32 [%r], {%r, %r};",
        "MISALIGNED", 4, 8,
    ),
    "a read behind the end": Planted(
        "add.u64 %a, %mine, %n; ld.global.f32 %f, [%a];", "OUT OF BOUNDS", 4, 0
    ),
    "a read before the beginning": Planted(
        "sub.u64 %a, %mine, %n; ld.global.f32 %f, [%a];", "OUT OF BOUNDS", 4, 0
    ),
    "a write behind the end": Planted(
        "add.u64 %a, %mine, %n; st.global.u32 [%a], %t;", "OUT OF BOUNDS", 4, 0
    ),
    "a write far from there": Planted(
        "add.u64 %a, %mine, %n; st.global.u32 [%a], %t;", "OUT OF BOUNDS", 1 << 45, 0
    ),
    "a write behind a shared array": Planted(
        "add.u32 %r, %own, %m; st.shared.u32 [%r], %t;", "OUT OF BOUNDS", 4, 0
    ),
    "a read behind a local array": Planted(
        "st.local.v4.u32 [few], {%t, %t, %t, %t}; add.u64 %a, %n, few; ld.local.u32 %r, [%a];",
        "OUT OF BOUNDS", 16, 12,
    ),
    "a read of what nobody wrote": Planted(
        "setp.lt.u32 %p, %t, %m; @%p st.shared.u32 [%own], %t; ld.shared.u32 %s, [%own];", "UNWRITTEN", 63, 64
    ),
    "a read of a local that nobody wrote": Planted(
        "st.local.u32 [few], %t; add.u64 %a, %n, few; ld.local.u32 %r, [%a];", "UNWRITTEN", 4, 0
    ),
    "a race in shared memory": Planted(
        """st.shared.u32 [%own], 0; bar.sync 0; st.shared.u32 [%own], %t;
        mov.u32 %s, many; xor.b32 %r, %t, %m; shl.b32 %r, %r, 2; add.u32 %r, %r, %s;
        ld.shared.u32 %s, [%r];""",
        "RACE", 1, 0,
    ),
    "a race in global memory": Planted(
        "and.b64 %a, %mine, %n; st.global.u32 [%a], %t;", "RACE write after write", ~4, ~0
    ),
    "a race of two blocks": Planted(
        """mov.u32 %r, %ctaid.x; mul.lo.u32 %s, %r, %m; mul.wide.u32 %a, %s, 4; add.u64 %a, %a, %mine;
        st.global.u32 [%a], %r;""",
        "RACE write after write", 0, 64,
    ),
    "a write while others read": Planted(READ_AND_WRITTEN, "RACE", 1, 0),
    "a barrier that differs in a warp": Planted(DIVERGING, "BARRIER differs within a warp", 1, 64),
    "a barrier that differs in a block": Planted(DIVERGING, "BARRIER differs between warps", 32, 0),
    "a barrier that not all reach": Planted(
        "setp.lt.u32 %p, %t, %m; @%p ret; bar.sync 0;", "note: a barrier without threads", 1, 0
    ),
    "a division by 0": Planted("div.u32 %r, %t, %m;", "DIVISION", 0, 1),
    "a remainder by 0": Planted("rem.s64 %a, %mine, %n;", "DIVISION", 0, 1),
    "a trap": Planted("setp.eq.u32 %p, %t, %m; @%p trap;", "TRAP", 3, 64),
}  # fmt: skip
