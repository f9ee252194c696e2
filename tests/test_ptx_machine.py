"""Planted errors of kernels and launches, which the PTX machine finds, and right twins."""

import numpy as np
import pytest
from ptx_machine.build import why_not
from ptx_machine.errors import PLANTED, READ_AND_WRITTEN, THREADS, kernel_of
from ptx_machine.report import read
from ptx_machine.translation.source import Needs

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))


@pytest.fixture
def run(ptx_client):
    """Return a function that launches a kernel, waits for it and returns the findings."""

    def run(kernel, n, grid=(1, 1, 1), block=(THREADS, 1, 1), **options):
        out = ptx_client.to_device(np.zeros(block[0] * grid[0], np.float32))
        ptx_client.launch(kernel, grid, block, (out, n), **options)
        ptx_client.call("cuCtxSynchronize")
        ptx_client.call("cuMemFree", out)
        return ptx_client.findings()

    return run


@pytest.mark.parametrize("name", PLANTED)
def test_planted_errors_of_kernels_are_found(name, ptx_client, run):
    body, message, wrong, right = PLANTED[name]
    kernel = ptx_client.load(kernel_of(body))
    grid = (2 if "blocks" in name else 1, 1, 1)
    assert run(kernel, right, grid) == []
    found = run(kernel, wrong, grid)
    assert [text for text in found if text.startswith(message)] == found != []


def test_the_last_thread_of_a_block_races_too(ptx_client, run):
    kernel = ptx_client.load(kernel_of(READ_AND_WRITTEN))
    assert run(kernel, 0, block=(1024, 1, 1)) == []
    assert len(run(kernel, 1, block=(1024, 1, 1))) == 1


def test_shared_memory_of_the_block_before_is_gone(ptx_client, run):
    """A block with less shared memory than the one before cannot reach or read the rest of it."""
    kernel = ptx_client.load(kernel_of("mov.u32 %s, dynamic; add.u32 %s, %s, %m; st.shared.u32 [%s], 1;"))
    assert run(kernel, 40_000, block=(1, 1, 1), shared=40_004) == []
    assert len(run(kernel, 40_000, block=(1, 1, 1), shared=4_000)) == 1
    kernel = ptx_client.load(kernel_of("mov.u32 %s, dynamic; add.u32 %s, %s, %m; ld.shared.u32 %r, [%s];"))
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
def test_launches_that_a_device_refuses(wrong, right, error, ptx_client):
    for options, expected in ((wrong, error), (right, 0)):
        size = {"grid": (1, 1, 1), "block": (1, 1, 1), **options}
        threads = 1024 if "needs" in options else 128
        kernel = ptx_client.load(kernel_of(threads=threads), size.pop("needs", Needs(shared=256)))
        assert ptx_client.launch(kernel, arguments=(0, 0), **size) == expected
        assert [text.partition(" |")[0] for text in ptx_client.findings()] == ["REFUSED"] * bool(expected)


def test_more_shared_memory_has_to_be_asked_for(ptx_client):
    kernel = ptx_client.load(kernel_of(), Needs(shared=256))
    assert ptx_client.call("cuKernelSetAttribute", 8, 227 * 1024 - 256, kernel, 0) == 0
    assert ptx_client.launch(kernel, (1, 1, 1), (1, 1, 1), (0, 0), shared=227 * 1024 - 256) == 0
    assert ptx_client.findings() == []
    assert ptx_client.call("cuKernelSetAttribute", 8, 227 * 1024 - 255, kernel, 0) == 1
    assert len(ptx_client.findings()) == 1


def test_the_log_of_two_processes_is_one_report():
    report = read(
        "FOUND RACE | a\nFOUND note: b\nCOUNTS of 7: launches 1 live-allocations 5\n"
        "FOUND RACE | a\nCOUNTS of 8: launches 40 live-allocations 1\n"
        "TIMES 3 | RACE | a\nCOUNTS of 7: launches 2 live-allocations -1\n"
    )
    assert report.findings == {"RACE | a": 4}
    assert report.notes == {"note: b": 1}
    assert report.counts == {"processes": 2, "launches": 42, "live-allocations": 0}
    assert report.lines() == [
        "note: b",
        "RACE | a (4 times)",
        "PTX machine: 2 processes, 42 launches, 0 live allocations, 1 findings",
    ]
