"""Count habits that make a text hard to read: ``python .ci/prose.py [--show HABIT] [PATH ...]``.

The texts are the pages, and the docstrings, comments and strings of all Python files in git.
`--show` lists each place of one habit. The exit code is 1 if a count is above its limit.
"""

import argparse
import ast
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PREPOSITIONS = (
    "about above across after along among around as at before behind below beneath beside besides between "
    "beyond by despite down during except for from in inside into near of off on onto out outside over past "
    "per since through throughout till to toward towards under until up upon via with within without"
)
DIRECTIVES = re.compile(r"#!|# *(?:noqa|fmt:|type:|ruff:|pragma|pyright:|-{4})")
WORD = re.compile(r"[A-Za-z][\w'-]*")


class Line(NamedTuple):
    """A line of a text, the kind of this text, and where it stands."""

    kind: str  # page, docstring, comment, the "next" line of a comment, or string
    path: str
    number: int
    text: str


class Habit(NamedTuple):
    """A habit: its pattern, the kinds of text that count, and the limit with its unit."""

    pattern: str
    kinds: tuple[str, ...]
    limit: float
    unit: str


PROSE = ("page", "docstring", "comment", "next")
HABITS = {
    "what": Habit(r"\bwhat\b(?!.*\?)", PROSE, 1.0, "in 1,000 words"),
    "that of": Habit(r"\b(?:that|those) of\b", PROSE, 0.1, "in 1,000 words"),
    "give": Habit(r"\bgives?\b", PROSE, 0.3, "in 1,000 words"),
    "preposition": Habit(rf"^(?:{'|'.join(PREPOSITIONS.split())})\b", ("comment",), 10.0, "% of comments"),
    "came": Habit(r"\scame\b", ("string",), 0, "strings"),
    "long": Habit(r"^(?!\|).{101}", ("page",), 0, "lines of pages above 100 characters"),
}


def lines_of_page(path: str, source: str) -> Iterator[Line]:
    """Return the lines of a page without its blocks of code."""
    fenced = False
    for number, line in enumerate(source.splitlines(), 1):
        if line.startswith("```"):
            fenced = not fenced
        elif not fenced:
            yield Line("page", path, number, line)


def lines_of_module(path: str, source: str) -> Iterator[Line]:
    """Return the lines of docstrings and comments, and the strings, of a module."""
    tree, docstrings = ast.parse(source), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
            docstrings.add(node.body[0].value)
    for node in ast.walk(tree):
        if node in docstrings:
            yield from _lines_of_docstring(path, node)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield Line("string", path, node.lineno, node.value)
    yield from _lines_of_comments(path, source)


def _lines_of_docstring(path: str, node: ast.Constant) -> Iterator[Line]:
    for number, line in enumerate(node.value.splitlines(), node.lineno):
        if not line.lstrip().startswith((">>>", "...")):
            yield Line("docstring", path, number, line.strip())


def _lines_of_comments(path: str, source: str) -> Iterator[Line]:
    before = 0  # the line of the comment before, which a comment alone on its line continues
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT or DIRECTIVES.match(token.string):
            continue
        number, alone = token.start[0], token.line.lstrip().startswith("#")
        kind = "next" if alone and before == number - 1 else "comment"
        before = number if alone else 0
        yield Line(kind, path, number, token.string.lstrip("#: "))


def read(paths: list[str]) -> list[Line]:
    """Return the lines of all texts, of these files and folders alone if there are any."""
    names = subprocess.run(
        ["git", "ls-files", "--", *paths], cwd=ROOT, capture_output=True, text=True, check=True
    )
    readers = {".md": lines_of_page, ".py": lines_of_module}
    return [
        line
        for name in names.stdout.splitlines()
        if (path := ROOT / name).suffix in readers and path.exists()
        for line in readers[path.suffix](name, path.read_text())
    ]


def found(habit: Habit, lines: list[Line]) -> list[Line]:
    """Return the lines that have a habit, once for each time."""
    pattern = re.compile(habit.pattern, re.IGNORECASE)
    return [line for line in lines if line.kind in habit.kinds for _ in pattern.findall(line.text)]


def measure(habit: Habit, lines: list[Line]) -> float:
    """Return how often a habit stands in the lines, in the habit's unit."""
    count = len(found(habit, lines))
    counted = [line for line in lines if line.kind in habit.kinds]
    if habit.unit == "in 1,000 words":
        return 1000 * count / max(sum(len(WORD.findall(line.text)) for line in counted), 1)
    return 100 * count / max(len(counted), 1) if "%" in habit.unit else count


def main() -> None:
    """Print a table, or the places of one habit."""
    parser = argparse.ArgumentParser("python .ci/prose.py", description="Count habits of language.")
    parser.add_argument("--show", choices=HABITS, help="list the places of this habit")
    parser.add_argument("paths", nargs="*", metavar="PATH", help="files and folders; all by default")
    given = parser.parse_args()
    lines = read(given.paths)
    if given.show:
        for line in found(HABITS[given.show], lines):
            print(f"{line.path}:{line.number}: {line.text}")
        return
    measured = {name: measure(habit, lines) for name, habit in HABITS.items()}
    for name, value in measured.items():
        habit = HABITS[name]
        print(f"{name:12}{value:8.2f} {habit.unit}, at most {habit.limit:g}")
    sys.exit(any(value > HABITS[name].limit for name, value in measured.items()))


if __name__ == "__main__":
    main()
