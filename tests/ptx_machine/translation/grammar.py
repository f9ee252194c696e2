"""The part of PTX's grammar that compilers write: a text becomes a `Module`."""

import re
from collections.abc import Iterator

from .module import (
    Brace,
    Instruction,
    Label,
    Module,
    Parameter,
    Part,
    Registers,
    UnsupportedError,
    Variable,
    round_up,
    size_of,
    split,
)

KINDS = re.compile(r"(?:[bus](?:8|16|32|64)|f32|f64|pred)$")
NAME = r"[\w$.%]+"
DIRECTIVES = {"maxntid", "minnctapersm", "maxnreg"}  # directives of a kernel


def parse(ptx: str) -> Module:
    """Return the module of a text with one kernel."""
    text = re.sub(r"//[^\n]*|/\*.*?\*/", "", ptx, flags=re.S)
    text = re.sub(r"^\s*\.(?:loc|file)\b[^\n]*", "", text, flags=re.M)
    entries = list(re.finditer(r"\.entry\s+([\w$.]+)\s*(?:\((.*?)\))?([^{]*)\{", text, re.S))
    if len(entries) != 1:
        raise UnsupportedError(f"{len(entries)} kernels in a module")
    if re.search(r"\.func\b", text):
        raise UnsupportedError("a function that is not inlined")
    entry = entries[0]
    end = _end_of_scope(text, entry.end())
    outside = text[: entry.start()] + ";" + text[end + 1 :]
    body = list(map(_part, _statements(text[entry.end() : end])))
    found = [*map(_variable, outside.split(";")), *body]
    variables = [part for part in found if isinstance(part, Variable)]
    name, parameters, head = entry.groups()
    return Module(
        name, list(_parameters(parameters or "")), variables, _threads(head), [p for p in body if p]
    )


def _end_of_scope(text: str, start: int) -> int:
    depth = 1
    for match in re.compile(r"[{}]").finditer(text, start):
        depth += 1 if match.group() == "{" else -1
        if not depth:
            return match.start()
    raise UnsupportedError("a body without an end")


def _parameters(text: str) -> Iterator[Parameter]:
    at = 0
    for parameter in split(text):
        found = re.fullmatch(
            r"\.param\s+(?:\.align\s+(\d+)\s+)?\.([bufs]\d+)\s+(?:\.ptr\s+(?:\.\w+\s+)*?(?:\.align\s+\d+\s+)?)?"
            rf"({NAME})(?:\[(\d+)\])?",
            parameter,
        )
        if not found:
            raise UnsupportedError(parameter)
        align, kind, name, count = found.groups()
        at = round_up(at, int(align or size_of(kind)))
        yield Parameter(name, at, at + size_of(kind) * int(count or 1))
        at += size_of(kind) * int(count or 1)


def _threads(head: str) -> int:
    """Return the most threads of a block, from the directives of a kernel."""
    unknown = set(re.findall(r"\.([a-z]+)", head)) - DIRECTIVES
    if unknown:
        raise UnsupportedError(f"the directives {', '.join(sorted(unknown))}")
    found = re.search(r"\.maxntid\s+([\d, ]+)", head)
    threads = 1
    for number in found.group(1).split(",") if found else ["1024"]:
        threads *= int(number)
    return threads


def _variable(text: str) -> Variable | None:
    """Return an array of shared or local memory; other arrays have no address here."""
    found = re.search(
        rf"(\.extern\s+)?\.(shared|local)\s+(?:\.align\s+(\d+)\s+)?\.([bufs]\d+)\s+({NAME})(?:\[(\d*)\])?",
        text,
    )
    if not found:
        return None
    extern, space, align, kind, name, count = found.groups()
    size = size_of(kind) * int(count or 1)
    return Variable(space, name, int(align or size_of(kind)), size, bool(extern) or count == "")


def _statements(body: str) -> Iterator[str]:
    """Yield the statements of a kernel's body, labels (with a colon) and the braces of scopes."""
    text = ""
    for char in body:
        if char in "{}" and not text.strip():
            yield char
        elif char == ";":
            yield text.strip()
            text = ""
        elif char == ":" and re.fullmatch(r"\s*[$\w]+", text):
            yield text.strip() + ":"
            text = ""
        else:
            text += char
    if text.strip():
        raise UnsupportedError(f"no end of {text.strip()}")


def _part(text: str) -> Part | None:
    if text in ("", "{", "}"):
        return Brace(text) if text else None
    if text.endswith(":"):
        return Label(text[:-1])
    if text.startswith((".local", ".shared")):
        return _variable(text)
    if text.startswith(".reg"):
        return _registers(text)
    return None if text.startswith(".pragma") else _instruction(text)


def _registers(text: str) -> Registers:
    """Return the registers of a declaration: ``.reg .b32 %r<3>`` has %r0, %r1 and %r2."""
    found = re.fullmatch(r"\.reg\s+\.(\w+)\s+(.*)", text, re.S)
    if not found or not KINDS.match(found.group(1)):
        raise UnsupportedError(text)
    names: list[str] = []
    for name in split(found.group(2)):
        many = re.fullmatch(rf"({NAME})<(\d+)>", name)
        names += [f"{many.group(1)}{i}" for i in range(int(many.group(2)))] if many else [name]
    return Registers(found.group(1), names)


def _instruction(text: str) -> Instruction:
    guard, code, operands = re.fullmatch(r"(?:@(!?%\w+)\s+)?([\w.:]+)\s*(.*)", text, re.S).groups()  # type: ignore[union-attr]
    name, *parts = code.split(".")
    kinds = tuple(part for part in parts if KINDS.match(part))
    modifiers = tuple(part for part in parts if not KINDS.match(part))
    return Instruction(" ".join(text.split()), guard or "", name, modifiers, kinds, split(operands))
