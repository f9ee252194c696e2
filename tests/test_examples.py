"""Every example runs and prints the results that its text promises."""

import re

import pytest
from helpers import JIT_DISABLED, ROOT, skip_without

EXAMPLES = sorted(path.name for path in (ROOT / "examples").glob("[0-9]*.py"))
NEEDS = {
    "09_torch.py": ("torch",),
    "10_flax.py": ("flax",),
    "11_keras.py": ("keras", "jax"),
}
PROMISES = {
    "01_minimize.py": r"f = \d\.\d+e-(09|1\d) at",
    "02_ask_tell.py": r"the resumed run has the same bits: True",
    "03_xor.py": r"GA: solved from [45] of 5 seeds(.|\n)*CMAES: solved from [45] of 5 (.|\n)*dense_1\.kernel",
    "04_digits.py": r"test accuracy 0\.9[5-9]\d after \d+ generations, \d+\.\d s\n$",
    "05_control.py": r"return (8[5-9]|9\d)\d \+- \d+ of at most 1000 after \d+ episodes, \d+\.\d s\n$",
    "06_gymnasium.py": r"return (500|49\d) over 100 episodes, \d+ generations",
    "07_deep_ga.py": r"genome of \d+ mutations(.|\n)*same bits: True\ntest accuracy 0\.9[2-9]\d",
    "08_recurrent.py": r"without memory: balances \d\d of 500(.|\n)*with a GRU: balances (49\d|500) of 500",
    "09_torch.py": r"test accuracy of the module: 0\.9",
    "10_flax.py": r"balances (4\d\d|500) of 500 steps",
    "11_keras.py": r"test accuracy of the model: 0\.9",
}


@pytest.mark.skipif(JIT_DISABLED, reason="takes too long in plain Python")
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.frameworks if name in NEEDS else ()) for name in EXAMPLES]
)
def test_example(name, run_python):
    skip_without(NEEDS.get(name, ()))
    output = run_python(f"examples/{name}")
    assert re.search(PROMISES[name], output), output
