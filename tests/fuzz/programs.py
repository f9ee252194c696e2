"""Programs: some lines around one call with one or two wrong arguments, or a strategy's life."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from .case import Case
from .catalogue import CASES
from .lives import life
from .values import ARRAYS, FORMS, FURTHER, NUMBERS, TYPES

SHARE_OF_LIVES = 0.15


@dataclass(frozen=True)
class Line:
    """A line, of the kind "setup", "value" (an argument), "call", "use" (of a result) or "step"."""

    kind: str
    text: str


@dataclass(frozen=True)
class Program:
    """The lines of a program about a public name, and the variables that they may change."""

    name: str
    lines: tuple[Line, ...]
    writes: frozenset[str] = frozenset()

    def script(self) -> str:
        """Return the program as the text of a script."""
        head = "from tests.fuzz.names import *\nFOLDER = Path(__import__('tempfile').mkdtemp())\n"
        return head + "".join(f"{line.text}\n" for line in self.lines)


def make(seed: int, index: int, only: str | None = None) -> Program:
    """Return program number `index`, the same for the same arguments."""
    generator = random.Random(f"{seed} {index}")
    if only is None and generator.random() < SHARE_OF_LIVES:
        return Program("Strategy (a life)", tuple(Line(*line) for line in life(generator)))
    chosen = [case for case in CASES if only is None or only in case.name]
    return _of(generator.choice(chosen), generator)


def good(case: Case) -> Program:
    """Return the program of a case with all its arguments unchanged."""
    arguments = {**case.required, **case.options}
    return Program(
        case.name, tuple(_lines(case, arguments, [f"{name}={name}" for name in arguments])), case.writes
    )


def _of(case: Case, generator: random.Random) -> Program:
    arguments = dict(case.required)
    names = [name for name in [*case.required, *case.options] if name not in case.fixed]
    wrong = generator.sample(names, min(len(names), 1 + (generator.random() < 0.3)))
    for name, value in case.options.items():
        if name in wrong or generator.random() < 0.25:
            arguments[name] = value
    further = []
    if generator.random() < 0.05 and not case.fixed:
        further.append(generator.choice([each for each in FURTHER if each.split("=")[0] not in names]))
        if case.call.startswith(("(", "minimize_sphere")):
            further.clear()  # functions that are not of evoopt refuse in their own way
        wrong = []
    for name in wrong:
        arguments[name] = _wrong(arguments[name], name in case.small, generator)
    if generator.random() < 0.02 and case.required and not case.fixed:
        del arguments[generator.choice([*case.required])]
    given = [f"{name}={name}" for name in arguments]
    by_place = list(arguments) if arguments.keys() == case.required.keys() else []
    if by_place and generator.random() < 0.3 and not further and "lambda **" not in case.call:
        given = by_place
    further.sort(key=lambda each: not each.startswith("*["))
    return Program(case.name, tuple(_lines(case, arguments, [*further, *given])), case.writes)


def _wrong(value: str, is_small: bool, generator: random.Random) -> str:
    if is_small:
        return generator.choice(TYPES)
    if generator.random() < 0.25:
        return generator.choice(FORMS).format(*[value] * 2)
    return generator.choice(generator.choice([TYPES, NUMBERS, ARRAYS]))


def _lines(case: Case, arguments: dict[str, str], given: list[str]) -> Iterator[Line]:
    yield from (Line("setup", text) for text in case.setup)
    yield from (Line("value", f"{name} = {value}") for name, value in arguments.items())
    yield Line("call", f"result = {case.call}({', '.join(given)})")
    yield from (Line("use", text) for text in case.use)
