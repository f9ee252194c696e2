"""The checks of ``python -m evoopt`` on CUDA."""

import pytest

from evoopt import selfcheck
from evoopt.devices.available import described, why_no_cuda


def test_the_device_is_described():
    assert why_no_cuda() is None
    assert described("cuda")


@pytest.mark.parametrize("what", selfcheck.CHECKS)
def test_the_checks_pass(what, monkeypatch):
    monkeypatch.setattr(selfcheck, "STEPS", 15)
    monkeypatch.setattr(selfcheck, "CHECKS", {what: selfcheck.CHECKS[what]})
    assert [*selfcheck.run_checks()] == [(f"cpu: {what}", None), (f"cuda: {what}", None)]
