"""The PTX machine finds planted errors, and nothing in their right twins."""

from typing import NamedTuple

import numpy as np
import pytest
from ptx_machine.build import why_not
from ptx_machine.report import read
from ptx_machine.translation.source import NOTHING, Needs

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))

THREADS = 64
# Each thread %t, of two warps, has four bytes at %mine of the memory at %out, and four at %own of the shared
# array `many`. %n, and %m of 32 bits, are the number that the launch gives.
KERNEL = """.version 9.0
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


class Planted(NamedTuple):
    """What a kernel does, what is found of it with the wrong number, that number, and a right one."""

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


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    from ptx_machine.client import Client

    return Client(tmp_path_factory.mktemp("machine"))


@pytest.fixture
def planted(client):
    """Make a kernel of a body."""
    yield lambda body="", needs=NOTHING, threads=1024: client.load(
        KERNEL.format(body=body, threads=threads), needs
    )
    client.findings()


@pytest.fixture
def run(client):
    """Launch a kernel and wait for it; gives what was found."""

    def run(kernel, n, grid=(1, 1, 1), block=(THREADS, 1, 1), **options):
        out = client.to_device(np.zeros(block[0] * grid[0], np.float32))
        client.launch(kernel, grid, block, (out, n), **options)
        client.call("cuCtxSynchronize")
        client.call("cuMemFree", out)
        return client.findings()

    return run


@pytest.mark.parametrize("name", PLANTED)
def test_planted_errors_of_kernels_are_found(name, planted, run):
    body, message, wrong, right = PLANTED[name]
    kernel = planted(body)
    grid = (2 if "blocks" in name else 1, 1, 1)
    assert run(kernel, right, grid) == []
    found = run(kernel, wrong, grid)
    assert [text for text in found if text.startswith(message)] == found != []


def test_the_last_thread_of_a_block_races_too(planted, run):
    kernel = planted(READ_AND_WRITTEN)
    assert run(kernel, 0, block=(1024, 1, 1)) == []
    assert len(run(kernel, 1, block=(1024, 1, 1))) == 1


def test_shared_memory_of_the_block_before_is_gone(planted, run):
    """A block with less shared memory cannot reach what one with more had, nor read what that wrote."""
    kernel = planted("mov.u32 %s, dynamic; add.u32 %s, %s, %m; st.shared.u32 [%s], 1;")
    assert run(kernel, 40_000, block=(1, 1, 1), shared=40_004) == []
    assert len(run(kernel, 40_000, block=(1, 1, 1), shared=4_000)) == 1
    kernel = planted("mov.u32 %s, dynamic; add.u32 %s, %s, %m; ld.shared.u32 %r, [%s];")
    assert run(kernel, 40_000, block=(1, 1, 1), shared=40_004)[0].startswith("UNWRITTEN")


@pytest.mark.parametrize(
    ("wrong", "right", "error"),
    [
        ({"block": (129, 1, 1)}, {"block": (128, 1, 1)}, 1),
        ({"block": (1, 1, 65)}, {"block": (1, 1, 64)}, 1),
        ({"block": (0, 1, 1)}, {}, 1),
        ({"grid": (0, 1, 1)}, {}, 1),
        ({"grid": (1, 65536, 1)}, {"grid": (1, 4, 1)}, 1),
        ({"grid": (1, 1, 65536)}, {"grid": (1, 1, 4)}, 1),
        ({"shared": 48 * 1024 - 255}, {"shared": 48 * 1024 - 256}, 1),
        ({"shared": 228 * 1024}, {}, 1),
        (
            {"needs": Needs(registers=65, shared=256), "block": (1024, 1, 1)},
            {"needs": Needs(registers=64, shared=256), "block": (1024, 1, 1)},
            701,
        ),
    ],
)  # fmt: skip
def test_launches_that_a_device_refuses(wrong, right, error, planted, client):
    for options, expected in ((wrong, error), (right, 0)):
        size = {"grid": (1, 1, 1), "block": (1, 1, 1), **options}
        threads = 1024 if "needs" in options else 128
        kernel = planted(needs=size.pop("needs", Needs(shared=256)), threads=threads)
        assert client.launch(kernel, arguments=(0, 0), **size) == expected
        assert [text.partition(" |")[0] for text in client.findings()] == ["REFUSED"] * bool(expected)


def test_more_shared_memory_has_to_be_asked_for(planted, client):
    kernel = planted(needs=Needs(shared=256))
    assert client.call("cuKernelSetAttribute", 8, 227 * 1024 - 256, kernel, 0) == 0
    assert client.launch(kernel, (1, 1, 1), (1, 1, 1), (0, 0), shared=227 * 1024 - 256) == 0
    assert client.findings() == []
    assert client.call("cuKernelSetAttribute", 8, 227 * 1024 - 255, kernel, 0) == 1
    assert len(client.findings()) == 1


class Streams:
    """Two streams, an event, and memory that was made on the first."""

    def __init__(self, client, kernel):
        self.call, self.kernel = client.call, kernel
        self.launch = lambda stream: client.launch(
            kernel, (1, 1, 1), (THREADS, 1, 1), (self.memory, 0), stream=stream
        )
        self.first, self.second = (client.make("cuStreamCreate", 0) for _ in range(2))
        self.event = client.make("cuEventCreate", 0)
        self.memory = client.make("cuMemAllocAsync", 4 * THREADS, self.first)

    def order(self, before, after):
        self.call("cuEventRecord", self.event, before)
        self.call("cuStreamWaitEvent", after, self.event, 0)

    def free(self, stream):
        return self.call("cuMemFreeAsync", self.memory, stream)


def freed_while_in_use(s, wrong):
    s.order(s.first, s.second)
    s.launch(s.second)
    if not wrong:
        s.order(s.second, s.first)
    s.free(s.first)


def freed_before_a_launch(s, wrong):
    s.launch(s.first)
    s.free(s.first)
    if wrong:
        s.launch(s.first)


def freed_twice(s, wrong):
    s.free(s.first)
    if wrong:
        s.free(s.first)


def freed_on_a_stream_that_was_destroyed(s, wrong):
    if not wrong:
        s.free(s.first)
    s.call("cuStreamDestroy", s.first)
    if wrong:
        s.free(s.first)


def launched_on_a_stream_that_was_destroyed(s, wrong):
    s.launch(s.first)
    s.call("cuStreamDestroy", s.first)
    if wrong:
        s.launch(s.first)


def waited_for_an_event_that_was_destroyed(s, wrong):
    s.call("cuEventRecord", s.event, s.first)
    if wrong:
        s.call("cuEventDestroy", s.event)
    s.call("cuStreamWaitEvent", s.second, s.event, 0)


def used_before_it_was_made(s, wrong):
    if not wrong:
        s.order(s.first, s.second)
    s.launch(s.second)
    s.call("cuStreamSynchronize", s.second)


def launched_without_a_context(s, wrong):
    if wrong:
        s.call("cuCtxSetCurrent", 0)
    s.launch(s.first)
    s.call("cuCtxSetCurrent", 1)


def copied_beyond_the_end(s, wrong):
    host = np.zeros(2 * THREADS, np.float32)
    s.call("cuMemcpyHtoDAsync", s.memory, host.ctypes.data, 4 * (THREADS + wrong), s.first)


HOSTS = {
    freed_while_in_use: "FREED WHILE IN USE",
    freed_before_a_launch: "FREED MEMORY",
    freed_twice: "INVALID MEMORY",
    freed_on_a_stream_that_was_destroyed: "INVALID STREAM",
    launched_on_a_stream_that_was_destroyed: "INVALID STREAM",
    waited_for_an_event_that_was_destroyed: "INVALID EVENT",
    used_before_it_was_made: "OUT OF BOUNDS",
    launched_without_a_context: "INVALID CONTEXT",
    copied_beyond_the_end: "OUT OF BOUNDS",
}


@pytest.mark.parametrize("program", HOSTS, ids=lambda program: program.__name__)
def test_planted_errors_of_the_host_are_found(program, planted, client):
    kernel = planted("st.global.u32 [%mine], %t;")
    for wrong in (False, True):
        program(Streams(client, kernel), wrong)
        found = client.findings()
        client.call("cuCtxSynchronize")
        found += client.findings()
        assert found if wrong else not found
        assert not wrong or found[0].startswith(HOSTS[program])


def test_pinned_memory_is_read_when_the_copy_is_done(client):
    """And memory that is not pinned before the call returns."""
    host, found = np.zeros(4, np.float32), np.zeros(4, np.float32)
    target, stream = client.to_device(host), client.make("cuStreamCreate", 0)
    for pinned in (False, True):
        host[:] = 1
        if pinned:
            client.call("cuMemHostRegister", host.ctypes.data, host.nbytes, 0)
        client.call("cuMemcpyHtoDAsync", target, host.ctypes.data, host.nbytes, stream)
        host[:] = 2
        client.call("cuStreamSynchronize", stream)
        assert (client.to_host(target, found) == (2 if pinned else 1)).all()
    client.call("cuMemHostUnregister", host.ctypes.data)
    assert client.findings() == []


def test_functions_that_are_missing_are_told(client):
    assert client.call("cuGraphLaunch", 0, 0) == 0
    assert client.findings() == ["note: NOT THERE | host | cuGraphLaunch does nothing"]


def test_the_log_of_two_processes_is_one_report():
    report = read(
        "FOUND RACE | a\nFOUND note: b\nTIMES 3 | RACE | a\nDONE launches 2 live-allocations -1\n"
        "FOUND RACE | a\nDONE launches 40 live-allocations 1\n"
    )
    assert report.findings == {"RACE | a": 4}
    assert report.notes == {"note: b": 1}
    assert report.counts == {"processes": 2, "launches": 42, "live-allocations": 0}
    assert report.lines() == [
        "note: b",
        "RACE | a (4 times)",
        "PTX machine: 2 processes, 42 launches, 0 live allocations, 1 findings",
    ]
