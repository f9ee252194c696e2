"""Loads and stores, of one number or of vectors."""

from .instructions import Context, instruction
from .module import Instruction, UnsupportedError, size_of, split
from .operands import c_type

SPACES = {"global": "GLOBAL", "shared": "SHARED", "local": "LOCAL"}
CACHES = "weak nc ca cg cs cv lu wb wt L1::no_allocate L1::evict_first L1::evict_last"


def _numbers(operand: str) -> tuple[str, ...]:
    return split(operand[1:-1]) if operand.startswith("{") else (operand,)


def _place(i: Instruction, address: str, size: int, value: str, c: Context) -> str:
    space = next((SPACES[m] for m in i.modifiers if m in SPACES), "GENERIC")
    return f"place(t, {space}, {c.operands.address(address)}, {size}, {value}, {c.line})"


@instruction("ld", "integer real", f"param v2 v4 {' '.join(SPACES)} {CACHES}")
def load(i: Instruction, c: Context) -> str:
    targets, kind = _numbers(i.target), c_type(i.kind)
    size = size_of(i.kind) * len(targets)
    if "param" in i.modifiers:
        source = f"t->of->params + {_parameter(i.sources[0], size, c)}"
    else:
        source = _place(i, i.sources[0], size, "NULL", c)
    writes = (c.operands.write(target, i.kind, f"got[{n}]") for n, target in enumerate(targets))
    return f"{{ {kind} got[{len(targets)}]; memcpy(got, {source}, {size}); {' '.join(writes)} }}"


def _parameter(operand: str, size: int, c: Context) -> int:
    """Return the first byte of a parameter."""
    name, _, offset = operand.strip("[] ").partition("+")
    start, end = c.parameters[name.strip()]
    at = start + int(offset or 0)
    if not start <= at <= end - size:
        raise UnsupportedError(f"the parameter {operand}")
    return at


@instruction("st", "integer real", f"v2 v4 {' '.join(SPACES)} {CACHES}")
def store(i: Instruction, c: Context) -> str:
    target, source = i.operands
    values = ", ".join(c.operands.read(number, i.kind) for number in _numbers(source))
    size = size_of(i.kind) * len(_numbers(source))
    place = _place(i, target, size, "given", c)
    return f"{{ {c_type(i.kind)} given[] = {{{values}}}; memcpy({place}, given, {size}); }}"
