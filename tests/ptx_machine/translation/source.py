"""The C file of a kernel."""

from typing import NamedTuple

# These modules register their instructions.
from . import control, conversion, integer, memory, real  # noqa: F401
from .control import label
from .grammar import parse
from .instructions import Context
from .instructions import translate as translate_instruction
from .layout import Space, place
from .module import Brace, Instruction, Label, Module, Part, Registers
from .operands import Operands


class Needs(NamedTuple):
    """The needs of machine code: registers of a thread, bytes of its stack and of static arrays."""

    registers: int = 0
    stack: int = 0
    shared: int = 0


NOTHING = Needs()


def translate(ptx: str, needs: Needs = NOTHING) -> str:
    """Translate the text of a module with one kernel, or raise `UnsupportedError`."""
    module = parse(ptx)
    spaces = {
        space: place([v for v in module.variables if v.space == space]) for space in ("shared", "local")
    }
    body, lines = _body(module, spaces)
    return _file(module, spaces, needs, body, lines)


def _body(module: Module, spaces: dict[str, Space]) -> tuple[str, list[str]]:
    """Return the statements in C, and the texts of all instructions."""
    places = {name: f"{at}ull" for space in spaces.values() for name, at in space.places.items()}
    operands = Operands(places)
    parameters = {parameter.name: (parameter.start, parameter.end) for parameter in module.parameters}
    code: list[str] = []
    lines: list[str] = []
    for part in module.body:
        context = Context(operands, len(lines), parameters)
        if isinstance(part, Instruction):
            lines.append(part.text.replace(module.name, ""))
        code.append(_statement(part, context))
    return "\n".join(code), lines


def _statement(part: Part, context: Context) -> str:
    if isinstance(part, Instruction):
        return translate_instruction(part, context)
    if isinstance(part, Label):
        return f"{label(part.name)}: ;"
    if isinstance(part, Registers):
        return context.operands.declare(part)
    if isinstance(part, Brace):
        (context.operands.open if part.text == "{" else context.operands.close)()
        return "{" if part.text == "{" else ";}"
    return ""  # a variable, which has a place


def _ranges(name: str, found: list[tuple[int, int]]) -> str:
    """Return a table of ranges, which may be empty."""
    return f"static const Range {name}[] = {{{', '.join(f'{{{a}, {b}}}' for a, b in [*found, (0, 0)])}}};"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _file(module: Module, spaces: dict[str, Space], needs: Needs, body: str, lines: list[str]) -> str:
    shared, local = spaces["shared"], spaces["local"]
    parameters = [(parameter.start, parameter.end) for parameter in module.parameters]
    fields = {
        "name": _quoted(module.name), "run": "run", "lines": "LINES", "params": len(parameters),
        "param": "PARAMETERS", "param_bytes": parameters[-1][1] if parameters else 0,
        "shared_arrays": len(shared.ranges), "shared": "SHARED_ARRAYS", "dynamic_at": shared.end,
        "local_arrays": len(local.ranges), "local": "LOCAL_ARRAYS",
        "local_bytes": local.end if local.ranges else 0, "most_threads": module.most_threads,
        "registers": needs.registers, "static_shared": needs.shared, "stack": needs.stack,
    }  # fmt: skip
    return f"""#include "kernel.h"

int machine_ulps;
{_ranges("PARAMETERS", parameters)}
{_ranges("SHARED_ARRAYS", shared.ranges)}
{_ranges("LOCAL_ARRAYS", local.ranges)}
static const char *const LINES[] = {{
{",".join(f"{chr(10)}{_quoted(line)}" for line in [*lines, "the end"])}
}};

static void run(Thread *t) {{
{body}
end_turn(t, OVER, {len(lines)});
}}

const Kernel machine_kernel = {{
{"".join(f"    .{name} = {value},{chr(10)}" for name, value in fields.items())}}};
"""
