"""The table of instructions: the function that translates each, and its modifiers.

Instructions, and modifiers, that are not in the table are refused.
"""

from collections.abc import Callable
from typing import NamedTuple

from .module import Instruction, UnsupportedError
from .operands import Operands


class Context(NamedTuple):
    """The context of a translation: the instruction's number, and the meanings of names."""

    operands: Operands
    line: int
    parameters: dict[str, tuple[int, int]]

    def sources(self, i: Instruction, kind: str | None = None) -> list[str]:
        """Return the sources of an instruction as expressions of a kind, its own by default."""
        return [self.operands.read(source, kind or i.kind) for source in i.sources]

    def write(self, i: Instruction, value: str, kind: str | None = None) -> str:
        """Return the assignment to the target of an instruction."""
        return self.operands.write(i.target, kind or i.kind, value)


Translation = Callable[[Instruction, Context], str]


class Rule(NamedTuple):
    """The function that translates an instruction, and the instruction's modifiers."""

    translate: Translation
    modifiers: frozenset[str]


TABLE: dict[tuple[str, str], Rule] = {}


def instruction(
    names: str, families: str = "none", modifiers: str = ""
) -> Callable[[Translation], Translation]:
    """Enter a function into the table, for instructions on these families of kinds."""

    def enter(function: Translation) -> Translation:
        for name in names.split():
            for family in families.split():
                TABLE[name, family] = Rule(function, frozenset(modifiers.split()))
        return function

    return enter


def family(i: Instruction) -> str:
    """Return the family of the last kind: real, integer, pred, or none."""
    if not i.kinds:
        return "none"
    return "pred" if i.kind == "pred" else "real" if i.kind[0] == "f" else "integer"


def translate(i: Instruction, context: Context) -> str:
    """Translate an instruction into a statement in C."""
    rule = TABLE.get((i.name, family(i)))
    if rule is None or not rule.modifiers.issuperset(i.modifiers):
        raise UnsupportedError(i.text)
    try:
        code = rule.translate(i, context)
    except (KeyError, IndexError, ValueError) as error:
        raise UnsupportedError(f"{i.text} ({error!r})") from error
    return f"if ({context.operands.read(i.guard, 'pred')}) {{ {code} }}" if i.guard else code
