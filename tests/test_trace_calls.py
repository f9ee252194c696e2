"""The counts of `trace_calls`."""

import pytest
import trace_calls
from helpers import needs_jit

import evoopt


def test_files_that_are_entered_again_are_returns():
    calls = [(file, "f") for file in "ABAACBDD"]
    assert trace_calls.count(calls) == (8, 4, 2)
    assert trace_calls.count([]) == (0, 0, 0)


def test_functions_of_evoopt_are_traced():
    es = evoopt.SNES([0.0, 1.0], 0.5, seed=1)
    calls, rows = trace_calls.trace(es.ask)
    assert rows.shape == (es.popsize, 2)
    assert [name for _, name in calls[:2]] == ["Rows.ask", "not_nested"]
    assert {name for _, name in calls} & {"CpuPopulation.sample", "Ledger.asked"}
    assert not any(name.endswith(trace_calls.COMPREHENSIONS) for _, name in calls)


@needs_jit  # a compiled kernel is one call, a plain one makes calls of its own
def test_asking_on_the_cpu_has_a_straight_way():
    es = evoopt.SNES([0.0, 1.0], 0.5, seed=1)
    es.ask()
    calls, files, returns = trace_calls.count(trace_calls.trace(es.ask)[0])
    assert (calls <= 30, files <= 8, returns <= 8) == (True, True, True)


def test_what_others_call_back_is_not_counted():
    task = evoopt.Objective(lambda x: evoopt.get_num_threads())
    names = [name for _, name in trace_calls.trace(lambda: task([[1.0], [2.0]]))[0]]
    assert "Objective.__call__" in names
    called, _ = trace_calls.trace(evoopt.get_num_threads)
    assert called
    assert not {name for _, name in called} & {*names}


def test_both_devices_are_traced():
    pytest.importorskip("numba_cuda", reason="the package numba-cuda is not installed")
    found = trace_calls.run("cuda")
    assert {"SNES.ask", "SNES.tell", "Supervised", "Rollout", "Network.forward"} <= found.keys()
    assert all(calls for calls in found.values())
    assert not any("simulated" in file for calls in found.values() for file, _ in calls)
    for name in ("SNES.ask", "Supervised", "Rollout"):  # the calls of one generation go a straight way
        calls, _, returns = trace_calls.count(found[name])
        assert calls <= 60, name
        assert returns <= 15, name
