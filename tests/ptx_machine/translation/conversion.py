"""Instructions between types: moves, choices, comparisons, conversions."""

from .instructions import Context, instruction
from .module import Instruction, UnsupportedError, split

COMPARE = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
UNSIGNED = {"lo": "lt", "ls": "le", "hi": "gt", "hs": "ge"}
UNORDERED = [f"{name}u" for name in COMPARE]  # float comparisons that are true for NaN
JOIN = {"and": "&", "or": "|", "xor": "^"}
TO_INTEGER = {"rni": "rint", "rzi": "trunc", "rmi": "floor", "rpi": "ceil"}


@instruction("mov", "integer real pred")
def move(i: Instruction, c: Context) -> str:
    (source,) = i.sources
    if i.target.startswith("{"):
        return _unpack(split(i.target[1:-1]), source, int(i.kind[1:]), c)
    if source.startswith("{"):
        return c.write(i, _packed(split(source[1:-1]), int(i.kind[1:]), c), f"b{i.kind[1:]}")
    return c.write(i, c.operands.read(source, i.kind))


def _unpack(targets: tuple[str, ...], source: str, bits: int, c: Context) -> str:
    part = bits // len(targets)
    writes = (c.operands.write(t, f"b{part}", f"whole >> {n * part}") for n, t in enumerate(targets))
    return f"{{ u{bits} whole = {c.operands.read(source, f'b{bits}')}; {' '.join(writes)} }}"


def _packed(sources: tuple[str, ...], bits: int, c: Context) -> str:
    part = bits // len(sources)
    reads = (f"(u{bits}){c.operands.read(s, f'b{part}')} << {n * part}" for n, s in enumerate(sources))
    return " | ".join(reads)


@instruction("selp", "integer real")
def choose(i: Instruction, c: Context) -> str:
    a, b, predicate = i.sources
    read = c.operands.read
    return c.write(i, f"{read(predicate, 'pred')} ? {read(a, i.kind)} : {read(b, i.kind)}")


@instruction("setp", "integer real", " ".join([*COMPARE, *UNSIGNED, *UNORDERED, *JOIN, "num", "nan", "ftz"]))
def compare(i: Instruction, c: Context) -> str:
    """Compare: ``setp.lt.and.s32 %p|%q, a, b, %c``: p = (a < b) & c, q = !(a < b) & c."""
    how = next(m for m in i.modifiers if m != "ftz")
    a, b = (c.operands.read(source, i.kind) for source in i.sources[:2])
    if "ftz" in i.modifiers:
        a, b = f"ftz({a})", f"ftz({b})"
    joint = next((JOIN[m] for m in i.modifiers if m in JOIN), "&")
    third = c.operands.read(i.sources[2], "pred") if len(i.sources) == 3 else "1"
    one, _, two = i.target.partition("|")
    return (
        f"{{ u8 value = {_comparison(how, a, b, i.kind[0] == 'f')}, third = {third}; "
        f"{c.operands.write(one, 'pred', f'value {joint} third')} "
        f"{c.operands.write(two or '_', 'pred', f'!value {joint} third')} }}"
    )


def _comparison(how: str, a: str, b: str, real: bool) -> str:
    ordered = f"({a} == {a} && {b} == {b})"
    if not real:
        return f"({a} {COMPARE[UNSIGNED.get(how, how)]} {b})"
    if how in ("num", "nan"):
        return ordered if how == "num" else f"!{ordered}"
    if how in COMPARE:  # false if one is NaN
        return f"({ordered} && {a} != {b})" if how == "ne" else f"({a} {COMPARE[how]} {b})"
    return f"(!{ordered} || {a} {COMPARE[how[:-1]]} {b})"


@instruction("cvt", "integer real", "rn ftz rni rzi rmi rpi")
def convert(i: Instruction, c: Context) -> str:
    """Convert a number: to integers by .rzi and the like, else to the nearest; integers are cut."""
    to, source = i.kinds
    x = c.operands.read(i.sources[0], source)
    if "ftz" in i.modifiers and source == "f32":
        x = f"ftz({x})"
    rounding = next((TO_INTEGER[m] for m in i.modifiers if m in TO_INTEGER), None)
    if source[0] == "f" and (to[0] != "f" or to == source) != (rounding is not None):
        raise UnsupportedError(i.text)
    if rounding:
        x = f"{rounding}((f64){x})"
    if source[0] == "f" and to[0] != "f":
        return c.write(i, f"to_{to}({x}, {_of_nan(to, source)})", to)
    value = f"({to}){x}"
    if to == "f32":
        value = f"number({value})"
    return c.write(i, f"ftz({value})" if "ftz" in i.modifiers and to == "f32" else value, to)


def _of_nan(to: str, source: str) -> str:
    """Return the integer that NaN becomes: 0, or with 64 bits on either side the highest bit."""
    return f"({to})((u64)1 << {int(to[1:]) - 1})" if "64" in to + source else "0"


@instruction("cvta", "integer", "to global shared local")
def cvta(i: Instruction, c: Context) -> str:
    """Turn an address of a memory space into a generic one, or back."""
    address = c.operands.read(i.sources[0], "u64")
    window = {"shared": "SHARED_WINDOW", "local": "LOCAL_WINDOW", "global": ""}[i.modifiers[-1]]
    if window:
        address = f"({address} & IN_WINDOW)" if "to" in i.modifiers else f"({address} + {window})"
    return c.write(i, address, "u64")
