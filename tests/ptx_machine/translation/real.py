"""Instructions on floating-point numbers: rounded to the nearest, or approximate.

NaN that an instruction on f32 makes has the bits of a device's NaN.
"""

from .instructions import Context, instruction
from .module import Instruction

SIGNS = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
TESTS = {
    "finite": "isfinite({})", "infinite": "isinf({})", "number": "!isnan({})", "notanumber": "isnan({})",
    "normal": "isnormal({})", "subnormal": "(fpclassify({}) == FP_SUBNORMAL)",
}  # fmt: skip


def read(i: Instruction, c: Context) -> list[str]:
    """Return the sources of an instruction; with .ftz subnormal numbers are 0."""
    return [f"ftz({source})" if "ftz" in i.modifiers else source for source in c.sources(i)]


def write(i: Instruction, c: Context, value: str) -> str:
    """Return the assignment of a result to the target."""
    if i.kind == "f32":
        value = f"number({value})"
    return c.write(i, f"ftz({value})" if "ftz" in i.modifiers else value)


@instruction("add sub mul", "real", "rn ftz")
def add(i: Instruction, c: Context) -> str:
    a, b = read(i, c)
    return write(i, c, f"{a} {SIGNS[i.name]} {b}")


@instruction("fma mad", "real", "rn ftz")
def fma(i: Instruction, c: Context) -> str:
    return write(i, c, f"{'fmaf' if i.kind == 'f32' else 'fma'}({', '.join(read(i, c))})")


@instruction("div", "real", "rn approx full ftz")
def div(i: Instruction, c: Context) -> str:
    a, b = read(i, c)
    how = next((how for how in ("approx", "full") if how in i.modifiers), None)
    return write(i, c, f"div_{how}({a}, {b})" if how else f"{a} / {b}")


@instruction("sqrt rcp", "real", "rn approx ftz")
def sqrt(i: Instruction, c: Context) -> str:
    if "approx" in i.modifiers:
        return approximate(i, c)
    root = "sqrtf" if i.kind == "f32" else "sqrt"
    return write(i, c, f"{root}({read(i, c)[0]})" if i.name == "sqrt" else f"1 / {read(i, c)[0]}")


@instruction("rsqrt ex2 lg2 sin cos tanh", "real", "approx ftz")
def approximate(i: Instruction, c: Context) -> str:
    if i.kind == "f64":  # the only instructions of f64 with .ftz, rcp and rsqrt
        value = c.sources(i)[0]
        return c.write(i, f"{ {'rcp': 'rcp', 'rsqrt': 'rsqrt'}[i.name] }_gross({value})")
    return write(i, c, f"{i.name}_approx({read(i, c)[0]})")


@instruction("abs neg", "real", "ftz")
def flip(i: Instruction, c: Context) -> str:
    bits = i.kind[1:]
    change = {"abs": "& ~", "neg": "^ "}[i.name]
    value = f"{i.kind}_bits(bits_{i.kind}({read(i, c)[0]}) {change}((u{bits})1 << {int(bits) - 1}))"
    return c.write(i, value)


@instruction("min max", "real", "ftz")
def extreme(i: Instruction, c: Context) -> str:
    return write(i, c, f"{i.name}_{i.kind}({', '.join(read(i, c))})")


@instruction("copysign", "real")
def copysign(i: Instruction, c: Context) -> str:
    sign, size = c.sources(i)
    return c.write(i, f"{'copysignf' if i.kind == 'f32' else 'copysign'}({size}, {sign})")


@instruction("testp", "real", " ".join(TESTS))
def test(i: Instruction, c: Context) -> str:
    return c.write(i, f"({TESTS[i.modifiers[0]].format(c.sources(i)[0])} != 0)", "pred")
