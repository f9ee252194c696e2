"""Branches, barriers and ends."""

from .instructions import Context, instruction
from .module import Instruction, UnsupportedError


def label(name: str) -> str:
    """Return the name of a label in C."""
    return "L_" + name.replace("$", "_")


@instruction("bra", modifiers="uni")
def branch(i: Instruction, c: Context) -> str:
    return f"goto {label(i.target)};"


@instruction("ret exit", modifiers="uni")
def end(i: Instruction, c: Context) -> str:
    return f"end_turn(t, OVER, {c.line});"


@instruction("trap")
def trap(i: Instruction, c: Context) -> str:
    return f'report(t, "TRAP", {c.line}, 0, NULL); end_turn(t, OVER, {c.line});'


@instruction("bar barrier", modifiers="cta sync aligned")
def barrier(i: Instruction, c: Context) -> str:
    """Return the wait for all threads of the block at barrier 0; other barriers are refused."""
    if "sync" not in i.modifiers or i.operands != ("0",):
        raise UnsupportedError(i.text)
    return f"end_turn(t, WAITS, {c.line});"


@instruction("membar fence nanosleep", "none integer", "cta gl sys gpu sc acq_rel")
@instruction("prefetch", "none", "global L1 L2")
def nothing(i: Instruction, c: Context) -> str:
    return ""
