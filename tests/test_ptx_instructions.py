"""Each instruction of the PTX machine against the PTX manual, and instructions to refuse."""

import numpy as np
import pytest
from ptx_machine.build import why_not
from ptx_machine.cases import APPROXIMATE, CASES, ENDS, REFUSED
from ptx_machine.translation import UnsupportedError, translate
from ptx_machine.translation.grammar import parse
from ptx_machine.translation.instructions import TABLE, family
from ptx_machine.translation.module import Instruction

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))

HEAD = ".version 9.0\n.target sm_90a\n.address_size 64\n"


def dtype_of(kind):
    return np.dtype({"b": "u", "u": "u", "s": "i", "f": "f"}[kind[0]] + str(int(kind[1:]) // 8))


def kernel(body, head="", before=""):
    return f"""{HEAD}.global .align 4 .f32 table[4];
{before}
.visible .entry test(.param .u64 input, .param .u64 .ptr .global .align 8 output){head}
{{
    .reg .b32 %r, %r<9>;
    .reg .b64 %l, %i, %o;
    .reg .pred %p, %q;
    .reg .f32 %f;
    .reg .f64 %g;
    .shared .align 16 .b8 many[32];
    .local .align 8 .b8 own[8];
    .local .align 8 .b8 other[8];
    ld.param.u64 %i, [input]; // where the sources are
    ld.param.u64 %o, [output];
{body}
    ret;
}}
"""


def body_of(n, text, kinds):
    """Return PTX that reads the sources of a case, computes it, and writes its result."""
    target, *sources = kinds.split()
    lines = [f".reg .{kind} %{name};" for name, kind in zip("dabc", (target, *sources), strict=False)]
    lines += [f"add.u64 %i, %i, {32 if n else 0};"]
    lines += [f"ld.global.{kind} %{'abc'[k]}, [%i+{8 * k}];" for k, kind in enumerate(sources)]
    text = text.replace("$loop", f"$loop{n}")
    return "\n".join(["{", *lines, text + ";", f"st.global.{target} [%o+{8 * n}], %d;", "}"])


def all_cases():
    return kernel("\n".join(body_of(n, text, kinds) for n, (text, kinds, _, _) in enumerate(CASES)))


@pytest.fixture(scope="module")
def results(ptx_driver):
    """Return the bytes of the results of all cases, which one kernel computes."""
    given, found = np.zeros((len(CASES), 4, 8), np.uint8), np.zeros((len(CASES), 8), np.uint8)
    for n, (_, kinds, sources, _) in enumerate(CASES):
        for k, (kind, source) in enumerate(zip(kinds.split()[1:], sources, strict=True)):
            given[n, k, : dtype_of(kind).itemsize] = np.array([source], dtype_of(kind)).view(np.uint8)
    arguments = ptx_driver.to_device(given), ptx_driver.to_device(found)
    assert ptx_driver.launch(ptx_driver.load(all_cases()), (1, 1, 1), (1, 1, 1), arguments) == 0
    ptx_driver.to_host(arguments[1], found)
    assert ptx_driver.findings() == []
    return found


@pytest.mark.parametrize("n", range(len(CASES)), ids=[text for text, *_ in CASES])
def test_results_are_those_of_ptx(n, results):
    _, kinds, _, expected = CASES[n]
    dtype = dtype_of(kinds.split()[0])
    found = results[n, : dtype.itemsize].view(dtype)
    expected = np.array([expected], dtype)
    if np.isnan(expected).any():
        assert np.isnan(found).all()
    else:
        assert found.tobytes() == expected.tobytes(), (found, expected)


def test_each_instruction_has_a_case():
    """Exceptions: approximate ones (below), barriers and ends (test_ptx_machine.py), no-ops."""
    parts = parse(all_cases()).body
    missing = set(TABLE) - {(part.name, family(part)) for part in parts if isinstance(part, Instruction)}
    assert {name for name, _ in missing} == {*APPROXIMATE, *ENDS} - {"sqrt", "rcp"}


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_not_known_is_refused(text):
    with pytest.raises(UnsupportedError):
        translate(kernel(f".reg .b16 %h; {text};"))


@pytest.mark.parametrize(
    ("head", "before"),
    [
        ("\n.reqntid 32", ""),
        ("\n.reqnctapercluster 2", ""),
        ("", ".func f() { ret; }"),
        ("", ".visible .entry other() { ret; }"),
    ],
)
def test_modules_that_are_not_one_kernel_are_refused(head, before):
    with pytest.raises(UnsupportedError):
        translate(kernel("", head, before))


def test_approximate_instructions_are_wrong_but_not_too_wrong(ptx_client):
    """Errors are at most two units in the last place, or the bounds of the PTX manual."""
    x = np.linspace(0.01, 3, 500, dtype=np.float32)
    lines = (
        f"{name}.approx.f32 %f, %a; st.global.f32 [%o+{x.nbytes * n}], %f;"
        for n, name in enumerate(APPROXIMATE)
    )
    body = """.reg .f32 %a; mov.u32 %r, %tid.x; mul.wide.u32 %l, %r, 4;
    add.u64 %i, %i, %l; add.u64 %o, %o, %l; ld.global.f32 %a, [%i];"""
    output = ptx_client.to_device(np.zeros((len(APPROXIMATE), *x.shape), np.float32))
    arguments = ptx_client.to_device(x), output
    assert (
        ptx_client.launch(ptx_client.load(kernel(body + "".join(lines))), (1, 1, 1), (500, 1, 1), arguments)
        == 0
    )
    found = ptx_client.to_host(output, np.zeros((len(APPROXIMATE), *x.shape), np.float32))
    for n, (name, function) in enumerate(APPROXIMATE.items()):
        exact = function(x.astype(float))
        unit = 2.0**-22 * np.exp2(np.floor(np.log2(abs(exact))))
        bound = {"sin": 2.0**-20, "cos": 2.0**-20, "tanh": 2.0**-11, "lg2": 2.0**-22}.get(
            name, 0
        ) + 1.5 * unit
        assert (abs(found[n] - exact) <= bound).all(), name
        assert (abs(found[n] - exact) > unit / 2).any(), name
    assert ptx_client.findings() == []
