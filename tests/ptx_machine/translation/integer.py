"""Instructions on integers and predicates; sums and products are unsigned, so that they wrap."""

from .instructions import Context, instruction
from .module import Instruction

SIGNS = {"add": "+", "sub": "-", "and": "&", "or": "|", "xor": "^", "min": "<", "max": ">"}


def bits_of(i: Instruction) -> int:
    """Return the width of the numbers in bits."""
    return int(i.kind[1:])


def unsigned(i: Instruction) -> str:
    """Return the unsigned kind of the same width."""
    return "pred" if i.kind == "pred" else f"u{bits_of(i)}"


@instruction("add sub", "integer")
@instruction("and or xor", "integer pred")
def add(i: Instruction, c: Context) -> str:
    a, b = c.sources(i, unsigned(i))
    return c.write(i, f"{a} {SIGNS[i.name]} {b}", unsigned(i))


@instruction("not", "integer pred")
def invert(i: Instruction, c: Context) -> str:
    (a,) = c.sources(i, unsigned(i))
    return c.write(i, f"{'!' if i.kind == 'pred' else '~'}{a}", unsigned(i))


@instruction("neg", "integer")
def neg(i: Instruction, c: Context) -> str:
    return c.write(i, f"-{c.sources(i, unsigned(i))[0]}", unsigned(i))


@instruction("abs", "integer")
def absolute(i: Instruction, c: Context) -> str:
    (a,) = c.sources(i)
    return c.write(i, f"{a} < 0 ? -{a} : {a}")


@instruction("min max", "integer")
def extreme(i: Instruction, c: Context) -> str:
    a, b = c.sources(i)
    return c.write(i, f"{a} {SIGNS[i.name]} {b} ? {a} : {b}")


@instruction("mul mad", "integer", "lo hi wide")
def mul(i: Instruction, c: Context) -> str:
    """Multiply: the lower half of the product, the upper half, or all of it; mad adds a number."""
    bits, (mode,) = bits_of(i), i.modifiers
    result = 2 * bits if mode == "wide" else bits
    a, b = (c.operands.read(source, i.kind) for source in i.sources[:2])
    product = f"(({i.kind[0]}128){a} * ({i.kind[0]}128){b}{f' >> {bits}' if mode == 'hi' else ''})"
    if i.name == "mad":
        product = f"(u{result}){product} + {c.operands.read(i.sources[2], f'u{result}')}"
    return c.write(i, product, f"u{result}")


@instruction("div rem", "integer")
def div(i: Instruction, c: Context) -> str:
    a, b = c.sources(i)
    return c.write(i, f"{i.name}_{i.kind}(t, {a}, {b}, {c.line})")


@instruction("shl shr", "integer")
def shift(i: Instruction, c: Context) -> str:
    count = c.operands.read(i.sources[1], "u32")
    kind = f"s{bits_of(i)}" if i.kind[0] == "s" else unsigned(i)
    function = f"shr_{kind}" if i.name == "shr" else f"shl_b{bits_of(i)}"
    return c.write(i, f"{function}({c.operands.read(i.sources[0], kind)}, {count})", kind)


@instruction("popc", "integer")
def popc(i: Instruction, c: Context) -> str:
    return c.write(i, f"__builtin_popcountll({c.sources(i, unsigned(i))[0]})", "u32")


@instruction("clz", "integer")
def clz(i: Instruction, c: Context) -> str:
    (a,) = c.sources(i, unsigned(i))
    return c.write(i, f"{a} ? __builtin_clzll({a}) - {64 - bits_of(i)} : {bits_of(i)}", "u32")


@instruction("shf", "integer", "l r wrap")
def funnel(i: Instruction, c: Context) -> str:
    if "wrap" not in i.modifiers:
        raise ValueError("shf without .wrap")
    a, b, n = c.sources(i, "u32")
    both = f"((u64){b} << 32 | {a})"
    return c.write(i, f"{both} << ({n} & 31) >> 32" if "l" in i.modifiers else f"{both} >> ({n} & 31)", "u32")
