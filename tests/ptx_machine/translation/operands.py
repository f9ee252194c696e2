"""Registers, numbers and addresses as expressions in C."""

import re

from .module import Registers, UnsupportedError

SPECIAL = {
    "%laneid": "(t->number & 31)",
    "%warpid": "(t->number >> 5)",
    "%dynamic_smem_size": "t->of->dynamic",
    "WARP_SZ": "32",
    **{
        f"%{name}.{axis}": f"{where}[{i}]"
        for name, where in (
            ("tid", "t->id"), ("ntid", "t->of->block"), ("ctaid", "t->of->at"), ("nctaid", "t->of->grid"),
        )
        for i, axis in enumerate("xyz")
    },
}  # fmt: skip
# the value of a register that was never written
POISON = {
    "u8": "0", "u16": "0xDEAD", "u32": "0xDEADBEEFu", "u64": "0xDEADBEEFDEADBEEFull",
    "f32": "f32_bits(0x7FA0DEADu)", "f64": "f64_bits(0x7FF4DEADDEADBEEFull)",
}  # fmt: skip


def c_type(kind: str) -> str:
    """Return the C type of a kind of PTX."""
    return "u8" if kind == "pred" else "u" + kind[1:] if kind[0] == "b" else kind


def storage(kind: str) -> str:
    """Return the C type of a register, where integers are unsigned."""
    return kind if kind[0] == "f" else "u8" if kind == "pred" else "u" + kind[1:]


def cast(value: str, have: str, want: str) -> str:
    """Convert between C types: the bits of floats, the low bits of integers."""
    if have == want:
        return value
    if have[0] == "f":
        return f"(({want})bits_{have}({value}))"
    return f"{want}_bits({value})" if want[0] == "f" else f"(({want}){value})"


def constant(operand: str, want: str) -> str | None:
    """Return a number as an expression; None if the operand is no number."""
    if found := re.fullmatch(r"0[fF]([0-9a-fA-F]{8})", operand):
        return cast(f"0x{found[1]}u", "u32", want)
    if found := re.fullmatch(r"0[dD]([0-9a-fA-F]{16})", operand):
        return cast(f"0x{found[1]}ull", "u64", want)
    if re.fullmatch(r"-?(0x[0-9a-fA-F]+|\d+)U?", operand):
        return cast(f"{int(operand.rstrip('U'), 0) & (1 << 64) - 1:#x}ull", "u64", want)
    return {"true": "1", "false": "0"}.get(operand)


class Operands:
    """The registers, numbers and arrays that a kernel names, as expressions in C.

    `places` are the addresses of arrays by name, as expressions in C.
    """

    def __init__(self, places: dict[str, str]) -> None:
        self._places = places
        self._scopes: list[dict[str, str]] = [{}]

    def open(self) -> None:
        """Begin a scope of registers."""
        self._scopes.append({})

    def close(self) -> None:
        """End the scope."""
        self._scopes.pop()

    def declare(self, registers: Registers) -> str:
        """Declare registers in C."""
        kind = storage(registers.kind)
        self._scopes[-1].update(dict.fromkeys(registers.names, kind))
        return " ".join(f"{kind} {self._name(name)} = {POISON[kind]};" for name in registers.names)

    def read(self, operand: str, kind: str) -> str:
        """Return an operand as an expression of a kind."""
        want = c_type(kind)
        if operand.startswith("!"):
            return f"(!{self.read(operand[1:], 'pred')})"
        if operand in SPECIAL:
            return cast(SPECIAL[operand], "u32", want)
        if (have := self._kind(operand)) is not None:
            return cast(self._name(operand), have, want)
        value = constant(operand, want)
        if value is None:
            value = cast(self._place(operand), "u64", want)
        return f"({value} != 0)" if kind == "pred" else value

    def write(self, target: str, kind: str, value: str) -> str:
        """Return the assignment of an expression of a kind."""
        if target == "_":
            return ""
        have, want = self._kind(target), c_type(kind)
        if have is None:
            raise UnsupportedError(f"the register {target}")
        if want[0] == "f" or have[0] == "f":
            return f"{self._name(target)} = {cast(f'({value})', want, have)};"
        return f"{self._name(target)} = ({have})({want})({value});"

    def address(self, operand: str) -> str:
        """Return the address in an operand such as ``[%rd1+8]``."""
        found = re.fullmatch(r"\[\s*([^\s+\]]+)\s*(?:\+\s*(-?\d+))?\s*\]", operand)
        if not found:
            raise UnsupportedError(f"the address {operand}")
        offset = int(found.group(2) or 0) & (1 << 64) - 1
        return f"({self.read(found.group(1), 'u64')} + {offset:#x}ull)"

    def _kind(self, name: str) -> str | None:
        return next((scope[name] for scope in reversed(self._scopes) if name in scope), None)

    def _place(self, name: str) -> str:
        if name not in self._places:
            raise UnsupportedError(f"the name {name}")
        return self._places[name]

    @staticmethod
    def _name(register: str) -> str:
        return "v_" + register.replace("%", "").replace("$", "_")
