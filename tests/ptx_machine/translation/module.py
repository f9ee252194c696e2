"""What a text of PTX says: a kernel, its arrays and the parts of its body."""

import re
from typing import NamedTuple

SIZES = {"8": 1, "16": 2, "32": 4, "64": 8}


class UnsupportedError(Exception):
    """PTX that the machine does not run."""


class Variable(NamedTuple):
    """An array in shared or local memory; a dynamic one has its size from the launch."""

    space: str
    name: str
    align: int
    size: int
    dynamic: bool


class Parameter(NamedTuple):
    """A parameter of the kernel: its bytes among all parameters."""

    name: str
    start: int
    end: int


class Label(NamedTuple):
    """A place to branch to."""

    name: str


class Brace(NamedTuple):
    """The beginning or the end of a scope of registers."""

    text: str


class Registers(NamedTuple):
    """Registers of one kind, by their names."""

    kind: str
    names: list[str]


class Instruction(NamedTuple):
    """One instruction, such as ``@!%p1 mul.wide.s32 %rd1, %r1, 4``: the kinds are ("s32",)."""

    text: str
    guard: str
    name: str
    modifiers: tuple[str, ...]
    kinds: tuple[str, ...]
    operands: tuple[str, ...]

    @property
    def kind(self) -> str:
        """The last of the kinds, that of most operands."""
        return self.kinds[-1]

    @property
    def target(self) -> str:
        """What is written."""
        return self.operands[0]

    @property
    def sources(self) -> tuple[str, ...]:
        """What is read."""
        return self.operands[1:]


Part = Label | Brace | Registers | Variable | Instruction


class Module(NamedTuple):
    """A kernel, the arrays in shared and local memory, and the threads that a block may have."""

    name: str
    parameters: list[Parameter]
    variables: list[Variable]
    most_threads: int
    body: list[Part]


def size_of(kind: str) -> int:
    """Return the bytes of a number."""
    return SIZES[kind[1:]]


def round_up(number: int, multiple: int) -> int:
    """Return the next multiple."""
    return -(-number // multiple) * multiple


def split(operands: str) -> tuple[str, ...]:
    """Split at the commas outside of brackets."""
    return tuple(part.strip() for part in re.split(r",(?![^\[{(]*[\]})])", operands) if part.strip())
