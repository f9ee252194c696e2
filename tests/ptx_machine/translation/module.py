"""The parts of a PTX module: a kernel, its arrays and the parts of its body."""

import re
from typing import NamedTuple

SIZES = {"8": 1, "16": 2, "32": 4, "64": 8}


class UnsupportedError(Exception):
    """An error: the machine does not run this PTX."""


class Variable(NamedTuple):
    """An array in shared or local memory; the launch sets the size of a dynamic one."""

    space: str
    name: str
    align: int
    size: int
    dynamic: bool


class Parameter(NamedTuple):
    """A parameter of the kernel, and its bytes among all parameters."""

    name: str
    start: int
    end: int


class Label(NamedTuple):
    """A label, the target of branches."""

    name: str


class Brace(NamedTuple):
    """The beginning or the end of a scope of registers."""

    text: str


class Registers(NamedTuple):
    """Registers of one kind."""

    kind: str
    names: list[str]


class Instruction(NamedTuple):
    """An instruction: ``@!%p1 mul.wide.s32 %rd1, %r1, 4`` has the kinds ("s32",)."""

    text: str
    guard: str
    name: str
    modifiers: tuple[str, ...]
    kinds: tuple[str, ...]
    operands: tuple[str, ...]

    @property
    def kind(self) -> str:
        """The last of the kinds, which most operands have."""
        return self.kinds[-1]

    @property
    def target(self) -> str:
        """The operand that the instruction writes."""
        return self.operands[0]

    @property
    def sources(self) -> tuple[str, ...]:
        """The operands that it reads."""
        return self.operands[1:]


Part = Label | Brace | Registers | Variable | Instruction


class Module(NamedTuple):
    """A kernel, its arrays in shared and local memory, and the most threads of a block."""

    name: str
    parameters: list[Parameter]
    variables: list[Variable]
    most_threads: int
    body: list[Part]


def size_of(kind: str) -> int:
    """Return the bytes of a number of a kind."""
    return SIZES[kind[1:]]


def round_up(number: int, multiple: int) -> int:
    """Return the next multiple of a number."""
    return -(-number // multiple) * multiple


def split(operands: str) -> tuple[str, ...]:
    """Split at the commas outside of brackets."""
    return tuple(part.strip() for part in re.split(r",(?![^\[{(]*[\]})])", operands) if part.strip())
