"""Planted errors in the host's calls of the driver, which the PTX machine finds; right twins."""

import numpy as np
import pytest
from helpers import ROOT
from ptx_machine.build import why_not
from ptx_machine.errors import THREADS, kernel_of
from ptx_machine.report import read

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))


class Streams:
    """Two streams, an event, and memory that the first stream made."""

    def __init__(self, ptx_client, kernel):
        self.call, self.kernel = ptx_client.call, kernel
        self.launch = lambda stream: ptx_client.launch(
            kernel, (1, 1, 1), (THREADS, 1, 1), (self.memory, 0), stream=stream
        )
        self.first, self.second = (ptx_client.make("cuStreamCreate", 0) for _ in range(2))
        self.event = ptx_client.make("cuEventCreate", 0)
        self.memory = ptx_client.make("cuMemAllocAsync", 4 * THREADS, self.first)

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
def test_planted_errors_of_the_host_are_found(program, ptx_client):
    kernel = ptx_client.load(kernel_of("st.global.u32 [%mine], %t;"))
    for wrong in (False, True):
        program(Streams(ptx_client, kernel), wrong)
        found = ptx_client.findings()
        ptx_client.call("cuCtxSynchronize")
        found += ptx_client.findings()
        assert found if wrong else not found
        assert not wrong or found[0].startswith(HOSTS[program])


def test_pinned_memory_is_read_when_the_copy_is_done(ptx_client):
    """Other memory is read before the call returns."""
    host, found = np.zeros(4, np.float32), np.zeros(4, np.float32)
    target, stream = ptx_client.to_device(host), ptx_client.make("cuStreamCreate", 0)
    for pinned in (False, True):
        host[:] = 1
        if pinned:
            ptx_client.call("cuMemHostRegister", host.ctypes.data, host.nbytes, 0)
        ptx_client.call("cuMemcpyHtoDAsync", target, host.ctypes.data, host.nbytes, stream)
        host[:] = 2
        ptx_client.call("cuStreamSynchronize", stream)
        assert (ptx_client.to_host(target, found) == (2 if pinned else 1)).all()
    ptx_client.call("cuMemHostUnregister", host.ctypes.data)
    assert ptx_client.findings() == []


def test_functions_that_are_missing_are_told(ptx_client):
    assert ptx_client.call("cuGraphLaunch", 0, 0) == 0
    assert ptx_client.findings() == ["note: NOT THERE | host | cuGraphLaunch does nothing"]


def test_work_that_is_queued_when_a_program_ends_is_done(ptx_client, run_python, tmp_path):
    """Errors in this work would be missed otherwise."""
    run_python(
        f"""
import sys
from pathlib import Path
sys.path.append({str(ROOT / "tests")!r})
from ptx_machine.client import Client
from ptx_machine.errors import kernel_of

client = Client(Path({str(ptx_client.folder)!r}))
kernel = client.load(kernel_of("st.global.u32 [%mine], %t;"))
assert client.launch(kernel, (1, 1, 1), (1, 1, 1), (0, 0), stream=client.make("cuStreamCreate", 0)) == 0
assert client.findings() == []
""",
        PTX_LOG=str(tmp_path / "log"),
    )
    (found,) = read((tmp_path / "log").read_text()).findings
    assert found.startswith("OUT OF BOUNDS | planted | block 0,0,0 thread 0 | global 0x0")
