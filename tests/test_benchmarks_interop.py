"""The benchmark of torch modules, on tiny populations, with torch."""

import json
import sys
from pathlib import Path

import pytest

from evoopt import threads

sys.path.append(str(Path(__file__).parents[1]))  # benchmarks are not part of the installed package

from benchmarks import interop
from benchmarks.__main__ import main
from benchmarks.harness import machine, race

VMAP = {"torch.func.vmap", "torch.func.vmap, 2 at a time"}


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(machine.PARTICIPANTS, "peers", True)
    monkeypatch.setattr(race, "MIN_REPEATS", 2)
    monkeypatch.setattr(race, "TURN", 1e-4)
    monkeypatch.setattr(interop, "CHUNK", 2)
    monkeypatch.setattr(interop, "ROWS", tuple(row._replace(popsize=3, batch=2) for row in interop.ROWS))
    before = threads.get_num_threads()
    yield
    threads.set_num_threads(before)


@pytest.mark.frameworks
def test_torch_agrees_on_each_module_and_has_no_vmap_of_recurrent_layers(tmp_path):
    modules = pytest.importorskip("benchmarks.harness.torch_modules", reason="torch is not installed")
    assert [row.module for row in interop.ROWS] == list(modules.EXAMPLES)
    path = tmp_path / "results.json"
    assert main(["interop", "--seconds", "0", "--json", str(path)]) == 0
    cases = json.loads(path.read_text())["cases"]
    for row, case in zip(interop.ROWS, cases, strict=True):
        assert f"3 x {row.module} x 2" in case["name"]
        names = {contestant["name"] for contestant in case["contestants"]}
        recurrent = {"gru", "lstm"} & {row.module}
        assert names == {"evoopt Network.forward", "torch, row by row"} | (set() if recurrent else VMAP)
        assert len(case["skipped"]) == 2 * len(recurrent)


def test_without_torch_there_is_a_sentence(monkeypatch):
    monkeypatch.setattr(machine, "installed", lambda package: False)
    with pytest.raises(SystemExit, match=r"torch's, which is not here: pip install evoopt\[benchmarks\]\.$"):
        main(["interop"])
